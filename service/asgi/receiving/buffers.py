"""
Receive buffers, shared by all streams of a process.

Thousands of clients may send at once, most of them slowly, so an idle connection has no buffer.  When a socket is readable, the
reader receives into a *spare* buffer.  If much arrives, it *keeps* and fills that buffer; if little arrives, it copies the bytes
out, and the next reader uses the same spare.

A buffer that the network has just filled should still be in the processor's cache when the store reads it.  So one or two streams
get large buffers, which need the fewest system calls, and many streams get small ones.

All buffers together have a bound.  When it is reached, streams continue in small blocks without buffers: slower, but none blocks
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
# Unused buffers beyond this are returned to the system.
SPARE = 16 * MiB
# A stream holds up to this many bytes without a buffer.
LITTLE = 16 * KiB


class Buffers:
    """Buffers for one event loop, at most *budget* bytes of them lent at any time."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._free: dict[int, list[memoryview]] = {SMALL: [], LARGE: []}
        self.unused = 0
        self.lent = 0
        """Bytes of all kept buffers."""
        self.little = memoryview(bytearray(LITTLE))
        """Readers receive into this while the budget is used up; never kept."""

    def spare(self) -> memoryview | None:
        """Return a buffer to read into, shared by all readers until one keeps it; None while the budget is used up."""
        size = LARGE if self.lent < FEW else SMALL
        if self.lent + size > self._budget:
            return None
        free = self._free[size]
        if not free:
            free.append(_allocate(size))
            self.unused += size
        return free[-1]

    def keep(self, spare: memoryview) -> None:
        """Reserve *spare*, which `spare` returned last, until `give_back`."""
        size = len(spare)
        self._free[size].pop()
        self.unused -= size
        self.lent += size

    def give_back(self, buffer: memoryview) -> None:
        """Return a kept buffer to the pool."""
        size = len(buffer)
        self.lent -= size
        if self.unused + size <= SPARE:
            self._free[size].append(buffer)
            self.unused += size


def _allocate(size: int) -> memoryview:
    # Mapped pages are populated at once, and go back to the system when the buffer is dropped.
    return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))
