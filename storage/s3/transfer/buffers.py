"""The bytes of a part while it is filled and sent: in memory that all uploads share, or in the spool."""

# Theory of operation
# -------------------
#
# A part is sent from where it was filled.  Memory is cheaper: a block costs one copy and no thread, and botocore sends the
# bytes in place.  But a thousand uploads that each take a minute to fill a part of 8 MiB would need 8 GB.  So memory has a
# budget:
#
# * a part begins in memory while some is free;
# * if none is free, an upload with parts in flight waits for one of them to arrive (it is as fast as the server, and holds no
#   more than before); an upload without any begins its part in the spool, so that none waits for another;
# * a part that stays in memory for long, while memory is scarce, moves to the spool when its content pauses: memory goes from
#   slow uploads to quick ones.
#
# Measured with OpenStack Swift on two cores that client and server share, parts of 8 MiB, 4 in flight:
#
#                                    MiB/s      CPU-s for 512 MiB
#     boto3's upload_fileobj         173-233    0.65-1.59    as it is by default
#     … with unsigned payload        253-266    0.29-0.32    as `holdfast.storage.s3.transfer.bucket` does it
#     parts in memory, CRC-32        255-259    0.31-0.33
#     parts in memory, no sums       211-269    0.23-0.24
#     all parts in the spool         126-158    0.57-0.60
#
# A thousand uploads of 9 MiB at once, each in blocks of 128 KiB every half second, faster than the server took them: the process
# had 282 MiB at most, no turn of the loop took longer than 0.5 s, and the last upload ended 70 s after the first.

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

from holdfast.storage.s3.transfer.spool import CELL, Region, Spool
from holdfast.storage.threads import Threads

SECONDS = 1.0
MiB = 1024 * 1024

# An upload that takes longer to fill a part is slow.
LONG = 2 * SECONDS
# Memory is scarce when this part of the budget is in use; that much of it is kept for reuse.
SCARCE = 0.5
KEPT = 0.25
# Smaller buffers are freed after use; larger ones are kept, since allocating their pages costs as much as filling them.
WORTH_KEEPING = 1 * MiB
SPOOL_THREADS = 4


Body = bytes | bytearray | Region


class Portion:
    """Bytes that are sent, perhaps repeatedly, and their CRC-32; *body* and *crc* are called on a thread, and may block."""

    def __init__(self, body: Callable[[], Body], crc: Callable[[], int] | None = None) -> None:
        self._body = body
        self._crc = crc
        self._known: int | None = None

    def body(self) -> Body:
        """Return the bytes.  Blocks."""
        return self._body()

    def crc(self) -> int | None:
        """Return their CRC-32, or None without one.  Blocks."""
        if self._crc is not None and self._known is None:
            self._known = self._crc()
        return self._known


NOTHING = Portion(lambda: b"")


class Buffer:
    """The bytes of one part from *front* on; the bytes before are still in pieces."""

    def __init__(self, buffers: PartBuffers, size: int, front: int, memory: bytearray | None, cells: tuple[int, ...]) -> None:
        self._buffers = buffers
        self._memory = memory
        self._cells = cells
        self._begun = time.monotonic()
        self.size = size
        self.front = front
        self.filled = front

    @property
    def is_full(self) -> bool:
        """Whether the part is full."""
        return self.filled == self.size

    @property
    def in_memory(self) -> bool:
        """Whether it uses the shared memory."""
        return self._memory is not None

    async def add(self, block: memoryview) -> int:
        """Copy as much of *block* as fits, and return how much."""
        taken = min(len(block), self.size - self.filled)
        await self.write(self.filled, block[:taken])
        self.filled += taken
        return taken

    async def write(self, at: int, block: memoryview) -> None:
        """Write *block* at an offset of the part."""
        if self._memory is not None:
            memoryview(self._memory)[at : at + len(block)] = block
        else:
            await self._buffers.threads.run(self._buffers.spool.write, self._cells, at, block)

    async def relax(self) -> None:
        """Move to the spool, if the part fills slowly and memory is scarce."""
        if self._memory is None or not self._buffers.scarce or time.monotonic() - self._begun < self._buffers.long:
            return
        cells = self._buffers.spool.take(self.size)
        try:
            filled = memoryview(self._memory)[self.front : self.filled]
            await self._buffers.threads.run(self._buffers.spool.write, cells, self.front, filled)
        except BaseException:
            self._buffers.spool.give_back(cells)
            raise
        filled.release()
        self._buffers.give_back(self._memory)
        self._memory, self._cells = None, cells

    def portion(self, start: int, *, summed: bool) -> Portion:
        """Return the bytes from *start* on for sending.  The buffer must not be written to until they are sent."""
        stop = self.filled
        return Portion(lambda: self._body(start, stop), (lambda: self._sum(start, stop)) if summed else None)

    def _body(self, start: int, stop: int) -> Body:
        if self._memory is None:
            return Region(self._buffers.spool, self._cells, start, stop)
        if (start, stop) == (0, len(self._memory)):
            return self._memory
        return bytes(memoryview(self._memory)[start:stop])

    def _sum(self, start: int, stop: int) -> int:
        if self._memory is not None:
            return zlib.crc32(memoryview(self._memory)[start:stop])
        crc = 0
        for at in range(start, stop, CELL):
            crc = zlib.crc32(self._buffers.spool.read(self._cells, at, min(CELL, stop - at)), crc)
        return crc

    def release(self) -> None:
        """Give the memory or the spool space back.  Repeating it is no error."""
        if self._memory is not None:
            self._buffers.give_back(self._memory)
        self._buffers.spool.give_back(self._cells)
        self._memory, self._cells = None, ()


class PartBuffers:
    """
    The buffers of all uploads of a process: *budget* bytes of memory, and a spool for parts that take *long* seconds to fill.
    """

    def __init__(self, budget: int, spool: Spool, long: float = LONG) -> None:
        self.spool = spool
        self.long = long
        self.threads = Threads("s3-spool", SPOOL_THREADS)
        self._budget = budget
        self._lent = 0
        self._kept: list[bytearray] = []

    @property
    def scarce(self) -> bool:
        """Whether slow uploads should give memory up."""
        return self._lent > self._budget * SCARCE

    def in_memory(self, size: int, front: int) -> Buffer | None:
        """Return a buffer in memory, or None if the budget has not enough."""
        if self._lent + size > self._budget:
            return None
        self._lent += size
        for index, memory in enumerate(self._kept):
            if len(memory) == size:
                del self._kept[index]
                return Buffer(self, size, front, memory, ())
        # Buffers of other sizes are freed first.
        while self._kept and self._lent + sum(map(len, self._kept)) > self._budget:
            self._kept.pop()
        return Buffer(self, size, front, bytearray(size), ())

    def in_spool(self, size: int, front: int) -> Buffer:
        """Return a buffer in the spool."""
        return Buffer(self, size, front, None, self.spool.take(size))

    def give_back(self, memory: bytearray) -> None:
        """Take memory back."""
        self._lent -= len(memory)
        if len(memory) >= WORTH_KEEPING and sum(map(len, self._kept)) + len(memory) <= self._budget * KEPT:
            self._kept.append(memory)

    def close(self) -> None:
        """Close the spool and free the memory."""
        self.threads.close()
        self._kept.clear()
        self.spool.close()
