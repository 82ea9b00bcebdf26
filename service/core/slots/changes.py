"""
Decides what one change of a slot means for its object, for uploads and for events; no I/O.

`holdfast.service.core.slots.attachments` reads the records and commits the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from holdfast.service.core import upload as rules
from holdfast.service.core.conditions import ALWAYS, Condition
from holdfast.service.core.errors import Evicted, SlotChanged, SlotFull
from holdfast.service.core.events.events import EventType, event, new_etag, new_name, of_step
from holdfast.service.core.policies import Policy
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots import slots
from holdfast.storage.objects import Ending, Event, ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import Key, SlotRef, UploadRecord

Rule = Callable[[SlotRecord, Collection[Key]], SlotRecord]
"""Returns the changed slot; the keys are those of attachments in its history that have ended.  It may run on a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChange:
    """A requested change of a slot."""

    ref: SlotRef
    policy: Policy
    rule: Rule
    by: Principal
    condition: Condition = ALWAYS
    """On the slot."""
    if_object: str | None = None
    """The etag that the object must have."""
    restores: bool = False
    """Whether the rule needs the keys of ended attachments."""
    finish: tuple[UploadRecord, UploadRecord] | None = None
    """An upload before and after its publication, which is part of the same commit."""

    def refuse_other(self, owner: ObjectRecord, slot: SlotRecord) -> None:
        """
        Refuse the change if the slot or the object differs from what the client believes.

        :raises SlotChanged: one of them differs.
        """
        if not self.condition.holds(slot.etag):
            raise SlotChanged("the slot was changed meanwhile")
        refuse_other_object(owner, self.if_object)

    def decide(
        self,
        owner: ObjectRecord,
        stored: SlotRecord | None,
        new: SlotRecord,
        uploads: Mapping[Key, UploadRecord],
        now: float,
        minimum_retention: float,
    ) -> tuple[list[Change], list[Event]]:
        """
        Return all changes and events to commit; *uploads* are those that enter or leave the slot.

        :raises UploadGone, Evicted: one of them has ended, or a newer request has it.
        """
        slot = dataclasses.replace(new, etag=new_name(), revision=0 if stored is None else stored.revision + 1)
        touched = dataclasses.replace(
            owner, etag=new_etag(), updated_at=now, updated_by=self.by.subject, revision=owner.revision + 1
        )
        inside, kept_until = frozenset(slots.keys(slot)), now + max(self.policy.grace, minimum_retention)
        changes = [Change(old=stored, new=slot), Change(old=owner, new=touched)]
        for upload in uploads.values():
            before = after = upload
            if self.finish is not None and upload.key == self.finish[0].key:
                if upload.revision != self.finish[0].revision:
                    raise Evicted("a newer request has the upload now")
                before, after = self.finish
            changes.append(Change(old=before, new=self._moved(after, inside, now, kept_until)))
        events = [] if self.finish is None else of_step(*self.finish, now, self.by)
        return changes, events + self._events(stored or slots.empty(self.ref, ""), slot, now)

    def _moved(self, upload: UploadRecord, inside: Collection[Key], now: float, kept_until: float) -> UploadRecord:
        """Return *upload* with this slot added, if its key is *inside*, or removed."""
        elsewhere = tuple(ref for ref in upload.attached if ref != self.ref)
        if upload.key in inside:
            rules.refuse_gone(upload, now)
            moved = dataclasses.replace(upload, attached=(*elsewhere, self.ref))
        else:
            moved = dataclasses.replace(upload, attached=elsewhere, expires_at=rules.kept_until(upload, kept_until))
        return dataclasses.replace(moved, revision=upload.revision + 1)

    def _events(self, old: SlotRecord, new: SlotRecord, now: float) -> list[Event]:
        """Return one event for each association that began, ended or came back, or one for a new order."""
        before, after = ({association.id: association for association in slot.active} for slot in (old, new))
        known = {association.id for association in old.ended}
        endings = {association.id: association.ending for association in new.ended}
        events = []
        for name, association in before.items():
            if name not in after:
                why = {"association": name, "ending": endings.get(name) or Ending.DETACHED}
                events.append(event("attachment.detached", self.ref, now, self.by, association.attachment, why))
        for name, association in after.items():
            if name not in before:
                kind: EventType = "attachment.restored" if name in known else "attachment.attached"
                events.append(event(kind, self.ref, now, self.by, association.attachment, {"association": name}))
        return events or [event("slot.reordered", self.ref, now, self.by, None, {"order": slots.keys(new)})]


def refuse_other_object(owner: ObjectRecord, etag: str | None) -> None:
    """
    Refuse an object with another *etag* than the client expects; None matches any.

    :raises SlotChanged: the etag differs.
    """
    if etag not in (None, owner.etag):
        raise SlotChanged("the object was changed meanwhile")


def refuse_full(slot: SlotRecord, policy: Policy, attachment: Key | None = None) -> None:
    """
    Refuse *attachment* if a slot for many has no room for it.

    :raises SlotFull: there is no room.
    """
    if policy.most > 1 and len(slot.active) >= policy.most and attachment not in slots.keys(slot):
        raise SlotFull(f"{policy.slot} takes {policy.most} attachments")
