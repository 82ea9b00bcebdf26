"""
What is asked of attachments, objects and slots: who may ask, and then the verb.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from holdfast.service.core import upload as rules
from holdfast.service.core.access import rights
from holdfast.service.core.commands import (
    Attach,
    AttachmentOutcome,
    Cancel,
    DeleteAttachment,
    DeleteObject,
    Detach,
    EventsOutcome,
    FiledCommand,
    FiledOutcome,
    GetAttachment,
    GetEvents,
    GetObject,
    GetSlot,
    LinkOutcome,
    ListObjects,
    MakeLink,
    ObjectOutcome,
    ObjectsOutcome,
    Register,
    Reorder,
    SlotOutcome,
    Undo,
)
from holdfast.service.core.errors import Forbidden
from holdfast.service.core.events.pages import read_page
from holdfast.service.core.principals import Capability
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.store_errors import translated
from holdfast.service.core.timekeeper import ByClock, Times
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, Ref, Subject, Tenant


class Sign(Protocol):
    """Signs a link to one upload; *owns_key* says whether it belongs to *subject*."""

    def __call__(
        self, *, purpose: Capability, tenant: Tenant, key: Key, expires_at: int, subject: Subject | None, owns_key: bool
    ) -> str: ...


class Filing:
    """
    Every verb of attachments, objects and slots, for whoever may ask for it.
    """

    def __init__(
        self,
        uploads: Uploads,
        attachments: Attachments,
        objects: Objects,
        metadata: MetadataStore,
        sign: Sign,
        *,
        clock: Callable[[], float] = time.time,
        times: Times | None = None,
    ) -> None:
        """*times* says what has expired; without it the *clock* does."""
        self._uploads = uploads
        self._attachments = attachments
        self._objects = objects
        self._metadata = metadata
        self._sign = sign
        self._clock = clock
        self._times = times or ByClock(clock)

    async def perform(self, command: FiledCommand) -> FiledOutcome:
        """
        Do what is asked.

        :raises UploadError: a rule refuses; nothing was changed.
        """
        match command:
            case GetAttachment() | DeleteAttachment():
                return await self._attachment(command)
            case MakeLink():
                return await self._link(command)
            case GetEvents():
                return await self._events(command)
            case ListObjects():
                rights.refuse_reading(command.principal)
                records, more = await self._objects.page(command.tenant, command.kind, command.after, command.limit)
                return ObjectsOutcome(records=tuple(records), more=more)
            case Register() | GetObject() | DeleteObject():
                return await self._object(command)
            case GetSlot() | Attach() | Detach() | Reorder() | Undo():
                return await self._slot(command)

    async def _attachment(self, command: GetAttachment | DeleteAttachment) -> AttachmentOutcome:
        if isinstance(command, DeleteAttachment):
            return AttachmentOutcome(
                record=(await self._uploads.cancel(Cancel(ref=command.ref, principal=command.principal))).record
            )
        record = await self._uploads.find(command.ref)
        rights.refuse_view(command.principal, record)
        rules.refuse_gone(record, self._times.at_least())
        return AttachmentOutcome(record=record)

    async def _link(self, command: MakeLink) -> LinkOutcome:
        by, limits = command.principal, self._uploads.limits
        record = await self._uploads.find(command.ref)
        rules.refuse_gone(record, self._times.at_least())
        match command.purpose:
            case Capability.UPLOAD:
                rights.refuse_upload(by, record)
                if record.intent is not None:
                    # Whoever has the link fills the slot besides.
                    self._attachments.refuse_change(record.intent.slot, by)
            case Capability.VIEW:
                rights.refuse_view(by, record)
            case Capability.ATTACH:
                rights.refuse_attachment(by, record)
        if by.key is not None:
            raise Forbidden("a link makes no links")
        expires_at = int(self._clock() + min(command.seconds, limits.link_life))
        link = self._sign(
            purpose=command.purpose,
            tenant=record.tenant,
            key=record.key,
            expires_at=expires_at,
            subject=by.subject,
            owns_key=rights.owns(by, record),
        )
        return LinkOutcome(record=record, link=link, expires_at=expires_at)

    async def _events(self, command: GetEvents) -> EventsOutcome:
        if command.attachment is None:
            rights.refuse_administration(command.principal)
        else:
            record = await self._uploads.find(Ref(tenant=command.tenant, key=command.attachment))
            rights.refuse_history(command.principal, record)
        with translated():
            return await read_page(self._metadata, command)

    async def _object(self, command: Register | GetObject | DeleteObject) -> ObjectOutcome:
        by = command.principal
        match command:
            case Register():
                rights.refuse_administration(by)
                record = await self._objects.register(command.ref, command.attributes, by, condition=command.condition)
            case DeleteObject():
                rights.refuse_administration(by)
                record = await self._objects.delete(command.ref, by, condition=command.condition)
            case GetObject():
                rights.refuse_reading(by)
                record = await self._objects.get(command.ref)
        return ObjectOutcome(record=record, slots=tuple(await self._objects.get_slots(command.ref)))

    async def _slot(self, command: GetSlot | Attach | Detach | Reorder | Undo) -> SlotOutcome:
        by, on = command.principal, self._attachments
        match command:
            case GetSlot():
                rights.refuse_reading(by)
                slot = await on.get_slot(command.slot)
                refs = [Ref(tenant=slot.tenant, key=key) for key in slots.keys(slot)]
                with translated():
                    attachments = await self._metadata.get_many(refs)
                return SlotOutcome(slot=slot, attachments=tuple(attachments))
            case Attach():
                return await on.attach(command.slot, command.ref.key, by, place=command.place, condition=command.condition)
            case Detach():
                return SlotOutcome(slot=await on.detach(command.slot, command.key, by, condition=command.condition))
            case Reorder():
                return SlotOutcome(slot=await on.reorder(command.slot, command.order, by, condition=command.condition))
            case Undo():
                return SlotOutcome(slot=await on.undo(command.slot, by, condition=command.condition))
