"""
Memory for content that is being received, shared by all streams of a process.

Theory of operation
-------------------

Thousands of clients may send at once, and nearly all of them slowly.  So a connection alone has no buffer.  The system says that
there is something to be read; only then it gets a *spare* buffer to write to, and only when much has come the reader *keeps* that
buffer and fills it up.  What little has come is copied out, and the same spare serves the next reader.

Sizes matter for one reason: a buffer that was just written by the network and is read at once by the disk should still be in the
processor's cache.  So one or two streams get large buffers, which cost the fewest system calls, and many get small ones.

All of it together has a bound.  While it is used up, streams go on without buffers, in little blocks: slower, but none waits for
another.
"""

from __future__ import annotations

import mmap

KiB = 1024
MiB = 1024 * KiB

SMALL = 128 * KiB
LARGE = 1 * MiB
# While less than this is lent, buffers are large: two for each of two streams.
FEW = 4 * LARGE
BUDGET = 64 * MiB
# Unused buffers beyond this go back to the system.
SPARE = 16 * MiB
# What comes is held without a buffer up to this.
LITTLE = 16 * KiB


class Buffers:
    """
    Buffers for one event loop, at most *budget* bytes of them lent at any time.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._free: dict[int, list[memoryview]] = {SMALL: [], LARGE: []}
        self.unused = 0
        self.lent = 0
        """Bytes of all buffers that are kept."""
        self.little = memoryview(bytearray(LITTLE))
        """What is read into while the budget is used up; never kept."""

    def spare(self) -> memoryview | None:
        """
        Return a buffer to read into, shared by all readers until one keeps it; None while the budget is used up.
        """
        size = LARGE if self.lent < FEW else SMALL
        if self.lent + size > self._budget:
            return None
        free = self._free[size]
        if not free:
            free.append(_allocate(size))
            self.unused += size
        return free[-1]

    def keep(self, spare: memoryview) -> None:
        """
        Take the *spare* buffer that was shown last, until it is given back.
        """
        size = len(spare)
        self._free[size].pop()
        self.unused -= size
        self.lent += size

    def give_back(self, buffer: memoryview) -> None:
        """
        Lend what was kept to others.
        """
        size = len(buffer)
        self.lent -= size
        if self.unused + size <= SPARE:
            self._free[size].append(buffer)
            self.unused += size


def _allocate(size: int) -> memoryview:
    # Whole pages, there at once instead of one by one, and really gone when they are dropped.
    return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))
