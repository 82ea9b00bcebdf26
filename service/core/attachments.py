"""
What is done with attachments and slots: read, decide, then commit all of it or nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from service.core import slots
from service.core import upload as rules
from service.core.errors import (
    ManagedElsewhere,
    NotAccepted,
    ObjectNotFound,
    SlotBusy,
    SlotChanged,
    StoreFailed,
    TooLarge,
    UploadIncomplete,
    UploadNotFound,
)
from service.core.policies import Policies, Policy
from service.core.sniffing import SNIFFED_BYTES, sniff
from service.core.uploads import translated
from storage import errors as storage_errors
from storage.objects import Association, Ending, Event, ObjectRecord, SlotRecord
from storage.ports import ByteStore, Change, MetadataStore
from storage.records import Key, ObjectRef, Ref, SlotRef, State, Subject, UploadRecord

# Each time somebody else got through; so the more there are, the more tries it may take.
TRIES = 200
LONGEST_PAUSE = 0.05  # seconds
ETAG_BYTES = 12

Rule = Callable[[SlotRecord], SlotRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks, and which system asks for them; None where there are no accounts."""

    subject: Subject | None = None
    originator: str | None = None


ANYBODY = Actor()


class Attachments:
    """
    Every verb of slots, over any stores.
    """

    def __init__(
        self, content: ByteStore, metadata: MetadataStore, policies: Policies, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._bytes = content
        self._metadata = metadata
        self._policies = policies
        self._clock = clock
        # Those of one process go one after another, so that only processes are in each other's way.
        self._turns: WeakValueDictionary[SlotRef, asyncio.Lock] = WeakValueDictionary()

    async def register(self, ref: ObjectRef, attributes: str = "{}", actor: Actor = ANYBODY) -> ObjectRecord:
        """
        Make an object of another system known, or change what is known of it.
        """
        with translated():
            for _ in range(TRIES):
                try:
                    old: ObjectRecord | None = await self._metadata.get_object(ref)
                except storage_errors.NotFound:
                    old = None
                if old is not None and (old.attributes, old.deleted_at) == (attributes, None):
                    return old
                new = self._registered(old, ref, attributes, actor)
                kind = "object.changed" if old is not None else "object.registered"
                try:
                    await self._metadata.commit([Change(old=old, new=new)], [self._event(kind, actor, ref)])
                except (storage_errors.PreconditionFailed, storage_errors.AlreadyExists):
                    continue
                return new
        raise SlotBusy("too many change this object at once")

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        """
        Return an object.

        :raises ObjectNotFound: there is none.
        """
        with translated():
            try:
                record = await self._metadata.get_object(ref)
            except storage_errors.NotFound as error:
                raise ObjectNotFound("there is no such object") from error
        if record.deleted_at is not None:
            raise ObjectNotFound("there is no such object")
        return record

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        """
        Return every slot of an object in which anything ever was.
        """
        with translated():
            return await self._metadata.get_slots(ref)

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        """
        Return a slot of an object.

        :raises SlotUnknown, ObjectNotFound: there is none.
        """
        self._policies.of(ref)
        await self.get_object(ref.object)
        with translated():
            return await self._slot(ref) or slots.empty(ref, "")

    async def attach(
        self, ref: SlotRef, attachment: Key, actor: Actor = ANYBODY, *, place: int | None = None, if_match: str | None = None
    ) -> SlotRecord:
        """
        Fasten a complete upload to a slot; in a slot of one it replaces what is there.

        Doing it again changes nothing.  *if_match* is the etag that the slot has to have ("": nothing was ever in it).

        :raises UploadError: see `service.core.errors`; nothing was changed.
        """
        policy = self._policies.of(ref)
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{ref.slot} is filled by another system")
        await self.get_object(ref.object)
        with translated():
            await self._refuse_unfit(await self._metadata.get(Ref(tenant=ref.tenant, key=attachment)), policy)

        def rule(slot: SlotRecord) -> SlotRecord:
            association = Association(id=_name(), attachment=attachment, attached_at=self._clock(), attached_by=actor.subject)
            return slots.attach(slot, association, policy, place)

        return await self._change(ref, policy, rule, actor, if_match)

    async def detach(
        self, ref: SlotRef, attachment: Key | None, actor: Actor = ANYBODY, *, if_match: str | None = None
    ) -> SlotRecord:
        """
        Take an attachment out of a slot, or all of them; it is kept for the grace of the slot.
        """
        policy = self._policies.of(ref)
        return await self._change(
            ref, policy, lambda slot: slots.detach(slot, attachment, policy, actor.subject, self._clock()), actor, if_match
        )

    async def reorder(
        self, ref: SlotRef, order: Sequence[Key], actor: Actor = ANYBODY, *, if_match: str | None = None
    ) -> SlotRecord:
        """
        Change the order of a slot.
        """
        return await self._change(ref, self._policies.of(ref), lambda slot: slots.reorder(slot, order), actor, if_match)

    async def undo(self, ref: SlotRef, actor: Actor = ANYBODY, *, if_match: str | None = None) -> SlotRecord:
        """
        Put back what left the slot last.
        """
        policy = self._policies.of(ref)
        return await self._change(
            ref, policy, lambda slot: slots.undo(slot, policy, actor.subject, self._clock()), actor, if_match
        )

    async def _change(self, ref: SlotRef, policy: Policy, rule: Rule, actor: Actor, if_match: str | None) -> SlotRecord:
        """Apply *rule* to the newest slot, until nobody else changed it, or an attachment of it, meanwhile."""
        async with self._turns.setdefault(ref, asyncio.Lock()):
            for count in range(TRIES):
                with translated():
                    try:
                        return await self._try(ref, policy, rule, actor, if_match)
                    except (storage_errors.PreconditionFailed, storage_errors.AlreadyExists):
                        await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2**count)))  # noqa: S311
        raise SlotBusy("too many change this slot at once")

    async def _try(self, ref: SlotRef, policy: Policy, rule: Rule, actor: Actor, if_match: str | None) -> SlotRecord:
        owner = await self.get_object(ref.object)
        stored = await self._slot(ref)
        old = stored or slots.empty(ref, "")
        new = rule(old)
        if new == old:
            return old  # of one whose answer was lost: what was asked for is so already
        if if_match is not None and if_match != old.etag:
            raise SlotChanged("the slot was changed meanwhile")
        now = self._clock()
        new = dataclasses.replace(new, etag=_name(), revision=old.revision + 1 if stored else 0)
        touched = dataclasses.replace(owner, etag=_name(), updated_at=now, updated_by=actor.subject, revision=owner.revision + 1)
        changes = [Change(old=stored, new=new), Change(old=owner, new=touched)]
        for key in {*slots.keys(old)} ^ {*slots.keys(new)}:
            upload = await self._metadata.get(Ref(tenant=ref.tenant, key=key))
            changes.append(Change(old=upload, new=self._moved(upload, new, policy, now)))
        await self._metadata.commit(changes, self._told(old, new, actor))
        return new

    def _moved(self, upload: UploadRecord, slot: SlotRecord, policy: Policy, now: float) -> UploadRecord:
        """Return *upload* as one that is in *slot*, or not any more."""
        elsewhere = tuple(ref for ref in upload.attached if ref != slot.ref)
        if upload.key in slots.keys(slot):
            rules.refuse_gone(upload, now)
            attached, expires_at = (*elsewhere, slot.ref), None
        else:
            attached, expires_at = elsewhere, None if elsewhere else now + policy.grace
        return dataclasses.replace(upload, attached=attached, expires_at=expires_at, revision=upload.revision + 1)

    def _told(self, old: SlotRecord, new: SlotRecord, actor: Actor) -> list[Event]:
        """Return one event for each association that began, ended or came back, or one for a new order."""
        before, after = ({association.id: association for association in slot.active} for slot in (old, new))
        known = {association.id for association in old.ended}
        endings = {association.id: association.ending for association in new.ended}
        events = []
        for name, association in before.items():
            if name not in after:
                why = {"association": name, "ending": endings.get(name) or Ending.DETACHED}
                events.append(self._event("attachment.detached", actor, new.ref, association.attachment, why))
        for name, association in after.items():
            if name not in before:
                kind = "attachment.restored" if name in known else "attachment.attached"
                events.append(self._event(kind, actor, new.ref, association.attachment, {"association": name}))
        return events or [self._event("slot.reordered", actor, new.ref, None, {"order": slots.keys(new)})]

    def _event(
        self, kind: str, actor: Actor, ref: ObjectRef | SlotRef, attachment: Key | None = None, data: object = None
    ) -> Event:
        return Event(
            id=_name(),
            tenant=ref.tenant,
            type=kind,
            at=self._clock(),
            actor=actor.subject,
            originator=actor.originator,
            attachment=attachment,
            kind=ref.kind,
            object_id=ref.id,
            slot=ref.slot if isinstance(ref, SlotRef) else None,
            data=json.dumps(data or {}, separators=(",", ":")),
        )

    def _registered(self, old: ObjectRecord | None, ref: ObjectRef, attributes: str, actor: Actor) -> ObjectRecord:
        now = self._clock()
        changed = {"updated_at": now, "updated_by": actor.subject, "etag": _name(), "attributes": attributes}
        if old is not None:
            return dataclasses.replace(old, **changed, deleted_at=None, revision=old.revision + 1)  # type: ignore[arg-type]
        return ObjectRecord(
            tenant=ref.tenant,
            kind=ref.kind,
            id=ref.id,
            created_at=now,
            updated_at=now,
            updated_by=actor.subject,
            etag=_name(),
            attributes=attributes,
        )

    async def _slot(self, ref: SlotRef) -> SlotRecord | None:
        try:
            return await self._metadata.get_slot(ref)
        except storage_errors.NotFound:
            return None

    async def _refuse_unfit(self, upload: UploadRecord, policy: Policy) -> None:
        """Refuse what the slot does not take; the content of a complete upload does not change any more, so it stays true."""
        rules.refuse_gone(upload, self._clock())
        if upload.state is not State.COMPLETE:
            raise UploadIncomplete("the upload is not complete yet", upload)
        if policy.max_bytes is not None and upload.offset > policy.max_bytes:
            raise TooLarge(policy.max_bytes, upload)
        if policy.types is None:
            return
        start = b""
        try:
            async for block in self._bytes.read(upload, 0, min(SNIFFED_BYTES, upload.offset)):
                start += block
        except storage_errors.NotFound as error:
            if (await self._metadata.get(upload.ref)).state is State.COMPLETE:
                raise StoreFailed("a store has lost something") from error
            raise UploadNotFound("there is no such upload") from error  # deleted at this very moment
        if sniff(start) not in policy.types:
            raise NotAccepted(f"{policy.slot} takes {', '.join(sorted(policy.types))}", upload)


def _name() -> str:
    return secrets.token_urlsafe(ETAG_BYTES)
