"""
What one change of a slot means for its object, for uploads and for events.

Nothing here waits or touches a store: it is decided over what was read, and `holdfast.service.core.slots.attachments` commits it.
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
"""Returns the slot as it is to be; the keys are those of the attachments in its history that are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChange:
    """
    A change of a slot, as a caller asked for it.
    """

    ref: SlotRef
    policy: Policy
    rule: Rule
    by: Principal
    condition: Condition = ALWAYS
    """Of the slot."""
    if_object: str | None = None
    """The etag that the object has to have."""
    restores: bool = False
    """Whether the rule has to know what is gone of the history."""
    finish: tuple[UploadRecord, UploadRecord] | None = None
    """An upload before and after it was published, which is part of the same change."""

    def refuse_other(self, owner: ObjectRecord, slot: SlotRecord) -> None:
        """
        Refuse to change what is not as the caller believes.

        :raises SlotChanged: it is not.
        """
        if not self.condition.holds(slot.etag):
            raise SlotChanged("the slot was changed meanwhile")
        refuse_other_object(owner, self.if_object)

    def decide(
        self, owner: ObjectRecord, stored: SlotRecord | None, new: SlotRecord, uploads: Mapping[Key, UploadRecord], now: float,
        minimum_retention: float,
    ) -> tuple[list[Change], list[Event]]:  # fmt: skip
        """
        Return everything that is to be committed, and the events; *uploads* are those that come or leave.

        :raises UploadGone, Evicted: one of them is over, or belongs to a newer request.
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
        """Return *upload* as one that is in the slot, where *inside* is, or not any more."""
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
    Refuse an object that has another *etag* than the caller believes; None: any will do.

    :raises SlotChanged: it has.
    """
    if etag not in (None, owner.etag):
        raise SlotChanged("the object was changed meanwhile")


def refuse_full(slot: SlotRecord, policy: Policy, attachment: Key | None = None) -> None:
    """
    Refuse a slot of many that has no room for *attachment*.

    :raises SlotFull: it has none.
    """
    if policy.most > 1 and len(slot.active) >= policy.most and attachment not in slots.keys(slot):
        raise SlotFull(f"{policy.slot} takes {policy.most} attachments")
