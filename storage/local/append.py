"""
One append to a local file.

Its file is made and written on the event loop, as long as the disk takes such calls at once.  A write costs a copy to the page
cache, and the processor that has just received the block has it in its own cache; a thread on another one would fetch it from
there first.  Measured, that took 1.6 times the CPU time, and longer than receiving and writing in turns.  Only what waits for the
disk is done on threads: syncing, in one call for the names of new folders, that of the file and its content; and everything while
the disk is slow.

For the same reason content that will be synced begins its way to the disk soon after it was written, and not when a thread comes
to sync 32 MiB of it.  Measured with one stream, that took 0.7 of the CPU time and half of the other: the disk always has work.
PostgreSQL does the same, as often (bgwriter_flush_after).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from holdfast.storage import files
from holdfast.storage.errors import NoSpace
from holdfast.storage.local.folders import Folders
from holdfast.storage.records import Receipt, UploadRecord
from holdfast.storage.threads import Threads

KiB = 1024
SECONDS = 1.0

# When the disk is full, this much of what was just written is given back: recording the rest takes room as well.
RESERVE = 256 * KiB
# So much begins its way to the disk together.
FLUSH = 512 * KiB
# To record less than that at once costs a slow upload more than to receive it; to send it again costs a client little.
UNRECORDED = 64 * KiB
UNRECORDED_FOR = 30 * SECONDS

Opened = tuple[int, Sequence[str]]
"""A descriptor of a file, and the folders whose names have to reach the disk before what is written there is there for good."""


class LocalAppend:
    """
    The file of an append, and how far it is; *syncs* says whether that has to be durable, *flushes* whether it will have to be.

    Less than *unrecorded* bytes are not worth being recorded at once.
    """

    def __init__(
        self,
        record: UploadRecord,
        opener: Callable[[], Opened],
        folders: Folders,
        threads: Threads,
        clock: Callable[[], float],
        *,
        syncs: bool,
        flushes: bool,
        unrecorded: int,
    ) -> None:
        self._record = record
        self._opener = opener
        self._known_folders = folders
        self._threads = threads
        self._clock = clock
        self._syncs = syncs
        self._flushes = flushes
        self._flushed = record.offset
        self._unrecorded = unrecorded
        self._descriptors: list[int] = []
        """Empty, or the one that is open: known as soon as it is, whoever is cancelled meanwhile."""
        self._folders: Sequence[str] = ()
        self._received = self._told = self._synced = 0
        self._told_at = clock()

    @property
    def has_news(self) -> bool:
        """Whether what was received, and not told, is worth being told."""
        news = self._received - self._told
        return news >= self._unrecorded or (news > 0 and self._clock() >= self._told_at + UNRECORDED_FOR)

    def tell(self) -> Receipt:
        """
        Return what was received.
        """
        self._told, self._told_at = self._received, self._clock()
        return Receipt(received=self._received, parts=self._record.parts)

    async def open(self) -> None:
        """
        Open the file before anything comes.  One that does not exist yet is made together with the first block.
        """
        if self._record.generation:
            await self._threads.run(self._open)  # it may have to be copied
        elif self._record.offset:
            await self._threads.nearby(self._open)

    async def write(self, block: memoryview) -> None:
        """
        Write the next block.

        :raises NoSpace: with a receipt, if some of what was received is there.
        """
        try:
            await self._threads.nearby(self._write, block)
        except NoSpace as error:
            if error.receipt is not None:
                self._received = max(self._told, self._received + error.receipt.received - RESERVE)
                await self._threads.run(files.truncate, self._descriptors[0], self._record.offset + self._received)
            raise
        self._received += len(block)

    async def sync(self) -> None:
        """
        Return when the file is there, and what was received is as durable as it has to be.
        """
        if not self._descriptors:
            await self._threads.nearby(self._open)
        files.refuse_shorter(self._descriptors[0], self._record.offset + self._received)
        if self._syncs and (self._folders or self._received > self._synced):
            await self._threads.run(self._sync)
            self._synced = self._received

    async def end(self) -> Receipt:
        """
        Return what is durable when nothing more comes.
        """
        await self.sync()
        return self.tell()

    def close(self) -> None:
        """
        Let go of the file.
        """
        for descriptor in self._descriptors:
            os.close(descriptor)

    # What follows blocks.

    def _open(self) -> int:
        if not self._descriptors:
            descriptor, self._folders = self._opener()
            self._descriptors.append(descriptor)
        return self._descriptors[0]

    def _write(self, block: memoryview) -> None:
        descriptor, start = self._open(), self._record.offset + self._received
        files.refuse_shorter(descriptor, start)
        files.write(descriptor, block, start)
        length = start + len(block) - self._flushed
        if self._flushes and length >= FLUSH:
            files.begin_sync(descriptor, self._flushed, length)
            self._flushed += length

    def _sync(self) -> None:
        self._known_folders.sync(self._folders)
        self._folders = ()
        files.sync(self._descriptors[0])
