"""
What the core sees of the content of a request, whatever carries it.
"""

from __future__ import annotations

import enum
from typing import Protocol

NOTHING = memoryview(b"")


class Stop(enum.Enum):
    """Why content ended before its end."""

    DISCONNECTED = "the client went away"
    IDLE = "nothing came for too long"
    EVICTED = "a newer request took the upload"
    SHUTDOWN = "this process is going to end"
    REFUSED = "what carries it breaks its own grammar"


class Content(Protocol):
    """
    The content of one request, read once.  Trouble on the way is not an error: content just ends, and knows why.
    """

    @property
    def length(self) -> int | None:
        """The announced length in bytes; None when the content will tell by itself where it ends (chunked)."""
        ...

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether the client sends it only after it was told so; to read it tells."""
        ...

    @property
    def stopped(self) -> Stop | None:
        """Why it ended before its end, if it did."""
        ...

    async def read(self, limit: int) -> memoryview:
        """
        Return the next bytes, at most *limit*, valid until the next call.

        No bytes mean that there will be no more; or, as long as neither *ended* nor *stopped* says so, that nothing has come for
        a while and there is time for other things.
        """
        ...

    def stop(self, why: Stop) -> None:
        """
        End it after the bytes that are here already.
        """
        ...


class NoContent:
    """
    The content of a request that has none, or none that counts.
    """

    length = 0
    ended = True
    is_awaited = False
    stopped: Stop | None = None

    async def read(self, _limit: int) -> memoryview:
        return NOTHING

    def stop(self, why: Stop) -> None:
        pass
