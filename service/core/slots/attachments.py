"""
What is done with attachments and slots: read, decide, then commit all of it or nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakValueDictionary

from holdfast.service.core import upload as rules
from holdfast.service.core.access import rights
from holdfast.service.core.conditions import ALWAYS, Condition
from holdfast.service.core.content.media_types import is_undeclared, takes
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import (
    Evicted,
    ManagedElsewhere,
    SlotBusy,
    SlotChanged,
    SlotFull,
    TooLarge,
    UploadGone,
    UploadIncomplete,
)
from holdfast.service.core.events.events import event, new_etag, new_name, of_step
from holdfast.service.core.policies import Policies, Policy
from holdfast.service.core.principals import ANYBODY, Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.acceptance import Acceptance, Look, not_accepted, refuse_encoded
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.store_errors import translated
from holdfast.storage import errors as storage_errors
from holdfast.storage.objects import Association, Ending, Event, SlotRecord
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import Intent, Key, Ref, SlotRef, State, Subject, UploadRecord
from holdfast.storage.threads import aside

# Each time somebody else got through; so the more there are, the more tries it may take.
TRIES = 200
LONGEST_PAUSE = 0.05  # seconds
Rule = Callable[[SlotRecord], SlotRecord]


class Attachments:
    """
    Every verb of slots, over any stores.
    """

    def __init__(
        self,
        content: ByteStore,
        metadata: MetadataStore,
        policies: Policies,
        *,
        look: Look | None = None,
        minimum_retention: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*kept_at_least*: for so many seconds what left its last slot is kept, however short the grace of the slot is."""
        self._bytes = content
        self._metadata = metadata
        self._policies = policies
        self._objects = Objects(metadata, policies, minimum_retention=minimum_retention, clock=clock)
        self._acceptance = Acceptance(content, metadata, look)
        self._kept_at_least = minimum_retention
        self._clock = clock
        # Those of one process go one after another, so that only processes are in each other's way.
        self._turns: WeakValueDictionary[SlotRef, asyncio.Lock] = WeakValueDictionary()

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        """
        Return a slot of an object.

        :raises SlotUnknown, ObjectNotFound: there is none.
        """
        self._policies.of(ref)
        await self._objects.get(ref.object)
        with translated():
            return await self._slot(ref) or slots.empty(ref, "")

    async def attach(
        self, ref: SlotRef, attachment: Key, by: Principal = ANYBODY, *, place: int | None = None, condition: Condition = ALWAYS
    ) -> SlotRecord:
        """
        Fasten a complete upload to a slot; in a slot of one it replaces what is there.

        Doing it again changes nothing.  *condition* is about the etag of the slot; before anything was in it, it is not there.

        :raises UploadError: see `holdfast.service.core.errors`; nothing was changed.
        """
        policy = self.refuse_change(ref, by, attachment)
        await self._objects.get(ref.object)
        with translated():
            upload = await self._metadata.get(Ref(tenant=ref.tenant, key=attachment))
        rights.refuse_attachment(by, upload)
        rules.refuse_gone(upload, self._clock())
        if upload.state is not State.COMPLETE:
            raise UploadIncomplete("the upload is not complete yet", upload)
        if ref not in upload.attached:
            await self.refuse_unfit(upload, ref)
        return await self._change(ref, policy, self._attaching(attachment, policy, by.subject, place), by, condition)

    async def expect(
        self, intent: Intent, length: int | None, content_type: str | None, by: Principal, content_encoding: str | None = None
    ) -> None:
        """
        Refuse an upload for a slot that it could not get into, as far as that can be told when it begins.
        """
        policy = self.refuse_change(intent.slot, by)
        owner = await self._objects.get(intent.slot.object)
        if intent.if_match not in (None, owner.etag):
            raise SlotChanged("the object was changed meanwhile")
        if policy.max_bytes is not None and (length or 0) > policy.max_bytes:
            raise TooLarge(policy.max_bytes, what=policy.slot)
        if (
            policy.types is not None
            and not is_undeclared(content_type)
            and not takes(policy.types, canonical(content_type or ""))
        ):
            raise not_accepted(policy)
        refuse_encoded(content_encoding, policy)
        with translated():
            slot = await self._slot(intent.slot)
        if policy.most > 1 and slot is not None and len(slot.active) >= policy.most:
            raise SlotFull(f"{policy.slot} takes {policy.most} attachments")

    def refuse_change(self, ref: SlotRef, by: Principal, attachment: Key | None = None) -> Policy:
        """
        Refuse to change a slot, and return its policy; *attachment* is the only one of which it is another slot afterwards.

        :raises SlotUnknown, UploadNotFound, Forbidden, ManagedElsewhere: it is not to be changed, or not by them.
        """
        policy = self._policies.of(ref)
        rights.refuse_change(by, policy, ref, attachment)
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{ref.slot} is filled by another system")
        return policy

    async def conclude(
        self, received: UploadRecord, published: UploadRecord, intent: Intent, by: Principal | None
    ) -> UploadRecord:
        """
        Complete an upload and put it into the slot that it is for, in one commit.

        :raises SlotError: that cannot be now; nothing was changed.
        :raises Evicted: somebody else changed the upload.
        """
        policy = self._policies.of(intent.slot)
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{policy.slot} is filled by another system")
        creator = by or dataclasses.replace(ANYBODY, subject=received.creator)
        rule = self._attaching(received.key, policy, creator.subject, None)
        published = dataclasses.replace(published, expires_at=None)  # it never is without a slot
        await self._change(intent.slot, policy, rule, creator, ALWAYS, (received, published), intent.if_match)
        with translated():
            return await self._metadata.get(received.ref)

    async def detach(
        self, ref: SlotRef, attachment: Key | None, by: Principal = ANYBODY, *, condition: Condition = ALWAYS
    ) -> SlotRecord:
        """
        Take an attachment out of a slot, or all of them; it is kept for the grace of the slot.
        """
        policy = self.refuse_change(ref, by, attachment)
        return await self._change(
            ref, policy, lambda slot: slots.detach(slot, attachment, policy, by.subject, self._clock()), by, condition
        )

    async def reorder(
        self, ref: SlotRef, order: Sequence[Key], by: Principal = ANYBODY, *, condition: Condition = ALWAYS
    ) -> SlotRecord:
        """
        Change the order of a slot.
        """
        policy = self.refuse_change(ref, by)
        return await self._change(ref, policy, lambda slot: slots.reorder(slot, order), by, condition)

    async def undo(self, ref: SlotRef, by: Principal = ANYBODY, *, condition: Condition = ALWAYS) -> SlotRecord:
        """
        Put back what left the slot last and is still to be had.
        """
        policy = self.refuse_change(ref, by)
        gone = await self._gone(ref)
        while True:
            try:
                return await self._change(
                    ref, policy, lambda slot: slots.undo(slot, policy, by.subject, self._clock(), gone), by, condition
                )
            except UploadGone as error:
                if error.record is None:
                    raise
                gone.add(error.record.key)  # meanwhile, and for ever, so that this ends

    async def _gone(self, ref: SlotRef) -> set[Key]:
        """Return what left a slot and is no longer to be had."""
        with translated():
            slot = await self._slot(ref) or slots.empty(ref, "")
            left = {association.attachment for association in slot.ended}
            uploads = await self._metadata.get_many([Ref(tenant=ref.tenant, key=key) for key in left])
        return {upload.key for upload in uploads if rules.is_over(upload)}

    async def refuse_unfit(self, upload: UploadRecord, ref: SlotRef, intent: Intent | None = None) -> str | None:
        """
        Refuse what a slot does not take; content that has all its bytes does not change any more, so it stays true.

        Return the media type that the slot takes it for; None where it takes anything.  An image is read whole and decoded to be
        looked at.  So, if the upload is to go there by its *intent*, that is done only when nothing else is in the way.

        :raises TooLarge, NotAccepted, ImageInvalid, ImageTooLarge: it is not for this slot.
        :raises SlotError: the intent cannot be followed now.
        :raises ContentLost: it was complete, and is lost.
        :raises Corrupted: it was received, and is lost.
        """
        policy = self._policies.of(ref)
        kind = await self._acceptance.kind(upload, policy)
        if intent is not None and policy.types is not None:
            await self._refuse_now(intent, policy, upload.key)
        await self._acceptance.look(upload, policy)
        return kind

    async def _refuse_now(self, intent: Intent, policy: Policy, attachment: Key) -> None:
        """Refuse what `conclude` would refuse, whatever the content is."""
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{policy.slot} is filled by another system")
        owner = await self._objects.get(intent.slot.object)
        if intent.if_match not in (None, owner.etag):
            raise SlotChanged("the object was changed meanwhile")
        with translated():
            slot = await self._slot(intent.slot)
        if policy.most > 1 and slot is not None and len(slot.active) >= policy.most and attachment not in slots.keys(slot):
            raise SlotFull(f"{policy.slot} takes {policy.most} attachments")

    def _attaching(self, attachment: Key, policy: Policy, by: Subject | None, place: int | None) -> Rule:
        def rule(slot: SlotRecord) -> SlotRecord:
            association = Association(id=new_name(), attachment=attachment, attached_at=self._clock(), attached_by=by)
            return slots.attach(slot, association, policy, place)

        return rule

    async def _change(
        self,
        ref: SlotRef,
        policy: Policy,
        rule: Rule,
        by: Principal,
        condition: Condition,
        finish: tuple[UploadRecord, UploadRecord] | None = None,
        if_object: str | None = None,
    ) -> SlotRecord:
        """
        Apply *rule* to the newest slot, until nobody else changed it, or an attachment of it, meanwhile.

        *finish* is an upload before and after it was published, which is part of the same change.
        """
        async with self._turns.setdefault(ref, asyncio.Lock()):
            for count in range(TRIES):
                with translated():
                    try:
                        return await self._try(ref, policy, rule, by, condition, finish, if_object)
                    except (storage_errors.PreconditionFailed, storage_errors.AlreadyExists):
                        await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2**count)))  # noqa: S311
        raise SlotBusy("too many change this slot at once")

    async def _try(
        self,
        ref: SlotRef,
        policy: Policy,
        rule: Rule,
        by: Principal,
        condition: Condition,
        finish: tuple[UploadRecord, UploadRecord] | None,
        if_object: str | None,
    ) -> SlotRecord:
        owner = await self._objects.get(ref.object)
        stored = await self._slot(ref)
        old = stored or slots.empty(ref, "")
        size = len(old.active) + len(old.ended)
        new = await aside(partial(rule, old), size=size)
        if new == old:
            return old  # of one whose answer was lost: what was asked for is so already
        if not condition.holds(old.etag):
            raise SlotChanged("the slot was changed meanwhile")
        if if_object not in (None, owner.etag):
            raise SlotChanged("the object was changed meanwhile")
        now = self._clock()
        new = dataclasses.replace(new, etag=new_name(), revision=old.revision + 1 if stored else 0)
        touched = dataclasses.replace(owner, etag=new_etag(), updated_at=now, updated_by=by.subject, revision=owner.revision + 1)
        told = [] if finish is None else of_step(*finish, now, by)
        moving = {*slots.keys(old)} ^ {*slots.keys(new)}
        uploads = await self._metadata.get_many([Ref(tenant=ref.tenant, key=key) for key in moving])
        moved = await aside(partial(self._moves, uploads, new, policy, now, finish), size=len(uploads))
        told += await aside(partial(self._told, old, new, by), size=size)
        await self._metadata.commit([Change(old=stored, new=new), Change(old=owner, new=touched), *moved], events=told)
        return new

    def _moves(
        self,
        uploads: Sequence[UploadRecord],
        slot: SlotRecord,
        policy: Policy,
        now: float,
        finish: tuple[UploadRecord, UploadRecord] | None,
    ) -> list[Change]:
        inside, changes = frozenset(slots.keys(slot)), []
        for upload in uploads:
            before = after = upload
            if finish is not None and upload.key == finish[0].key:
                if upload.revision != finish[0].revision:
                    raise Evicted("a newer request has the upload now")
                before, after = finish
            changes.append(Change(old=before, new=self._moved(after, slot.ref, inside, policy, now)))
        return changes

    def _moved(self, upload: UploadRecord, slot: SlotRef, inside: frozenset[Key], policy: Policy, now: float) -> UploadRecord:
        """Return *upload* as one that is in *slot*, where *inside* is, or not any more."""
        elsewhere = tuple(ref for ref in upload.attached if ref != slot)
        if upload.key in inside:
            rules.refuse_gone(upload, now)
            moved = dataclasses.replace(upload, attached=(*elsewhere, slot))
        else:
            kept_for = max(policy.grace, self._kept_at_least)
            moved = dataclasses.replace(upload, attached=elsewhere, expires_at=rules.kept_until(upload, now + kept_for))
        return dataclasses.replace(moved, revision=upload.revision + 1)

    def _told(self, old: SlotRecord, new: SlotRecord, by: Principal) -> list[Event]:
        """Return one event for each association that began, ended or came back, or one for a new order."""
        now = self._clock()
        before, after = ({association.id: association for association in slot.active} for slot in (old, new))
        known = {association.id for association in old.ended}
        endings = {association.id: association.ending for association in new.ended}
        events = []
        for name, association in before.items():
            if name not in after:
                why = {"association": name, "ending": endings.get(name) or Ending.DETACHED}
                events.append(event("attachment.detached", new.ref, now, by, association.attachment, why))
        for name, association in after.items():
            if name not in before:
                kind = "attachment.restored" if name in known else "attachment.attached"
                events.append(event(kind, new.ref, now, by, association.attachment, {"association": name}))
        return events or [event("slot.reordered", new.ref, now, by, None, {"order": slots.keys(new)})]

    async def _slot(self, ref: SlotRef) -> SlotRecord | None:
        try:
            return await self._metadata.get_slot(ref)
        except storage_errors.NotFound:
            return None
