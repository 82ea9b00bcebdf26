"""
Content in a local directory.

Theory of operation
-------------------

    <root>/uploads/ab/<key>[.<generation>]    while content still comes
    <root>/attachments/ab/<key>               published: never written again

*Offsets.*  Blocks are written with pwrite at the recorded offset, never in append mode, so bytes of an append whose offset was
never recorded are simply overwritten.  The size of the file is no evidence of anything.

*Publishing* is one rename.  A name under ``attachments/`` therefore always has its whole content, and `complete` looks there
first: that makes it repeatable, wherever a crash came between.

*The fence.*  A process may be frozen at any place (SIGSTOP, a paused virtual machine) and wake up in the middle of a write, or
just before it opens the file.  No lock helps against that.  So a file belongs to one generation: the first is ``<key>``, the next
are ``<key>.<generation>``.  Who passes a holder over records the next generation first.  The first append or completion in it
copies the bytes up to the recorded offset from the newest generation before it, renames the copy into place, and removes the
earlier files.  Whatever a sleeper does under its own generation's name, it never meets the newcomer's file.  And if it makes a
file in between, that has the same acknowledged bytes, for nothing was acknowledged since.

A holder that lets go, or is dead, is not passed over, so this copy is only made for sleepers.

*Durability* (design: an acknowledged offset is a promise):

    acknowledged   fdatasync before every append returns; fsync of the directories when a name appears
    complete       the same, but only when the upload completes
    none           whatever the kernel does; survives a crash of the process, not of the machine

*A sync that failed* is not believed when it is made again: what was not synced before is written again by the client that was not
told of it, or has to be received again.
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
    """
    A `holdfast.storage.ports.ByteStore` on a directory that may be shared by any number of processes of one machine.
    """

    def __init__(
        self,
        root: str,
        durability: Durability = Durability.ACKNOWLEDGED,
        threads: int = 16,
        unrecorded: int = UNRECORDED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Less than *unrecorded* bytes are not worth being recorded as soon as somebody wishes it."""
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
        """
        Return the path of published content, below the root.
        """
        return os.path.relpath(self._path("attachments", record), self._root)

    def open_names(self, record: UploadRecord) -> Sequence[str]:
        """
        Return the paths below the root at which content that is not published may be, the newest generation first.
        """
        generations = reversed(range(record.generation + 1))
        return [os.path.relpath(self._upload(record, generation), self._root) for generation in generations]

    async def expect(self, record: UploadRecord) -> None:
        await self._threads.nearby(self._room.refuse_without_room, record)

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
            await self._threads.nearby(self._room.refuse_what_never_fits, record)
            await append.open()
            async for block in content:
                if block:
                    await append.write(block)
                    continue
                if append.has_news:
                    await append.sync()
                    await checkpoint(append.tell())
            return await append.end()
        except NoSpace as error:
            self._room.doubt()
            if error.receipt is None:
                raise  # not of a block
            raise NoSpace(str(error), await append.end()) from error
        finally:
            append.close()

    async def complete(self, record: UploadRecord) -> None:
        run = self._threads.run if self._sync_completion else self._threads.nearby
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
        """Have the descriptor that *opener* returns; it is closed even if the caller is cancelled while it is opened."""
        descriptors: list[int] = []
        try:
            await self._threads.run(lambda: descriptors.append(opener(record)))
            yield descriptors[0]
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    # What follows blocks, and runs on the threads.

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
            # What has no bytes yet has mostly no file.
            descriptor = os.open(path, _NEW if not record.offset else _KNOWN, 0o600)
        except FileExistsError:
            # Whoever made it may have been killed before its name was on the disk.
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
                    # Those before it may go when this one is there for good, also if somebody else made it.
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
            raise Corrupted(f"{record.key} is missing its first {record.offset} bytes")
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
            # Though it was acknowledged: less may have been promised then.
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
        Sync what is to be published; what was not synced before, and cannot be now, is no content any more.

        After an error the system forgets what it did not write, and says next time that all is well.  Only what was acknowledged
        as durable was synced before, and stays.
        """
        try:
            os.fsync(descriptor)
        except OSError as error:
            if self._sync_appends:
                raise
            self._remove_generations(record, below=record.generation + 1)
            with suppress(StorageError):
                files.sync_folders([os.path.dirname(self._upload(record, 0))])
            raise Corrupted(f"the disk did not take all of {record.key}: {error}") from error

    def _open_for_reading(self, record: UploadRecord) -> int:
        with files.os_errors():
            published = self._path("attachments", record)
            # Publishing goes one way: what was not there yet, and then is no longer open, is there the second time.
            for _ in range(2):
                with suppress(FileNotFoundError):
                    return _whole(os.open(published, os.O_RDONLY | os.O_CLOEXEC), record)
                descriptor = self._open_newest(record, below=record.generation + 1)
                if descriptor is not None:
                    return _whole(descriptor, record)
        self._refuse_without_folders()
        raise NotFound(f"there is no content of {record.key}")

    def _refuse_without_folders(self) -> None:
        """Refuse to take content for lost while the file system with all of it is not mounted."""
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
    """Return *descriptor* if all that is promised of *record* is in its file; else close it."""
    size = os.fstat(descriptor).st_size
    if size < record.offset:
        os.close(descriptor)
        raise Corrupted(f"{record.key} ends at {size}, not at {record.offset}")
    return descriptor
