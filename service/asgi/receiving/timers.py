"""Time limits for receiving content, and one timer that checks all requests of a process."""

from __future__ import annotations

import asyncio
from typing import Protocol

from holdfast.service.asgi.receiving.buffers import Buffers

SECONDS = 1.0

# Waiting requests are spread over this many ticks, so that thousands of slow ones are not checked at once.
SPOKES = 10


class Watched(Protocol):
    """Content that is checked while it waits for its client."""

    def check(self) -> None:
        """Act on the bytes received since the last check."""
        ...


class ReceiveTimers:
    """A client has to send something within *idle_timeout* seconds, and on average *min_rate* bytes per second of waiting."""

    check_every = 0.5 * SECONDS
    """Seconds between two checks of waiting content."""

    def __init__(self, *, idle_timeout: float, min_rate: int = 0, buffers: Buffers | None = None) -> None:
        self.idle_timeout = idle_timeout
        self.min_rate = min_rate
        self.buffers = buffers or Buffers()
        self._wheel: tuple[dict[Watched, None], ...] = tuple({} for _ in range(SPOKES))
        self._places: dict[Watched, dict[Watched, None]] = {}
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, content: Watched) -> None:
        """Check *content* every `check_every` seconds until `unwatch`; a second call changes nothing."""
        if content in self._places:
            return
        # The spoke that was just checked: the first check comes after a whole turn.
        place = self._wheel[self._at]
        place[content] = None
        self._places[content] = place
        if self._timer is None:
            self._turn_later()

    def unwatch(self, content: Watched) -> None:
        """Stop checking *content*."""
        place = self._places.pop(content, None)
        if place is not None:
            del place[content]

    def _turn_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.check_every / SPOKES, self._turn)

    def _turn(self) -> None:
        self._timer = None
        if not self._places:
            return
        self._turn_later()
        self._at = (self._at + 1) % SPOKES
        for content in [*self._wheel[self._at]]:
            content.check()
