"""The content of a request as the core sees it, whatever its transport."""

from __future__ import annotations

import enum
from typing import Protocol

NOTHING = memoryview(b"")


class Stop(enum.Enum):
    """Why content was cut off."""

    DISCONNECTED = "the client disconnected"
    IDLE = "nothing came for too long"
    EVICTED = "a newer request took the upload"
    SHUTDOWN = "this process shuts down"
    REFUSED = "the transport breaks its own grammar"


class Content(Protocol):
    """The content of one request, read once.  A transport failure is not an error: content just ends, and knows why."""

    @property
    def length(self) -> int | None:
        """The announced length in bytes; None if it is not announced (chunked)."""
        ...

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether the client waits for 100 (Continue), which the first `read` causes."""
        ...

    @property
    def stopped(self) -> Stop | None:
        """Why it was cut off, or None."""
        ...

    async def read(self, limit: int) -> memoryview:
        """
        Return the next bytes, at most *limit*, valid until the next call.

        An empty result means the end; or, while neither *ended* nor *stopped* says so, that nothing has come for a while.
        """
        ...

    def stop(self, why: Stop) -> None:
        """Cut the content off after the bytes that have come already."""
        ...


class NoContent:
    """The content of a request without content, or with content that is ignored."""

    length = 0
    ended = True
    is_awaited = False
    stopped: Stop | None = None

    async def read(self, _limit: int) -> memoryview:
        return NOTHING

    def stop(self, why: Stop) -> None:
        pass
