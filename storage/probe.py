"""
Writes that only find out whether a store can write: often enough to be believed, and not so often that they wear the disk.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

SECONDS = 1.0
WRITE_EVERY = 5 * SECONDS


class Probe:
    """
    A *write* that is made when somebody asks, but after one that went well not before *every* seconds have passed.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], every: float = WRITE_EVERY) -> None:
        self._write = write
        self._every = every
        self._next = float("-inf")

    async def make(self) -> None:
        """
        Write, or believe the last time.

        :raises StorageError: the store cannot write now.
        """
        if time.monotonic() < self._next:
            return
        await self._write()
        self._next = time.monotonic() + self._every

    def doubt(self) -> None:
        """
        Believe the last time no longer: the store was seen to fail.
        """
        self._next = float("-inf")
