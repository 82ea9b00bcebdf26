"""
Pictures that come in one request: an upload that is attached when it is complete, or as if it had never been.
"""

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
"""Refuses, by a rule of the dialect, an object that has no picture; asked before any content is read."""


class Pictures:
    """
    Sets the picture of an object.
    """

    def __init__(self, uploads: Uploads, views: UploadViews, attachments: Attachments) -> None:
        self._uploads = uploads
        self._views = views
        self._attachments = attachments

    async def set(self, asked: Authorised[SetPicture], content: Content, admit: Admit) -> ObjectOutcome:
        """
        Put *content* into the slot of an object that the dialect admits; the same picture again changes nothing.

        :raises ContentCut: it did not come whole.
        :raises UploadError: it is refused.  In any case nothing of it is left.
        """
        command, known = asked.command, self._attachments.known(asked.command.slot)
        await known.read()
        owner = known.owner()
        admit(owner)
        asked.permit(owner)
        if not command.condition.holds(owner.etag):
            raise SlotChanged("the object is not as you believe")
        intent = Intent(slot=command.slot, if_match=command.condition.pinned(owner.etag))
        if content.stopped is not None:
            raise ContentCut("the picture did not come whole")
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
                raise ContentCut("the picture did not come whole")
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
        """Say whether the slot has these very bytes already, and has them still."""
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
        """Return what tells content from any other, without holding all of it."""
        digest = hashlib.sha256()
        async for block in self._views.content_of(record, 0, record.offset):
            digest.update(block)
        return digest.digest()

    async def _forget(self, asked: Authorised[SetPicture], record: UploadRecord) -> None:
        """Give up what was not attached; what this cannot delete now, expires."""
        try:
            await self._uploads.cancel(asked.then(Cancel(ref=record.ref)))
        except (UploadGone, ContentRejected):
            pass  # the finish has buried it already
        except UploadError as error:
            logger.info("%s could not be given up: %s", record.key, error)
