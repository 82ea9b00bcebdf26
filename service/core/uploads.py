"""
What is done with uploads: ask the rules, move the bytes, then record the fact.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from service.core import upload as rules
from service.core.commands import Append, Cancel, Completes, Create, GetOffset, Outcome
from service.core.content import Content, Stop
from service.core.errors import (
    AlreadyComplete,
    ContentConflict,
    ContentRejected,
    Evicted,
    FinishFailed,
    LengthExceeded,
    LengthMismatch,
    OutOfSpace,
    StoreFailed,
    UploadError,
    UploadNotFound,
)
from service.core.limits import Limits
from service.core.sniffing import SNIFFED_BYTES, canonical, sniff
from service.core.upload import Admitted, Step
from storage import errors as storage_errors
from storage.keys import new_key
from storage.ports import ByteStore, Leases, MetadataStore
from storage.records import Key, Ref, State, UploadRecord

logger = logging.getLogger("holdfast")

KEY_TRIES = 5
OFFSET_TRIES = 3
BLOCK = 1024 * 1024

# What a store says of its inside is for the log; clients get these sentences.  A newcomer changed the record, or waits for its
# lease: both mean that this request has lost its place.
STORAGE_ERRORS: dict[type[storage_errors.StorageError], tuple[type[UploadError], str]] = {
    storage_errors.NotFound: (UploadNotFound, "there is no such upload"),
    storage_errors.PreconditionFailed: (Evicted, "a newer request has the upload now"),
    storage_errors.LeaseLost: (Evicted, "a newer request has the upload now"),
    storage_errors.NoSpace: (OutOfSpace, "there is no room left"),
    storage_errors.Unavailable: (StoreFailed, "a store does not answer"),
    storage_errors.Corrupted: (StoreFailed, "a store has lost something"),
}


@contextmanager
def translated() -> Iterator[None]:
    """
    Raise storage errors in the words of uploads.
    """
    try:
        yield
    except storage_errors.StorageError as error:
        kind, message = STORAGE_ERRORS[type(error)]
        if kind is StoreFailed:
            logger.exception("store failed")
        raise kind(message) from error


class Uploads:
    """
    Every verb of an upload, over any stores.
    """

    def __init__(
        self,
        content: ByteStore,
        metadata: MetadataStore,
        leases: Leases,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        keys: Callable[[], Key] = new_key,
    ) -> None:
        self._bytes = content
        self._metadata = metadata
        self._leases = leases
        self._clock = clock
        self._keys = keys
        self.limits = limits

    async def create(self, command: Create, content: Content) -> Outcome:
        """
        Begin an upload, and append the content that comes along.
        """
        with translated():
            record, is_new = await self._create(command)
        if not is_new:
            return await self.offset(GetOffset(ref=record.ref, completes=Completes.LATER))
        if command.content_length == 0 and not rules.is_filled(record, command.completes, ended=True):
            return Outcome(record=record)
        return await self.append(rules.first_append(command, record), content)

    async def append(self, command: Append, content: Content) -> Outcome:
        """
        Add content to an upload; finish the upload if that completes it.
        """

        def evicted() -> bool:
            content.stop(Stop.EVICTED)
            return True  # as soon as the disk has what came before

        with translated():
            await self._metadata.get(command.ref)  # nobody may evict what is not theirs
            async with self._hold(command.ref, evicted) as record:
                record = await self._finish(record)
                try:
                    admitted = rules.admit(record, command, self.limits, self._clock())
                    record = await self._receive(admitted, command, content)
                except LengthExceeded as error:
                    if error.record is not None and rules.invalidates(error.record, command):
                        await self._bury(error.record, Step.OVERRUN)
                    raise
                record = await self._finish(record)
        if content.stopped is Stop.EVICTED and record.state is State.OPEN:
            raise Evicted("a newer request has the upload now", record)
        return Outcome(record=record, stopped=content.stopped)

    async def offset(self, command: GetOffset) -> Outcome:
        """
        Tell how far an upload is, after whoever appends to it has let go.
        """
        with translated():
            record = await self._metadata.get(command.ref)
            rules.refuse_gone(record, self._clock())
            if await self._leases.held(command.ref.key) or rules.is_pending(record, command):
                try:
                    record = await self._settled(command)
                except storage_errors.NoSpace:
                    # On a full disk no lease can be had; nor can anybody append.
                    if rules.is_pending(record, command):
                        raise
        rules.refuse_gone(record, self._clock())
        rules.refuse_other_length(record, command)
        return Outcome(record=record)

    async def cancel(self, command: Cancel) -> Outcome:
        """
        Give an upload up, or delete its attachment.
        """
        with translated():
            await self._metadata.get(command.ref)
            async with self._hold(command.ref) as record:
                rules.refuse_gone(record, self._clock())
                rules.refuse_attached(record)
                return Outcome(record=await self._bury(record, Step.CANCEL))

    async def get(self, ref: Ref) -> UploadRecord:
        """
        Return an upload without disturbing whoever appends to it.

        :raises UploadNotFound, UploadGone, ContentRejected: there is none to be had.
        """
        with translated():
            record = await self._metadata.get(ref)
        rules.refuse_gone(record, self._clock())
        return record

    async def read(self, record: UploadRecord, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """
        Yield the content of a complete upload from *start* up to *stop*.
        """
        with translated():
            try:
                async for block in self._bytes.read(record, start, stop):
                    yield block
            except storage_errors.NotFound as error:
                await self.get(record.ref)  # which may be gone meanwhile
                raise storage_errors.Corrupted(f"the content of {record.key} is missing") from error

    async def sweep(self, page: int = 100) -> int:
        """
        Do what is due: finish what was received, give up what expired.  Return how many uploads were looked at.

        Safe to run in every process at once; uploads that somebody works at are left alone.
        """
        now, count = self._clock(), 0
        after: UploadRecord | None = None
        while True:
            with translated():
                due = await self._metadata.due(now, page, after)
            for record in due:
                try:
                    if not await self._leases.held(record.key):
                        await self._sweep_one(record.ref)
                except (UploadError, storage_errors.StorageError) as error:
                    logger.warning("sweeping %s: %s", record.key, error)
            count += len(due)
            if len(due) < page:
                return count
            after = due[-1]

    async def _create(self, command: Create) -> tuple[UploadRecord, bool]:
        """Return the record, and whether it is a new one."""
        for _ in range(KEY_TRIES):
            record = rules.begin(command, self._keys(), self.limits, self._clock())
            try:
                await self._metadata.create(record)
            except storage_errors.AlreadyExists as error:
                if error.existing is None:
                    continue
                if rules.expired(error.existing, self._clock()):
                    # That frees its idempotency key; if somebody else is just doing it, so much the better.
                    with suppress(storage_errors.LeaseLost, storage_errors.PreconditionFailed):
                        await self._sweep_one(error.existing.ref)
                    continue
                rules.refuse_other_request(error.existing, record)
                return error.existing, False
            else:
                return record, True
        raise StoreFailed("no free key was found")

    @asynccontextmanager
    async def _hold(self, ref: Ref, evicted: Callable[[], object] = lambda: True) -> AsyncIterator[UploadRecord]:
        """Have the lease, and the record as the holder before left it."""
        lease = await self._leases.acquire(ref.key, evicted, self.limits.eviction_wait)
        fenced = False
        try:
            record = await self._metadata.get(ref)
            if lease.forced:
                record = await self._claim(record)
            fenced = True
            yield record
        finally:
            await self._leases.release(lease, fenced=fenced)

    async def _claim(self, record: UploadRecord) -> UploadRecord:
        """Fence the upload against whoever was passed over, who may be recording a last offset just now."""
        try:
            return await self._replace(record, rules.claim(record))
        except storage_errors.PreconditionFailed:
            record = await self._metadata.get(record.ref)
            return await self._replace(record, rules.claim(record))

    async def _receive(self, admitted: Admitted, command: Append, content: Content) -> UploadRecord:
        """Store what comes, up to the room that there is, and record how far it is now and then and at the end."""
        stored, record, room = admitted.stored, admitted.record, admitted.room
        if admitted.overlap and not await self._repeats(stored, command, admitted.overlap, content):
            return stored
        while room and not content.ended:
            if record.offset != stored.offset:
                stored = record = await self._replace(stored, record)
            batch = _batch(content, min(room, self.limits.checkpoint_bytes), self.limits.checkpoint_seconds)
            try:
                receipt = await self._bytes.append(record, batch)
            except storage_errors.NoSpace as error:
                if error.receipt is not None:
                    record = rules.advance(record, error.receipt, self.limits, self._clock())
                    stored = await self._replace(stored, record)
                raise OutOfSpace("there is no room for more", stored) from error
            if not receipt.received and content.stopped is not None:
                break
            room -= receipt.received
            record = rules.advance(record, receipt, self.limits, self._clock())
        while not room and not content.ended and content.stopped is None:
            if await content.read(1):
                rules.refuse_overrun(stored, record, self.limits)
            if record != stored and not content.ended:
                # Only the end of the coding is missing, and it is late.
                stored = record = await self._replace(stored, record)
        return await self._record_end(stored, record, command, content)

    async def _record_end(self, stored: UploadRecord, record: UploadRecord, command: Append, content: Content) -> UploadRecord:
        """Record the last offset of an append, and in the same revision whether the upload has all its bytes."""
        try:
            if rules.is_filled(record, command.completes, ended=content.ended):
                record = rules.fill(record, self.limits, self._clock())
        except LengthMismatch as error:
            error.record = await self._replace(stored, record)
            raise
        return record if record == stored else await self._replace(stored, record)

    async def _repeats(self, record: UploadRecord, command: Append, overlap: int, content: Content) -> bool:
        """Compare content with the stored bytes it repeats; return whether it goes on after them."""
        at = command.offset
        end = at + overlap
        while at < end:
            block = await content.read(min(end - at, BLOCK))
            if not block and (content.ended or content.stopped is not None):
                return False
            compared = 0
            async for known in self._bytes.read(record, at, at + len(block)):
                if block[compared : compared + len(known)] != known:
                    if record.state is State.COMPLETE:
                        raise AlreadyComplete("the upload is complete, with other bytes", record)
                    raise ContentConflict(f"bytes from {at + compared} on differ from the stored ones", record)
                compared += len(known)
            at += len(block)
        return True

    async def _settled(self, command: GetOffset) -> UploadRecord:
        """Return the upload after its holder has let go, finished if it was to be."""
        for _ in range(OFFSET_TRIES):
            try:
                async with self._hold(command.ref) as record:
                    if rules.is_pending(record, command) and record.state is State.OPEN:
                        record = await self._replace(record, rules.fill(record, self.limits, self._clock()))
                    return await self._finish(record)
            except storage_errors.LeaseLost:
                # A newer request has the upload.  What is recorded is durable all the same, and so a true answer.
                record = await self._metadata.get(command.ref)
                if not rules.is_pending(record, command):
                    return record
        raise Evicted("newer requests have the upload now")

    async def _finish(self, record: UploadRecord) -> UploadRecord:
        """Verify and publish what was received; whoever comes next does it again if this does not get through."""
        if record.state is not State.RECEIVED:
            return record
        try:
            if record.verify_type and not await self._is_what_it_promises(record):
                rejected = await self._bury(record, Step.REJECT)
                raise ContentRejected(f"the content is not {record.content_type}", rejected)
            await self._bytes.complete(record)
            return await self._replace(record, rules.end(record, Step.PUBLISH, self._clock()))
        except storage_errors.StorageError as error:
            logger.exception("the finish of %s failed and will be tried again", record.key)
            raise FinishFailed("every byte is safe, but the upload could not be finished yet", record) from error

    async def _is_what_it_promises(self, record: UploadRecord) -> bool:
        start = b""
        if record.offset:
            async for block in self._bytes.read(record, 0, min(SNIFFED_BYTES, record.offset)):
                start += block
        return sniff(start) == canonical(record.content_type or "")

    async def _replace(self, old: UploadRecord, new: UploadRecord) -> UploadRecord:
        replacement = dataclasses.replace(new, revision=old.revision + 1)
        await self._metadata.replace(old, replacement)
        return replacement

    async def _bury(self, record: UploadRecord, last: Step) -> UploadRecord:
        """End an upload, then delete its content; if that does not work now, the sweeper will."""
        return await self._delete_content(await self._replace(record, rules.end(record, last, self._clock())))

    async def _delete_content(self, record: UploadRecord) -> UploadRecord:
        try:
            await self._bytes.delete(record)
        except storage_errors.StorageError:
            logger.exception("the content of %s could not be deleted and will be tried again", record.key)
            return await self._postpone(record)
        return await self._replace(record, dataclasses.replace(record, expires_at=None))

    async def _postpone(self, record: UploadRecord) -> UploadRecord:
        """Have the sweeper come back to *record* after it has been to all others."""
        later = self._clock() + self.limits.finish_retry
        return await self._replace(record, dataclasses.replace(record, expires_at=later))

    async def _sweep_one(self, ref: Ref) -> None:
        async with self._hold(ref) as record:
            if record.state is State.RECEIVED:
                try:
                    await self._finish(record)
                except FinishFailed:
                    await self._postpone(record)
            elif rules.is_over(record):
                await self._delete_content(record)
            elif rules.expired(record, self._clock()):
                await self._bury(record, Step.EXPIRE)
            elif rules.is_unused(record, self._clock()):
                await self._bury(record, Step.PURGE)


async def _batch(content: Content, limit: int, seconds: float) -> AsyncIterator[memoryview]:
    """Yield content until *limit* or *seconds* are used up, or it pauses: what may be lost when this process crashes."""
    until = time.monotonic() + seconds
    while limit and (block := await content.read(min(limit, BLOCK))):
        limit -= len(block)
        yield block
        if time.monotonic() >= until:
            return
