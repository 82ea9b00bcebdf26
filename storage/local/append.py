"""
One append to a local file.

Its file is made and written on the event loop, as long as the disk takes such calls at once.  A write costs a copy to the page
Its file is made and written on the event loop, as long as the disk takes such calls at once.  A write costs a copy to the page
cache, and the block is still in the cache of the processor that received it; a thread on another processor would have to fetch
it. Measured, a thread took 1.6 times the CPU time, and longer than receiving and writing in turns.  Threads do what waits for the
disk: syncing, in one call for the names of new folders, that of the file and its content; and everything while the disk is slow.

For the same reason the kernel is asked to write content soon after it came, and not when a thread comes to sync 32 MiB of it.
Measured with one stream, that took 0.7 of the CPU time and half of the elapsed time: the disk always has work.  PostgreSQL does
the same, as often (bgwriter_flush_after).
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

# When the disk is full, this much of what was just written is freed again, since recording the rest takes room as well.
RESERVE = 256 * KiB
# Bytes that the kernel is asked to write together.
FLUSH = 512 * KiB
# Recording less than this costs a slow upload more than receiving it; sending it again costs a client little.
UNRECORDED = 64 * KiB
UNRECORDED_FOR = 30 * SECONDS

Opened = tuple[int, Sequence[str]]
"""A file descriptor, and the folders to sync before the names of what is written there are durable."""


class LocalAppend:
    """
    The file of an append, and how far it is.

    :param opener: opens the file; it blocks, and is called once, on a thread or the event loop
    :param syncs: whether received bytes must be durable before they are reported
    :param flushes: whether they will have to be durable later
    :param unrecorded: fewer bytes than this are not worth a record of their own
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
        """Empty, or the open descriptor; set as soon as it is open, so that a cancelled caller can close it."""
        self._folders: Sequence[str] = ()
        self._received = self._reported = self._synced = 0
        self._reported_at = clock()

    @property
    def has_news(self) -> bool:
        """Whether enough was received since the last report to record it."""
        news = self._received - self._reported
        return news >= self._unrecorded or (news > 0 and self._clock() >= self._reported_at + UNRECORDED_FOR)

    def report(self) -> Receipt:
        """Return what was received; the caller has synced it."""
        self._reported, self._reported_at = self._received, self._clock()
        return Receipt(received=self._received, parts=self._record.parts)

    async def open(self) -> None:
        """Open the file before content comes.  A file that does not exist yet is made with the first block."""
        if self._record.generation:
            await self._threads.run(self._open)  # may copy the file
        elif self._record.offset:
            await self._threads.on_loop(self._open)

    async def write(self, block: memoryview) -> None:
        """
        Write the next block.

        :raises NoSpace: the disk is full; with a receipt if part of the received bytes is stored.
        """
        try:
            await self._threads.on_loop(self._write, block)
        except NoSpace as error:
            if error.receipt is not None:
                self._received = max(self._reported, self._received + error.receipt.received - RESERVE)
                await self._threads.run(files.truncate, self._descriptors[0], self._record.offset + self._received)
            raise
        self._received += len(block)

    async def sync(self) -> None:
        """Return once the file exists, and what was received is as durable as it has to be."""
        if not self._descriptors:
            await self._threads.on_loop(self._open)
        files.refuse_shorter(self._descriptors[0], self._record.offset + self._received)
        if self._syncs and (self._folders or self._received > self._synced):
            await self._threads.run(self._sync)
            self._synced = self._received

    async def end(self) -> Receipt:
        """Return what is durable, after the content has ended."""
        await self.sync()
        return self.report()

    def close(self) -> None:
        """Close the file."""
        for descriptor in self._descriptors:
            os.close(descriptor)

    # The methods below block.

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
