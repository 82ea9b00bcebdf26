"""
Space in a file for the parts of slow uploads, which leaves memory to quick ones.

Looked at: aiofiles has no positioned reads and writes (`pread`, `pwrite`), which parts in one file need, and works on the threads
of the event loop.  `Buffer` calls `write` on threads of its own, as many as suit a disk.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence

from holdfast.storage.s3.errors import s3_errors

MiB = 1024 * 1024
CELL = 1 * MiB


class Spool:
    """
    One file without a name, in cells of 1 MiB; it disappears with the process.

    One file serves all parts, so a thousand uploads need no thousand descriptors.  Cells that are not written take no space.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._free: list[int] = []
        self._count = 0

    def take(self, size: int) -> tuple[int, ...]:
        """
        Return as many cells as *size* bytes need.

        :raises NoSpace, Unavailable: the file cannot be made.
        """
        if self._descriptor is None:
            with s3_errors("the spool folder"):
                if self._folder is not None:
                    os.makedirs(self._folder, mode=0o700, exist_ok=True)
                with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                    self._descriptor = os.dup(file.fileno())
        cells = []
        for _ in range(-(-size // CELL)):
            if self._free:
                cells.append(self._free.pop())
            else:
                cells.append(self._count)
                self._count += 1
        return tuple(cells)

    def give_back(self, cells: Sequence[int]) -> None:
        """Take cells back that are neither read nor written any more."""
        self._free += cells
        if len(self._free) == self._count and self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            self._free.clear()
            self._count = 0

    def write(self, cells: Sequence[int], at: int, block: memoryview) -> None:
        """
        Write *block* at an offset of the joined cells.  Blocks.

        :raises NoSpace, Unavailable: the write fails.
        """
        with s3_errors("the spool folder"):
            for place, start, stop in _places(cells, at, len(block)):
                done = start
                while done < stop:
                    done += os.pwrite(self._file, block[done:stop], place + done - start)

    def read(self, cells: Sequence[int], at: int, size: int) -> bytes:
        """Return *size* bytes from an offset of the joined cells.  Blocks."""
        with s3_errors("the spool folder"):
            return b"".join(os.pread(self._file, stop - start, place) for place, start, stop in _places(cells, at, size))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            raise ValueError("the spool is not in use")
        return self._descriptor


def _places(cells: Sequence[int], at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each stretch its offset in the file, and its start and stop within the *size* bytes."""
    done = 0
    while done < size:
        cell, within = divmod(at + done, CELL)
        stretch = min(CELL - within, size - done)
        yield cells[cell] * CELL + within, done, done + stretch
        done += stretch


class Region(io.RawIOBase):
    """Bytes of a spool as a file, for botocore to send."""

    def __init__(self, spool: Spool, cells: Sequence[int], start: int, stop: int) -> None:
        self._spool = spool
        self._cells = cells
        self._start = start
        self._size = stop - start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        size = left if size is None or size < 0 else min(size, left)
        block = self._spool.read(self._cells, self._start + self._at, size)
        self._at += len(block)
        return block
