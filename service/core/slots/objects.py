"""The verbs of objects of other systems: register, read, delete."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import Authorised
from holdfast.service.core.commands import DeleteObject, GetObject, ListObjects, ObjectOutcome, ObjectsOutcome, Register
from holdfast.service.core.conditions import Condition
from holdfast.service.core.errors import ObjectNotFound, SlotBusy, SlotChanged
from holdfast.service.core.events.events import event, new_etag, new_name
from holdfast.service.core.policies import Policies, Policy
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.store_errors import translated
from holdfast.storage import errors as storage_errors
from holdfast.storage.objects import Ending, Event, ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, UploadRecord
from holdfast.storage.threads import aside

KiB = 1024
TRIES = 20
# A page is made in one go, which blocks the event loop.
LARGEST_PAGE = 512 * KiB  # characters of attributes
STEP = 128


class Objects:
    """Every verb of objects, over any metadata store."""

    def __init__(
        self,
        metadata: MetadataStore,
        policies: Policies,
        *,
        minimum_retention: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*minimum_retention*: seconds to keep what left its last slot, if the grace of that slot is shorter."""
        self._metadata = metadata
        self._policies = policies
        self._minimum_retention = minimum_retention
        self._clock = clock

    async def register(self, asked: Authorised[Register]) -> ObjectOutcome:
        """
        Register an object of another system, or change its attributes.

        An object that is not registered does not exist, and has no etag.

        :raises SlotChanged: the object differs from what the client believes.
        """
        command, by, ref, attributes = asked.command, asked.by, asked.command.ref, asked.command.attributes
        with translated():
            for _ in range(TRIES):
                old = await self._find(ref)
                if (
                    old is not None
                    and (old.attributes, old.deleted_at) == (attributes, None)
                    and command.condition.holds(old.etag)
                ):
                    return await self._outcome(old)
                self._refuse_other(old, command.condition)
                new = self._registered(old, ref, attributes, by)
                known = old is not None and old.deleted_at is None
                happened = event("object.changed" if known else "object.registered", ref, self._clock(), by)
                try:
                    await self._metadata.commit([Change(old=old, new=new)], events=[happened])
                except (storage_errors.PreconditionFailed, storage_errors.AlreadyExists):
                    continue
                return await self._outcome(new)
        raise SlotBusy("too many requests change this object at once; try again")

    async def delete(self, asked: Authorised[DeleteObject]) -> ObjectOutcome:
        """
        Delete an object; its attachments leave their slots in the same commit, and are kept for the grace.

        :raises ObjectNotFound: the object does not exist.
        """
        by, ref = asked.by, asked.command.ref
        with translated():
            for _ in range(TRIES):
                old = await self.record_of(ref)
                self._refuse_other(old, asked.command.condition)
                now = self._clock()
                new = dataclasses.replace(old, **self._touched(by, now), deleted_at=now, revision=old.revision + 1)
                changes, happened = await self._emptied(ref, by, now)
                try:
                    await self._metadata.commit(
                        [Change(old=old, new=new), *changes], events=[*happened, event("object.deleted", ref, now, by)]
                    )
                except storage_errors.PreconditionFailed:
                    continue
                return await self._outcome(new)
        raise SlotBusy("too many requests change this object at once; try again")

    async def get(self, asked: Authorised[GetObject]) -> ObjectOutcome:
        """
        Return an object and its slots.

        :raises ObjectNotFound: the object does not exist.
        """
        return await self._outcome(await self.record_of(asked.command.ref))

    async def record_of(self, ref: ObjectRef) -> ObjectRecord:
        """
        Return an object, for the core itself.

        :raises ObjectNotFound: it does not exist.
        """
        with translated():
            return existing(await self._find(ref))

    async def page(self, asked: Authorised[ListObjects]) -> ObjectsOutcome:
        """
        Return a page of the objects of one kind.

        A page has at least one object, and no more if they would exceed `LARGEST_PAGE` together.
        """
        command, after = asked.command, asked.command.after
        found: list[ObjectRecord] = []
        size = 0
        with translated():
            while True:
                page = await self._metadata.list_objects(command.tenant, command.kind, after, STEP)
                for record in page:
                    if record.deleted_at is not None:
                        continue
                    size += len(record.attributes)
                    if len(found) == command.limit or (found and size > LARGEST_PAGE):
                        return ObjectsOutcome(records=tuple(found), more=True)
                    found.append(record)
                if len(page) < STEP:
                    return ObjectsOutcome(records=tuple(found), more=False)
                after = page[-1].id

    async def slots_of(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        """Return, for the core itself, every slot that the object may have or ever used, by name."""
        with translated():
            used = {slot.slot: slot for slot in await self._metadata.get_slots(ref)}
        names = [policy.slot for policy in self._policies if policy.kind == ref.kind]
        every = {name: slots.empty(SlotRef(tenant=ref.tenant, kind=ref.kind, id=ref.id, slot=name), "") for name in names} | used
        return [every[name] for name in sorted(every)]

    async def _outcome(self, record: ObjectRecord) -> ObjectOutcome:
        return ObjectOutcome(record=record, slots=tuple(await self.slots_of(record.ref)))

    async def _find(self, ref: ObjectRef) -> ObjectRecord | None:
        try:
            return await self._metadata.get_object(ref)
        except storage_errors.NotFound:
            return None

    def _refuse_other(self, old: ObjectRecord | None, condition: Condition) -> None:
        etag = "" if old is None or old.deleted_at is not None else old.etag
        if not condition.holds(etag):
            raise SlotChanged("the object has changed: read it again")

    def _touched(self, by: Principal, now: float) -> dict[str, Any]:
        return {"updated_at": now, "updated_by": by.subject, "etag": new_etag()}

    def _registered(self, old: ObjectRecord | None, ref: ObjectRef, attributes: str, by: Principal) -> ObjectRecord:
        now = self._clock()
        touched = self._touched(by, now)
        if old is not None:
            return dataclasses.replace(old, **touched, attributes=attributes, deleted_at=None, revision=old.revision + 1)
        return ObjectRecord(tenant=ref.tenant, kind=ref.kind, id=ref.id, created_at=now, attributes=attributes, **touched)

    async def _emptied(self, ref: ObjectRef, by: Principal, now: float) -> tuple[list[Change], list[Event]]:
        """Return the changes that empty all slots of an object, and one event for each attachment."""
        used = [slot for slot in await self._metadata.get_slots(ref) if slot.active]
        keys = list(dict.fromkeys(key for slot in used for key in slots.keys(slot)))
        uploads = await self._metadata.get_many([Ref(tenant=ref.tenant, key=key) for key in keys])
        return await aside(partial(self._emptying, used, uploads, by, now), size=len(uploads))

    def _emptying(
        self, used: Sequence[SlotRecord], uploads: Sequence[UploadRecord], by: Principal, now: float
    ) -> tuple[list[Change], list[Event]]:
        changes: list[Change] = []
        happened: list[Event] = []
        kept_for: dict[Key, float] = {}
        for slot in used:
            policy = self._policies.find(slot.ref) or Policy(kind=slot.kind, slot=slot.slot)
            new = slots.detach(slot, None, policy, by.subject, now, Ending.OBJECT_DELETED)
            changes.append(Change(old=slot, new=dataclasses.replace(new, etag=new_name(), revision=slot.revision + 1)))
            for association in slot.active:
                why = {"association": association.id, "ending": Ending.OBJECT_DELETED}
                happened.append(event("attachment.detached", slot.ref, now, by, association.attachment, why))
                kept_for[association.attachment] = max(kept_for.get(association.attachment, 0), policy.grace)
        emptied = {slot.ref.object for slot in used}
        for upload in uploads:
            left = tuple(slot for slot in upload.attached if slot.object not in emptied)
            expires_at = rules.kept_until(upload, now + max(kept_for[upload.key], self._minimum_retention))
            moved = dataclasses.replace(upload, attached=left, expires_at=expires_at, revision=upload.revision + 1)
            changes.append(Change(old=upload, new=moved))
        return changes, happened


def existing(record: ObjectRecord | None) -> ObjectRecord:
    """
    Return *record*, if the object exists.

    :raises ObjectNotFound: it was never registered, or was deleted.
    """
    if record is None or record.deleted_at is not None:
        raise ObjectNotFound("there is no such object")
    return record
