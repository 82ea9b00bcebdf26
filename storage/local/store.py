"""
Content in a local directory.

Theory of operation
-------------------

    <root>/uploads/ab/<key>[.<generation>]    while content still comes
    <root>/attachments/ab/<key>               published: never written again

*Offsets.*  Blocks are written with pwrite at the recorded offset, never in append mode, so the bytes of an append that was
never recorded are overwritten.  The size of a file proves nothing.

*Publishing* is one rename.  A name under ``attachments/`` therefore always has its whole content, and `complete` looks there
first: so it can be repeated after a crash at any point.

*The fence.*  A process may be frozen anywhere (SIGSTOP, a paused virtual machine) and go on in the middle of a write, or just
before it opens the file.  No lock helps against that.  So a file belongs to one generation: the first is ``<key>``, the next
are ``<key>.<generation>``.  A new holder that fences an unresponsive one off records the next generation first.  Its first
append or completion copies the bytes up to the recorded offset from the newest earlier generation, renames the copy into place,
and removes the earlier files.  Whatever the old holder writes under its own generation's name, it never touches the new file.
If it makes the file of its generation again, that has the same acknowledged bytes, since nothing was acknowledged in between.

A holder that lets go, or is dead, needs no fence, so only unresponsive holders cause this copy.

*Durability* (design: an acknowledged offset is a promise):

    acknowledged   fdatasync before every append returns; fsync of the directories when a name appears
    complete       the same, but only when the upload completes
    none           whatever the kernel does; survives a crash of the process, not of the machine

*A failed sync* proves nothing when it is repeated: bytes that were not acknowledged are sent again by the client, and others
have to be received again.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial

from holdfast.storage import files, keys
from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NoSpace, NotFound, StorageError, Unavailable
from holdfast.storage.local.append import UNRECORDED, LocalAppend, Opened
from holdfast.storage.local.folders import Folders, make_root
from holdfast.storage.local.room import FOLDERS, LocalRoom
from holdfast.storage.ports.content import Checkpoint, unrecorded
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.records import Parts, Receipt, UploadRecord
from holdfast.storage.threads import Threads

READ_BLOCK = 256 * 1024  # bytes
COPY = ".copy"
_KNOWN = os.O_RDWR | os.O_CLOEXEC
_NEW = _KNOWN | os.O_CREAT | os.O_EXCL


class LocalByteStore:
    """A `holdfast.storage.ports.ByteStore` on a directory that any number of processes of one machine share."""

    def __init__(
        self,
        root: str,
        durability: Durability = Durability.ACKNOWLEDGED,
        threads: int = 16,
        unrecorded: int = UNRECORDED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*unrecorded* is the number of bytes below which a requested checkpoint is skipped."""
        self._root = os.path.abspath(root)
        self._unrecorded = unrecorded
        self._clock = clock
        self._sync_appends = durability is Durability.ACKNOWLEDGED
        self._sync_completion = durability is not Durability.NONE
        self._threads = Threads("bytes", threads)
        self._folders = Folders()
        self._room = LocalRoom(self._root, self._threads, syncs=self._sync_completion)
        with files.os_errors():
            make_root(self._root, syncs=self._sync_completion)
            for folder in FOLDERS:
                self._folders.make(os.path.join(self._root, folder))
            if self._sync_completion:
                files.sync_folders([self._root])

    @property
    def root(self) -> str:
        """The directory, as an absolute path."""
        return self._root

    def published_name(self, record: UploadRecord) -> str:
        """Return the path of published content, below the root."""
        return os.path.relpath(self._path("attachments", record), self._root)

    def open_names(self, record: UploadRecord) -> Sequence[str]:
        """Return the paths, below the root, of content that is not published, the newest generation first."""
        generations = reversed(range(record.generation + 1))
        return [os.path.relpath(self._upload(record, generation), self._root) for generation in generations]

    async def expect(self, record: UploadRecord) -> None:
        await self._threads.on_loop(self._room.refuse_without_room, record)

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        append = LocalAppend(
            record,
            partial(self._open_generation, record),
            self._folders,
            self._threads,
            self._clock,
            syncs=self._sync_appends,
            flushes=self._sync_completion,
            unrecorded=self._unrecorded,
        )
        try:
            await self._threads.on_loop(self._room.refuse_what_never_fits, record)
            await append.open()
            async for block in content:
                if block:
                    await append.write(block)
                    continue
                if append.has_news:
                    await append.sync()
                    await checkpoint(append.report())
            return await append.end()
        except NoSpace as error:
            self._room.doubt()
            if error.receipt is None:
                raise  # no block failed: nothing was received
            raise NoSpace(str(error), await append.end()) from error
        finally:
            append.close()

    async def complete(self, record: UploadRecord) -> None:
        run = self._threads.run if self._sync_completion else self._threads.on_loop
        await run(self._complete, record)

    def exposed(self, record: UploadRecord) -> Parts:
        return record.parts

    async def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        async with self._opened(self._open_for_reading, record) as descriptor:
            while start < stop:
                block = await self._threads.run(files.read, descriptor, start, min(stop - start, READ_BLOCK))
                if not block:
                    raise Corrupted(f"{record.key} ends at {start}, not at {stop}")
                yield memoryview(block)
                start += len(block)

    def file(self, record: UploadRecord) -> AbstractAsyncContextManager[int | None]:
        return self._opened(self._open_for_reading, record)

    async def salvage(self, record: UploadRecord) -> Remains:
        left = await self._threads.run(self._left, record)
        return Remains(offset=min(left, record.offset), parts=record.parts)

    async def delete(self, record: UploadRecord) -> None:
        await self._threads.run(self._delete, record)

    async def ping(self) -> None:
        await self._room.ping()

    async def close(self) -> None:
        self._threads.close()

    @asynccontextmanager
    async def _opened(self, opener: Callable[[UploadRecord], int], record: UploadRecord) -> AsyncIterator[int]:
        """Yield the descriptor that *opener* returns, and close it even if the caller is cancelled during the opening."""
        descriptors: list[int] = []
        try:
            await self._threads.run(lambda: descriptors.append(opener(record)))
            yield descriptors[0]
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    # The methods below block, and run on the threads.

    def _upload(self, record: UploadRecord, generation: int) -> str:
        path = self._path("uploads", record)
        return f"{path}.{generation}" if generation else path

    def _path(self, folder: str, record: UploadRecord) -> str:
        return os.path.join(self._root, folder, keys.shard(record.key), record.key)

    @files.os_errors()
    def _open_generation(self, record: UploadRecord) -> Opened:
        """Open the file that belongs to the record's generation, with its *offset* bytes in it."""
        path = self._upload(record, record.generation)
        folder = os.path.dirname(path)
        try:
            # An upload without bytes usually has no file yet.
            descriptor = os.open(path, _NEW if not record.offset else _KNOWN, 0o600)
        except FileExistsError:
            # Its maker may have been killed before the name was durable.
            descriptor = os.open(path, _KNOWN)
        except FileNotFoundError:
            self._folders.make(folder)
            descriptor = self._begin_generation(record, path)
        else:
            if record.offset and os.fstat(descriptor).st_size < record.offset:
                os.close(descriptor)
                raise Corrupted(f"{record.key} is shorter than {record.offset} bytes")
            if record.offset and not record.generation:
                return descriptor, ()
        folders = self._folders.above(folder)
        if record.generation:
            try:
                if self._sync_appends:
                    # Earlier generations may be removed once this one is durable, also if another process made it.
                    self._folders.sync(folders)
                    folders = ()
                self._remove_generations(record, below=record.generation)
            except BaseException:
                os.close(descriptor)
                raise
        return descriptor, folders

    def _begin_generation(self, record: UploadRecord, path: str) -> int:
        if not record.offset:
            return os.open(path, _KNOWN | os.O_CREAT, 0o600)
        source = self._open_newest(record, below=record.generation)
        if source is None:
            self._refuse_without_folders()
            raise Corrupted(f"the first {record.offset} bytes of {record.key} are missing")
        temporary = path + COPY
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                files.copy(source, descriptor, record.offset)
                os.fsync(descriptor)
                os.rename(temporary, path)
            except BaseException:
                os.close(descriptor)
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
        finally:
            os.close(source)
        return descriptor

    def _open_newest(self, record: UploadRecord, *, below: int) -> int | None:
        for generation in reversed(range(below)):
            with suppress(FileNotFoundError):
                return os.open(self._upload(record, generation), os.O_RDONLY | os.O_CLOEXEC)
        return None

    def _remove_generations(self, record: UploadRecord, *, below: int) -> None:
        for generation in range(below):
            for ending in ("", COPY) if generation else ("",):
                with suppress(FileNotFoundError):
                    os.unlink(self._upload(record, generation) + ending)

    @files.os_errors()
    def _complete(self, record: UploadRecord) -> None:
        target = self._path("attachments", record)
        if files.size(target) != record.offset:
            self._publish(record, target)
        self._remove_generations(record, below=record.generation)
        if self._sync_completion:
            self._folders.sync(self._folders.above(os.path.dirname(target)))

    def _publish(self, record: UploadRecord, target: str) -> None:
        descriptor, _ = self._open_generation(record)
        try:
            if os.fstat(descriptor).st_size > record.offset:
                os.ftruncate(descriptor, record.offset)
            source = self._upload(record, record.generation)
            # Also what was acknowledged: the durability setting may have been lower then.
            if self._sync_completion:
                self._sync_or_drop(descriptor, record)
            try:
                os.rename(source, target)
            except FileNotFoundError:
                self._folders.make(os.path.dirname(target))
                os.rename(source, target)
        finally:
            os.close(descriptor)

    def _sync_or_drop(self, descriptor: int, record: UploadRecord) -> None:
        """
        Sync the content that is to be published; remove content that was never synced, and cannot be now.

        After an error the kernel drops what it did not write, and the next sync succeeds.  Only content that was acknowledged
        as durable was synced before; it is kept.
        """
        try:
            os.fsync(descriptor)
        except OSError as error:
            if self._sync_appends:
                raise
            self._remove_generations(record, below=record.generation + 1)
            with suppress(StorageError):
                files.sync_folders([os.path.dirname(self._upload(record, 0))])
            raise Corrupted(f"the disk did not store all of {record.key}: {error}") from error

    def _open_for_reading(self, record: UploadRecord) -> int:
        with files.os_errors():
            published = self._path("attachments", record)
            # Content moves from uploads/ to attachments/ only: if it moves between the two looks, the second round finds it.
            for _ in range(2):
                with suppress(FileNotFoundError):
                    return _whole(os.open(published, os.O_RDONLY | os.O_CLOEXEC), record)
                descriptor = self._open_newest(record, below=record.generation + 1)
                if descriptor is not None:
                    return _whole(descriptor, record)
        self._refuse_without_folders()
        raise NotFound(f"there is no content of {record.key}")

    def _refuse_without_folders(self) -> None:
        """Refuse to report content as lost while its file system is not mounted."""
        for folder in FOLDERS:
            if not os.path.isdir(os.path.join(self._root, folder)):
                raise Unavailable(f"the folder {folder} of the byte store is missing: is its file system mounted?")

    @files.os_errors()
    def _left(self, record: UploadRecord) -> int:
        """Return how many bytes the newest file has."""
        descriptor = self._open_newest(record, below=record.generation + 1)
        if descriptor is None:
            self._refuse_without_folders()
            return 0
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    @files.os_errors()
    def _delete(self, record: UploadRecord) -> None:
        self._remove_generations(record, below=record.generation + 1)
        with suppress(FileNotFoundError):
            os.unlink(self._path("attachments", record))


def _whole(descriptor: int, record: UploadRecord) -> int:
    """Return *descriptor* if its file has all acknowledged bytes; otherwise close it and raise Corrupted."""
    size = os.fstat(descriptor).st_size
    if size < record.offset:
        os.close(descriptor)
        raise Corrupted(f"{record.key} ends at {size}, not at {record.offset}")
    return descriptor
