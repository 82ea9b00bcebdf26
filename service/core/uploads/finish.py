"""The end of uploads: content is verified, published and attached; or the upload ends, and its content is deleted."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable

from holdfast.service.core import upload as rules
from holdfast.service.core.content.media_types import IMAGES, accepted, contradicts, found, is_undeclared
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import (
    ContentRejected,
    FinishFailed,
    ImageInvalid,
    ImageTooLarge,
    NotAccepted,
    StoreFailed,
    TooLarge,
    UploadError,
)
from holdfast.service.core.limits import Limits
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots.acceptance import FirstBytes
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.known import KnownSlot
from holdfast.service.core.store_errors import log_level
from holdfast.service.core.timekeeper import Times
from holdfast.service.core.upload import Step
from holdfast.service.core.uploads.journal import Held, UploadJournal
from holdfast.service.core.uploads.losses import Losses
from holdfast.storage.errors import Corrupted, NoSpace, NotFound, StorageError
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import Intent, Key, State, UploadRecord

logger = logging.getLogger("holdfast")

# The errors of a slot that will never take the content.
UNFIT: tuple[type[UploadError], ...] = (NotAccepted, ImageInvalid, ImageTooLarge, TooLarge)


Forget = Callable[[Key], Awaitable[None]]


class Finish:
    """Finishes uploads that have all their bytes, and ends others.  The caller holds the lease."""

    def __init__(
        self,
        content: ByteStore,
        journal: UploadJournal,
        losses: Losses,
        attachments: Attachments,
        limits: Limits,
        clock: Callable[[], float],
        times: Times,
        forget: Forget | None = None,
    ) -> None:
        """*forget* is awaited for each upload whose content is deleted; it deletes what was made of that content (renditions)."""
        self._bytes = content
        self._journal = journal
        self._losses = losses
        self._attachments = attachments
        self._limits = limits
        self._clock = clock
        self._times = times
        self._forget = forget

    async def finish(
        self, record: UploadRecord, by: Principal | None, held: Held | None = None, known: KnownSlot | None = None
    ) -> UploadRecord:
        """
        Verify and publish an upload with all its bytes; if this fails, the next request for it, or the sweeper, tries again.

        :param held: the caller's hold, if it does nothing more with the upload: it is let go in the same commit
        :param known: the slot that the upload is for, as far as it was read
        :raises ContentRejected: the content is not what was announced, or not for its slot.
        :raises FinishFailed, SlotError: the finish failed; every byte is safe.
        :raises Corrupted, NotFound: acknowledged bytes are missing.
        """
        if record.state is not State.RECEIVED:
            return record
        start, intent = FirstBytes(self._bytes, record), record.intent
        try:
            kind = await self._kind(record, start, by) if record.verify_type else record.content_type
            if intent is not None:
                known = known or self._attachments.known(intent.slot)
                kind = await self._fit(record, intent, start, known, by) or kind
            await self._bytes.complete(record)
            published = rules.publish(record, self._limits, self._times.at_most())
            if record.content_type is None or canonical(record.content_type) != kind:
                published = dataclasses.replace(published, content_type=kind)
            if intent is not None and known is not None:
                return await self._attachments.conclude(record, published, intent, by, known)
            if held is None:
                return await self._journal.replace(record, published, by)
            return await self._journal.settle(held, record, published, by)
        except (Corrupted, NotFound):
            raise  # acknowledged bytes are missing: the answer must not say that they are safe
        except (StorageError, StoreFailed) as error:
            logger.log(log_level(error), "the finish of %s failed and will be tried again: %s", record.key, error)
            raise FinishFailed("every byte is safe, but the upload could not be finished yet", record) from error

    async def bury(
        self, record: UploadRecord, last: Step, by: Principal | None = None, reason: str | None = None
    ) -> UploadRecord:
        """End an upload, then delete its content; if the deletion fails, the sweeper tries again."""
        ended = rules.end(record, last, self._clock())
        try:
            buried = await self._journal.replace(record, ended, by, reason)
        except NoSpace:
            if record.state is State.COMPLETE:
                raise  # another request may be attaching it: only the record decides which comes first
            # Deleting its bytes makes room for the record.  If this process crashes here, the next request reports the loss.
            await self._bytes.delete(record)
            buried = await self._journal.replace(record, ended, by, reason)
        return await self.delete_content(buried)

    async def delete_content(self, record: UploadRecord) -> UploadRecord:
        """Delete the content of an upload that has ended."""
        try:
            await self._bytes.delete(record)
            if self._forget is not None:
                await self._forget(record.key)
        except StorageError as error:
            logger.log(log_level(error), "the content of %s could not be deleted and will be tried again: %s", record.key, error)
            return await self.postpone(record)
        return await self._journal.replace(record, dataclasses.replace(record, expires_at=None, tries=0))

    async def postpone(self, record: UploadRecord) -> UploadRecord:
        """Have the sweeper come back to *record* later: twice as late after each failure, up to a bound."""
        return await self._journal.replace(record, rules.postpone(record, self._limits, self._clock()))

    async def sweep(self, record: UploadRecord) -> None:
        """Do what is due with an upload."""
        now = self._times.at_least()
        if record.state is State.RECEIVED:
            await self._sweep_received(record)
        elif rules.is_over(record):
            await self.delete_content(record)
        elif rules.expired(record, now):
            await self.bury(record, Step.EXPIRE)
        elif rules.is_unused(record, now):
            await self.bury(record, Step.PURGE)
        elif rules.is_released(record, now):
            await self._journal.replace(record, dataclasses.replace(record, expires_at=None))

    async def _sweep_received(self, record: UploadRecord) -> None:
        try:
            await self.finish(record, None)
        except ContentRejected:
            pass  # the upload has ended
        except (Corrupted, NotFound) as error:
            if await self._losses.settle(record.ref, error) is None:
                logger.error("the content of %s cannot be read: %s", record.key, error)  # noqa: TRY400
                await self._give_up_or_postpone(record)
        except UploadError:
            await self._give_up_or_postpone(record)

    async def _give_up_or_postpone(self, record: UploadRecord) -> None:
        if rules.is_stuck(record, self._limits, self._times.at_least()):
            await self.bury(record, Step.EXPIRE)
        else:
            await self.postpone(record)

    async def _kind(self, record: UploadRecord, first: FirstBytes, by: Principal | None) -> str | None:
        """Return the type of an upload that must be an image, or what was declared for its slot; reject other content."""
        start = await first.read()
        declared = record.content_type
        if declared is not None and (is_undeclared(declared) or canonical(declared) in IMAGES):
            if record.intent is not None:
                return declared  # the slot decides
            kind = accepted(declared, record.name, start, IMAGES)
        else:
            kind = None if declared is None or contradicts(declared, start) else canonical(declared)
        if kind is None:
            seen = found(start)
            reason = f"the content is not {declared}" + (f", but {seen}" if seen is not None else "")
            raise ContentRejected(reason, await self.bury(record, Step.REJECT, by, reason))
        return kind

    async def _fit(
        self, record: UploadRecord, intent: Intent, start: FirstBytes, known: KnownSlot, by: Principal | None
    ) -> str | None:
        """Reject content that the slot never takes, before any of it is published; return the type that the slot takes it for."""
        try:
            return await self._attachments.fit(record, intent, start, known)
        except UNFIT as error:
            rejected = await self.bury(record, Step.REJECT, by, str(error))
            raise ContentRejected(str(error), rejected, error) from error
