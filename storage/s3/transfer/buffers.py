"""
Where a part is while it is being filled and sent: in memory that all uploads share, or in the spool.
"""

# Theory of operation
# -------------------
#
# A part is sent from where it was filled.  Memory is the cheaper place: a block that comes is one copy, without a thread, and
# botocore sends the bytes as they stand.  But a thousand uploads that fill a part of 8 MiB each for a minute would take 8 GB.  So
# memory has a budget, and:
#
# * a part begins in memory while there is some;
# * where there is none, an upload with parts on their way waits for one of them to arrive (it goes as fast as the server takes
#   it, and holds what it held before); one without any begins its part in the spool, so that nobody waits for others;
# * a part that is in memory for long, while memory is scarce, moves to the spool when its content pauses: that is how memory
#   comes back from the slow to the quick.
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

# Who takes longer to fill a part is slow.
LONG = 2 * SECONDS
# Memory is scarce when this much of it is lent, and so much of it is kept for the next when nobody needs it.
SCARCE = 0.5
KEPT = 0.25
# Below this, memory comes and goes with each part; above it, pages that were used once are kept, for making them costs as much
# as filling them.
WORTH_KEEPING = 1 * MiB
SPOOL_THREADS = 4


Body = bytes | bytearray | Region


class Portion:
    """
    Some bytes that are sent, perhaps again, and their CRC-32 if they are summed.  What it is made of is called on a thread.
    """

    def __init__(self, body: Callable[[], Body], crc: Callable[[], int] | None = None) -> None:
        self._body = body
        self._crc = crc
        self._known: int | None = None

    def body(self) -> Body:
        """
        Return the bytes.  Blocks.
        """
        return self._body()

    def crc(self) -> int | None:
        """
        Return their CRC-32, or None if nobody wants it.  Blocks.
        """
        if self._crc is not None and self._known is None:
            self._known = self._crc()
        return self._known


NOTHING = Portion(lambda: b"")


class Buffer:
    """
    Room for the bytes of one part, from *front* on; what is in front of them is in pieces yet.
    """

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
        """Whether nothing more goes in."""
        return self.filled == self.size

    @property
    def in_memory(self) -> bool:
        """Whether it takes memory that others could use."""
        return self._memory is not None

    async def add(self, block: memoryview) -> int:
        """
        Take as much of *block* as there is room for, and return how much.
        """
        taken = min(len(block), self.size - self.filled)
        await self.write(self.filled, block[:taken])
        self.filled += taken
        return taken

    async def write(self, at: int, block: memoryview) -> None:
        """
        Put *block* at an offset of the part.
        """
        if self._memory is not None:
            memoryview(self._memory)[at : at + len(block)] = block
        else:
            await self._buffers.threads.run(self._buffers.spool.write, self._cells, at, block)

    async def relax(self) -> None:
        """
        Leave memory to others, if this takes long and they need it.
        """
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
        """
        Return its bytes from *start* on for sending.  It must not be written to until that is over.
        """
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
        """
        Give the room back.  Doing it again is no error.
        """
        if self._memory is not None:
            self._buffers.give_back(self._memory)
        self._buffers.spool.give_back(self._cells)
        self._memory, self._cells = None, ()


class PartBuffers:
    """
    The buffers of all uploads of a process: *budget* bytes of memory, and a spool for those that take *long* (seconds).
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
        """Whether memory should go to those who need it for a short time."""
        return self._lent > self._budget * SCARCE

    def in_memory(self, size: int, front: int) -> Buffer | None:
        """
        Return a buffer in memory, or None if there is not so much.
        """
        if self._lent + size > self._budget:
            return None
        self._lent += size
        for index, memory in enumerate(self._kept):
            if len(memory) == size:
                del self._kept[index]
                return Buffer(self, size, front, memory, ())
        # Pages of other sizes make way.
        while self._kept and self._lent + sum(map(len, self._kept)) > self._budget:
            self._kept.pop()
        return Buffer(self, size, front, bytearray(size), ())

    def in_spool(self, size: int, front: int) -> Buffer:
        """
        Return a buffer in the spool.
        """
        return Buffer(self, size, front, None, self.spool.take(size))

    def give_back(self, memory: bytearray) -> None:
        """
        Take memory back.
        """
        self._lent -= len(memory)
        if len(memory) >= WORTH_KEEPING and sum(map(len, self._kept)) + len(memory) <= self._budget * KEPT:
            self._kept.append(memory)

    def close(self) -> None:
        """
        Let go of everything.
        """
        self.threads.close()
        self._kept.clear()
        self.spool.close()
