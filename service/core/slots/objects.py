"""
What is done with the objects of other systems: made known, read, forgotten.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from holdfast.service.core import upload as rules
from holdfast.service.core.conditions import ALWAYS, Condition
from holdfast.service.core.errors import ObjectNotFound, SlotBusy, SlotChanged
from holdfast.service.core.events.events import event, new_etag, new_name
from holdfast.service.core.policies import Policies, Policy
from holdfast.service.core.principals import ANYBODY, Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.store_errors import translated
from holdfast.storage import errors as storage_errors
from holdfast.storage.objects import Ending, Event, ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, Tenant, UploadRecord
from holdfast.storage.threads import aside

KiB = 1024
TRIES = 20
# A page is made in one go; nobody else is answered meanwhile.
LARGEST_PAGE = 512 * KiB  # characters of attributes
STEP = 128


class Objects:
    """
    Every verb of objects, over any metadata store.
    """

    def __init__(
        self,
        metadata: MetadataStore,
        policies: Policies,
        *,
        minimum_retention: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metadata = metadata
        self._policies = policies
        self._kept_at_least = minimum_retention
        self._clock = clock

    async def register(
        self, ref: ObjectRef, attributes: str = "{}", by: Principal = ANYBODY, *, condition: Condition = ALWAYS
    ) -> ObjectRecord:
        """
        Make an object of another system known, or change what is known of it.

        *condition* is about its etag; as long as it is not known, it is not there.

        :raises SlotChanged: it is not as the caller believes.
        """
        with translated():
            for _ in range(TRIES):
                old = await self._find(ref)
                if old is not None and (old.attributes, old.deleted_at) == (attributes, None) and condition.holds(old.etag):
                    return old
                self._refuse_other(old, condition)
                new = self._registered(old, ref, attributes, by)
                known = old is not None and old.deleted_at is None
                told = event("object.changed" if known else "object.registered", ref, self._clock(), by)
                try:
                    await self._metadata.commit([Change(old=old, new=new)], events=[told])
                except (storage_errors.PreconditionFailed, storage_errors.AlreadyExists):
                    continue
                return new
        raise SlotBusy("too many change this object at once")

    async def delete(self, ref: ObjectRef, by: Principal = ANYBODY, *, condition: Condition = ALWAYS) -> ObjectRecord:
        """
        Forget an object; what is in its slots leaves them in the same commit, and is kept for their grace.

        :raises ObjectNotFound: it is not known.
        """
        with translated():
            for _ in range(TRIES):
                old = await self.get(ref)
                self._refuse_other(old, condition)
                now = self._clock()
                new = dataclasses.replace(old, **self._touched(by, now), deleted_at=now, revision=old.revision + 1)
                changes, told = await self._emptied(ref, by, now)
                try:
                    await self._metadata.commit(
                        [Change(old=old, new=new), *changes], events=[*told, event("object.deleted", ref, now, by)]
                    )
                except storage_errors.PreconditionFailed:
                    continue
                return new
        raise SlotBusy("too many change this object at once")

    async def get(self, ref: ObjectRef) -> ObjectRecord:
        """
        Return an object.

        :raises ObjectNotFound: there is none.
        """
        with translated():
            return existing(await self._find(ref))

    async def page(self, tenant: Tenant, kind: str, after: str, limit: int) -> tuple[Sequence[ObjectRecord], bool]:
        """
        Return up to *limit* objects of one kind behind the id *after*, and whether there are more.

        There are fewer where they would be larger than `LARGEST_PAGE` together; one there always is.
        """
        found: list[ObjectRecord] = []
        size = 0
        with translated():
            while True:
                page = await self._metadata.list_objects(tenant, kind, after, STEP)
                for record in page:
                    if record.deleted_at is not None:
                        continue
                    size += len(record.attributes)
                    if len(found) == limit or (found and size > LARGEST_PAGE):
                        return found, True
                    found.append(record)
                if len(page) < STEP:
                    return found, False
                after = page[-1].id

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        """
        Return every slot that the object has, by name, and those in which anything ever was.
        """
        with translated():
            used = {slot.slot: slot for slot in await self._metadata.get_slots(ref)}
        names = [policy.slot for policy in self._policies if policy.kind == ref.kind]
        every = {name: slots.empty(SlotRef(tenant=ref.tenant, kind=ref.kind, id=ref.id, slot=name), "") for name in names} | used
        return [every[name] for name in sorted(every)]

    async def _find(self, ref: ObjectRef) -> ObjectRecord | None:
        try:
            return await self._metadata.get_object(ref)
        except storage_errors.NotFound:
            return None

    def _refuse_other(self, old: ObjectRecord | None, condition: Condition) -> None:
        etag = "" if old is None or old.deleted_at is not None else old.etag
        if not condition.holds(etag):
            raise SlotChanged("the object is not as you believe")

    def _touched(self, by: Principal, now: float) -> dict[str, Any]:
        return {"updated_at": now, "updated_by": by.subject, "etag": new_etag()}

    def _registered(self, old: ObjectRecord | None, ref: ObjectRef, attributes: str, by: Principal) -> ObjectRecord:
        now = self._clock()
        touched = self._touched(by, now)
        if old is not None:
            return dataclasses.replace(old, **touched, attributes=attributes, deleted_at=None, revision=old.revision + 1)
        return ObjectRecord(tenant=ref.tenant, kind=ref.kind, id=ref.id, created_at=now, attributes=attributes, **touched)

    async def _emptied(self, ref: ObjectRef, by: Principal, now: float) -> tuple[list[Change], list[Event]]:
        """Return how all slots of an object become empty, and what happens to their attachments, each once."""
        used = [slot for slot in await self._metadata.get_slots(ref) if slot.active]
        keys = list(dict.fromkeys(key for slot in used for key in slots.keys(slot)))
        uploads = await self._metadata.get_many([Ref(tenant=ref.tenant, key=key) for key in keys])
        return await aside(partial(self._emptying, used, uploads, by, now), size=len(uploads))

    def _emptying(
        self, used: Sequence[SlotRecord], uploads: Sequence[UploadRecord], by: Principal, now: float
    ) -> tuple[list[Change], list[Event]]:
        changes: list[Change] = []
        told: list[Event] = []
        kept_for: dict[Key, float] = {}
        for slot in used:
            policy = self._policies.find(slot.ref) or Policy(kind=slot.kind, slot=slot.slot)
            new = slots.detach(slot, None, policy, by.subject, now, Ending.OBJECT_DELETED)
            changes.append(Change(old=slot, new=dataclasses.replace(new, etag=new_name(), revision=slot.revision + 1)))
            for association in slot.active:
                why = {"association": association.id, "ending": Ending.OBJECT_DELETED}
                told.append(event("attachment.detached", slot.ref, now, by, association.attachment, why))
                kept_for[association.attachment] = max(kept_for.get(association.attachment, 0), policy.grace)
        emptied = {slot.ref.object for slot in used}
        for upload in uploads:
            left = tuple(slot for slot in upload.attached if slot.object not in emptied)
            expires_at = rules.kept_until(upload, now + max(kept_for[upload.key], self._kept_at_least))
            moved = dataclasses.replace(upload, attached=left, expires_at=expires_at, revision=upload.revision + 1)
            changes.append(Change(old=upload, new=moved))
        return changes, told


def existing(record: ObjectRecord | None) -> ObjectRecord:
    """
    Return an object that is there.

    :raises ObjectNotFound: it was never registered, or it was deleted.
    """
    if record is None or record.deleted_at is not None:
        raise ObjectNotFound("there is no such object")
    return record
