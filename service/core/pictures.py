"""Pictures that come in one request: an upload that is attached on completion, or removed without a trace."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from holdfast.service.core.access.authorised import Authorised
from holdfast.service.core.commands import Append, Cancel, Completes, Create, ObjectOutcome, SetPicture
from holdfast.service.core.content.content import Content, NoContent
from holdfast.service.core.errors import ContentCut, ContentRejected, SlotChanged, UploadError, UploadGone
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.known import KnownSlot
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.objects import ObjectRecord
from holdfast.storage.records import Intent, Ref, UploadRecord

logger = logging.getLogger("holdfast")

Admit = Callable[[ObjectRecord], None]
"""Refuses an object without a picture, by a rule of the dialect, before any content is read; it must not block."""


class Pictures:
    """Sets pictures of objects."""

    def __init__(self, uploads: Uploads, views: UploadViews, attachments: Attachments) -> None:
        self._uploads = uploads
        self._views = views
        self._attachments = attachments

    async def set(self, asked: Authorised[SetPicture], content: Content, admit: Admit) -> ObjectOutcome:
        """
        Put *content* into the slot of an object that *admit* allows; the same picture again changes nothing.

        :raises ContentCut: the content was cut off.
        :raises UploadError: it is refused.  Nothing of it is kept in either case.
        """
        command, known = asked.command, self._attachments.known(asked.command.slot)
        await known.read()
        owner = known.owner()
        admit(owner)
        asked.permit(owner)
        if not command.condition.holds(owner.etag):
            raise SlotChanged("the object has changed: read it again")
        intent = Intent(slot=command.slot, if_match=command.condition.pinned(owner.etag))
        if content.stopped is not None:
            raise ContentCut("the picture was cut off: send it again")
        create = Create(
            tenant=command.slot.tenant,
            completes=Completes.LATER,
            length=None,
            content_length=content.length,
            intent=intent,
        )
        outcome = await self._uploads.create(asked.then(create), content, known=known)
        record = outcome.record
        try:
            if outcome.stopped is not None or not content.ended:
                raise ContentCut("the picture was cut off: send it again")
            changed = not await self._is_there_already(command, record, known)
            if changed:
                last = Append(ref=record.ref, offset=record.offset, completes=Completes.AT_END, content_length=0)
                await self._uploads.append(asked.then(last), NoContent(), known=known)
        except BaseException:
            await self._forget(asked, record)
            raise
        if not changed:
            await self._forget(asked, record)
        return ObjectOutcome(record=known.owner(), slots=(known.slot,), changed=changed)

    async def _is_there_already(self, command: SetPicture, record: UploadRecord, known: KnownSlot) -> bool:
        """Say whether the slot has exactly these bytes already, before and after they were compared."""
        active = known.slot.active
        if len(active) != 1:
            return False
        there = await self._views.record_of(Ref(tenant=record.tenant, key=active[0].attachment))
        if there.offset != record.offset or await self._digest(record) != await self._digest(there):
            return False
        known.forget()
        await known.read()
        if not command.condition.holds(known.owner().etag):
            raise SlotChanged("the object was changed meanwhile")
        return known.slot.active == active

    async def _digest(self, record: UploadRecord) -> bytes:
        """Return the SHA-256 of content, without holding all of it."""
        digest = hashlib.sha256()
        async for block in self._views.content_of(record, 0, record.offset):
            digest.update(block)
        return digest.digest()

    async def _forget(self, asked: Authorised[SetPicture], record: UploadRecord) -> None:
        """Cancel the upload of a picture that was not attached; if that fails now, it expires."""
        try:
            await self._uploads.cancel(asked.then(Cancel(ref=record.ref)))
        except (UploadGone, ContentRejected):
            pass  # the finish has ended it already
        except UploadError as error:
            logger.info("%s could not be cancelled: %s", record.key, error)
