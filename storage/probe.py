"""Test writes that show whether a store can write: often enough to be current, rarely enough not to wear the disk."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

SECONDS = 1.0
WRITE_EVERY = 5 * SECONDS


class Probe:
    """Runs *write* on demand, but after a success not again for *every* seconds."""

    def __init__(self, write: Callable[[], Awaitable[None]], every: float = WRITE_EVERY) -> None:
        self._write = write
        self._every = every
        self._next = float("-inf")

    async def make(self) -> None:
        """
        Write, unless the last success is recent.

        :raises StorageError: the store cannot write now.
        """
        if time.monotonic() < self._next:
            return
        await self._write()
        self._next = time.monotonic() + self._every

    def doubt(self) -> None:
        """Discard the last success: the store was seen to fail."""
        self._next = float("-inf")
