"""The verbs of uploads: ask the rules, move the bytes, then store the change."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import Authorised
from holdfast.service.core.commands import Append, Cancel, Completes, Create, GetOffset, Outcome
from holdfast.service.core.content.content import Content, NoContent, Stop
from holdfast.service.core.errors import (
    BytesLost,
    Evicted,
    LengthExceeded,
    StoreFailed,
    UploadError,
)
from holdfast.service.core.limits import Limits
from holdfast.service.core.policies import Policies
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.known import KnownSlot
from holdfast.service.core.store_errors import log_level, translated
from holdfast.service.core.timekeeper import ByClock, Times
from holdfast.service.core.upload import Step
from holdfast.service.core.uploads import admission
from holdfast.service.core.uploads.empty_appends import EmptyAppends
from holdfast.service.core.uploads.finish import Finish, Forget
from holdfast.service.core.uploads.journal import Held, UploadJournal
from holdfast.service.core.uploads.losses import Losses
from holdfast.service.core.uploads.observer import Observer, Report
from holdfast.service.core.uploads.progress import AppendProgress
from holdfast.storage import errors as storage_errors
from holdfast.storage.keys import new_key
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.leases import LeasedUploads
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, Ref, State, UploadRecord

logger = logging.getLogger("holdfast")

KEY_TRIES = 5
OFFSET_TRIES = 3


class Uploads:
    """Every verb of an upload, over any stores."""

    def __init__(
        self,
        content: ByteStore,
        metadata: MetadataStore,
        leased_uploads: LeasedUploads,
        limits: Limits,
        attachments: Attachments | None = None,
        *,
        forget: Forget | None = None,
        clock: Callable[[], float] = time.time,
        times: Times | None = None,
        keys: Callable[[], Key] = new_key,
    ) -> None:
        """*times* decide until when an upload is kept, and what has expired; the default is the *clock*."""
        self._bytes = content
        self._metadata = metadata
        self._leased_uploads = leased_uploads
        self._attachments = attachments or Attachments(content, metadata, Policies(), clock=clock)
        self._times = times or ByClock(clock)
        self._keys = keys
        self._journal = UploadJournal(metadata, clock)
        self._losses = Losses(content, metadata, self._journal, limits, self._times)
        self._end = Finish(content, self._journal, self._losses, self._attachments, limits, clock, self._times, forget)
        self._empty_appends = EmptyAppends()
        self.limits = limits

    async def create(
        self, asked: Authorised[Create], content: Content, observer: Observer | None = None, *, known: KnownSlot | None = None
    ) -> Outcome:
        """
        Begin an upload, and append the content of the creation.

        *observer* gets the reports of the append.  *known* is the slot that the upload is for, as far as it was read.
        """
        command = asked.command
        if (intent := command.intent) is not None:
            known = known or self._attachments.known(intent.slot)
            await self._attachments.expect(intent, command.length, command.content_type, command.content_encoding, known)
        with translated():
            record, is_new = await self._create(command, asked.by)
        if not is_new:
            return await self.offset(asked.then(GetOffset(ref=record.ref, completes=Completes.LATER)))
        if command.content_length == 0 and not rules.is_filled(record, command.completes, ended=True):
            return Outcome(record=record)
        # Content that does not belong to the upload in this dialect is not counted in the command, and not read.
        first = content if command.content_length != 0 else NoContent()
        return await self.append(asked.then(admission.first_append(command, record)), first, observer, known=known)

    async def append(
        self, asked: Authorised[Append], content: Content, observer: Observer | None = None, *, known: KnownSlot | None = None
    ) -> Outcome:
        """
        Append content to an upload; finish the upload if that completes it.

        *observer* gets the reports of the append.  *known* is the slot that the upload is for, as far as it was read.
        """
        if observer is None:
            return await self._append(asked, content, None, known)
        report = Report(observer)
        try:
            outcome = await self._append(asked, content, report, known)
        except BaseException as error:
            report.ended(error.record if isinstance(error, UploadError) else None, content.stopped, error)
            raise
        report.ended(outcome.record, outcome.stopped)
        return outcome

    async def _append(
        self, asked: Authorised[Append], content: Content, report: Report | None, known: KnownSlot | None
    ) -> Outcome:
        command, by = asked.command, asked.by

        def evicted() -> bool:
            content.stop(Stop.EVICTED)
            return True  # once the disk has the bytes before

        with translated():
            async with self._hold(command.ref, asked.permit, evicted) as held:
                try:
                    record = await self._end.finish(held.record, by, known=known)
                    admitted = admission.admit(record, command, self.limits, self._times.at_least())
                    progress = AppendProgress(self._bytes, self._journal, admitted, self.limits, self._times.at_most, report)
                    record = await progress.receive(asked, content, held)
                    self._empty_appends.count(admitted.stored, record, content)
                    record = await self._end.finish(record, by, held, known)
                except LengthExceeded as error:
                    if error.record is not None and admission.invalidates(error.record, command, record.offset):
                        error.record = await self._end.bury(error.record, Step.OVERRUN, by)
                    raise
                except (storage_errors.Corrupted, storage_errors.NotFound) as error:
                    left = await self._losses.settle(command.ref, error)
                    if left is None:
                        raise _failed(error) from error
                    raise BytesLost(left, command.offset) from error
        if content.stopped is Stop.EVICTED and record.state is State.OPEN:
            raise Evicted("a newer request has the upload now", record)
        return Outcome(record=record, stopped=content.stopped)

    async def offset(self, asked: Authorised[GetOffset]) -> Outcome:
        """Return how far an upload is, after a request that appends to it has let go."""
        command = asked.command
        with translated():
            status = await self._leased_uploads.status(command.ref)
            record = status.record
            asked.permit(record)
            rules.refuse_gone(record, self._times.at_least())
            if status.held or rules.is_pending(record, command):
                try:
                    record = await self._settled(asked)
                except storage_errors.NoSpace:
                    # On a full disk no lease can be taken, and no request can append.
                    if rules.is_pending(record, command):
                        raise
        rules.refuse_gone(record, self._times.at_least())
        admission.refuse_other_length(record, command)
        return Outcome(record=record)

    async def cancel(self, asked: Authorised[Cancel]) -> Outcome:
        """Cancel an upload, or delete its attachment."""
        with translated():
            async with self._hold(asked.command.ref, asked.permit) as held:
                rules.refuse_gone(held.record, self._times.at_least())
                rules.refuse_attached(held.record)
                return Outcome(record=await self._end.bury(held.record, Step.CANCEL, asked.by))

    async def sweep(self, page: int = 100) -> int:
        """
        Do what is due: finish received uploads, end expired ones.  Return how many uploads were looked at.

        Every process may run it at the same time; uploads that a request holds are left alone.
        """
        now, count = self._times.at_most(), 0
        after: UploadRecord | None = None
        while True:
            with translated():
                due = await self._metadata.due(now, page, after)
            for record in due:
                if not rules.is_due(record, self._times.at_least()):
                    continue
                try:
                    if not (await self._leased_uploads.status(record.ref)).held:
                        await self._sweep_one(record.ref)
                except (UploadError, storage_errors.StorageError) as error:
                    logger.log(log_level(error), "sweeping %s: %s", record.key, error)
            count += len(due)
            if len(due) < page:
                return count
            after = due[-1]

    async def _create(self, command: Create, by: Principal) -> tuple[UploadRecord, bool]:
        """Return the record, and whether it is new."""
        for _ in range(KEY_TRIES):
            record = admission.begin(command, by.subject, self._keys(), self.limits, self._times.at_most())
            try:
                await self._journal.create(record, by)
            except storage_errors.AlreadyExists as error:
                if error.existing is None:
                    continue
                if rules.expired(error.existing, self._times.at_least()):
                    # That frees its idempotency key; another request may be doing the same.
                    with suppress(storage_errors.LeaseLost, storage_errors.PreconditionFailed):
                        await self._sweep_one(error.existing.ref)
                    continue
                admission.refuse_other_request(error.existing, record)
                return error.existing, False
            else:
                return record, True
        raise StoreFailed("no free key was found")

    @asynccontextmanager
    async def _hold(
        self,
        ref: Ref,
        permit: Callable[[UploadRecord], object] = lambda _record: None,
        evicted: Callable[[], object] = lambda: True,
    ) -> AsyncIterator[Held]:
        """Hold the lease, and the record as the previous holder left it."""
        hold = await self._leased_uploads.hold(ref, permit, evicted, self.limits.eviction_wait)
        held, fenced = Held(hold), False
        try:
            if hold.lease.forced:
                held.record = await self._claim(hold.record)
            fenced = True
            yield held
        finally:
            if not held.settled:
                await hold.lease.leases.release(hold.lease, fenced=fenced)

    async def _claim(self, record: UploadRecord) -> UploadRecord:
        """Fence the upload against an unresponsive holder, which may be recording a last offset right now."""
        try:
            return await self._journal.replace(record, rules.claim(record))
        except storage_errors.PreconditionFailed:
            record = await self._metadata.get(record.ref)
            return await self._journal.replace(record, rules.claim(record))

    async def _settled(self, asked: Authorised[GetOffset]) -> UploadRecord:
        """Return the upload after its holder has let go, finished if it is due to be."""
        command = asked.command
        for _ in range(OFFSET_TRIES):
            try:
                async with self._hold(command.ref) as held:
                    record = held.record
                    if rules.is_pending(record, command) and record.state is State.OPEN:
                        filled = rules.fill(record, self.limits, self._times.at_most())
                        record = await self._journal.replace(record, filled, asked.by)
                    return await self._finished(record, asked, held)
            except storage_errors.LeaseLost:
                # A newer request has the upload.  What is recorded is durable, and so a true answer.
                record = await self._metadata.get(command.ref)
                if not rules.is_pending(record, command):
                    return record
        raise Evicted("newer requests have the upload now")

    async def _finished(self, record: UploadRecord, asked: Authorised[GetOffset], held: Held) -> UploadRecord:
        """Return the upload, finished if it is due to be; or what is left of it if bytes are lost."""
        try:
            return await self._end.finish(record, asked.by, held)
        except (storage_errors.Corrupted, storage_errors.NotFound) as error:
            left = await self._losses.settle(asked.command.ref, error)
            if left is None:
                raise _failed(error) from error
            return left

    async def _sweep_one(self, ref: Ref) -> None:
        async with self._hold(ref) as held:
            await self._end.sweep(held.record)


def _failed(error: storage_errors.StorageError) -> storage_errors.Corrupted:
    """Return the error for content that the store cannot read though it says that it is there."""
    return storage_errors.Corrupted(str(error))
