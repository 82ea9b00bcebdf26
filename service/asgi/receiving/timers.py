"""
What all requests of a process share while they receive content: buffers, patience, and one clock that looks at them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from holdfast.service.asgi.receiving.buffers import Buffers

SECONDS = 1.0

# Whoever waits is looked at by turns, so that thousands of slow requests do not become due in one moment.
SPOKES = 10


class Watched(Protocol):
    """Content that is looked at while it waits for its client."""

    def check(self) -> None:
        """
        Act on what has come, or has not, since the last look.
        """
        ...


class ReceiveTimers:
    """
    A client has to send within *idle_timeout* seconds, and in so many seconds that it was waited for at least *min_rate* bytes
    for each of them.
    """

    check_every = 0.5 * SECONDS
    """How often each that is watched is looked at."""

    def __init__(self, *, idle_timeout: float, min_rate: int = 0, buffers: Buffers | None = None) -> None:
        self.idle_timeout = idle_timeout
        self.min_rate = min_rate
        self.buffers = buffers or Buffers()
        self._wheel: tuple[dict[Watched, None], ...] = tuple({} for _ in range(SPOKES))
        self._places: dict[Watched, dict[Watched, None]] = {}
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, content: Watched) -> None:
        """
        Look at *content* from time to time, until `unwatch`; saying it again changes nothing.
        """
        if content in self._places:
            return
        # The spoke that was just looked at: the first look comes after a whole turn.
        place = self._wheel[self._at]
        place[content] = None
        self._places[content] = place
        if self._timer is None:
            self._turn_later()

    def unwatch(self, content: Watched) -> None:
        """
        Look no more.
        """
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
