"""
The rules of slots: attach, detach, reorder and undo.

No I/O and no clock.  Each function returns the changed slot, or refuses; rights are decided in `core/access`.
"""

# Theory of operation
# -------------------
#
# A slot is one record.  So at every commit a slot for one has at most one active association, and a slot for many has an order.
# What leaves a slot enters its history; within the grace of the policy it can be put back, as the same association.  One undo
# reverts one act: what left together, which is what ended at the same moment, comes back together.  The effects on attachments
# (which slots they are in, when they are purged) follow from the difference of two revisions of the slot, and
# `holdfast.service.core.slots.attachments` commits both together.

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence

from holdfast.service.core.errors import NotAttached, NothingToUndo, SlotChanged, SlotFull
from holdfast.service.core.policies import Policy
from holdfast.storage.objects import Association, Ending, SlotRecord
from holdfast.storage.records import Key, SlotRef, Subject


def empty(ref: SlotRef, etag: str) -> SlotRecord:
    """Return a slot that was never used."""
    return SlotRecord(tenant=ref.tenant, kind=ref.kind, id=ref.id, slot=ref.slot, etag=etag)


def keys(slot: SlotRecord) -> tuple[Key, ...]:
    """Return the keys of the attachments in the slot, in its order."""
    return tuple(association.attachment for association in slot.active)


def attach(slot: SlotRecord, new: Association, policy: Policy, place: int | None = None) -> SlotRecord:
    """
    Return *slot* with *new* in it: in place of the present one in a slot for one, else at *place* (an index), or last.

    An attachment that is in the slot already stays as it is.

    :raises SlotFull: the slot takes no more.
    """
    if new.attachment in keys(slot):
        return slot
    if policy.most == 1:
        ended = (*slot.ended, *_ended(slot, slot.active, Ending.REPLACED, new.attached_by, new.attached_at))
        return _trimmed(dataclasses.replace(slot, active=(new,), ended=ended), policy)
    if len(slot.active) >= policy.most:
        raise SlotFull(f"{slot.slot} takes {policy.most} attachments")
    at = len(slot.active) if place is None else min(place, len(slot.active))
    return dataclasses.replace(slot, active=(*slot.active[:at], new, *slot.active[at:]))


def detach(
    slot: SlotRecord, attachment: Key | None, policy: Policy, actor: Subject | None, now: float, ending: Ending = Ending.DETACHED
) -> SlotRecord:
    """
    Return *slot* without *attachment*; None empties it.

    :raises NotAttached: the attachment is not in it.
    """
    leaving = tuple(association for association in slot.active if attachment in (None, association.attachment))
    if attachment is not None and not leaving:
        raise NotAttached("the attachment is not in this slot")
    staying = tuple(association for association in slot.active if attachment not in (None, association.attachment))
    ended = (*slot.ended, *_ended(slot, leaving, ending, actor, now))
    return _trimmed(dataclasses.replace(slot, active=staying, ended=ended), policy)


def reorder(slot: SlotRecord, order: Sequence[Key]) -> SlotRecord:
    """
    Return *slot* in another order.

    :raises SlotChanged: *order* does not name exactly what is in the slot.
    """
    if sorted(order) != sorted(keys(slot)):
        raise SlotChanged("the new order must name every attachment of the slot, once")
    place = {key: at for at, key in enumerate(order)}
    return dataclasses.replace(slot, active=tuple(sorted(slot.active, key=lambda active: place[active.attachment])))


def undo(slot: SlotRecord, policy: Policy, actor: Subject | None, now: float, gone: Collection[Key] = frozenset()) -> SlotRecord:
    """
    Return *slot* with everything that the last act removed put back where it was.

    Attachments that are *gone* do not come back; an act of which nothing is left is skipped.

    :raises NothingToUndo: nothing left within the grace, or a slot for many has no room.
    """
    left = [old for old in slot.ended if old.ending is not Ending.UNDONE and old.attachment not in gone]
    last = [old for old in left if old.ended_at == left[-1].ended_at]
    if not last or last[0].ended_at is None or last[0].ended_at + policy.grace <= now:
        raise NothingToUndo("nothing left this slot within its grace that could come back")
    here = {*keys(slot)}
    back = [old for old in last if old.attachment not in here]
    if not back:
        raise NothingToUndo("the attachment is in the slot again")
    leaving = slot.active if policy.most == 1 else ()
    active = [] if leaving else list(slot.active)
    if len(active) + len(back) > policy.most:
        raise NothingToUndo("the slot has no room for what left it")
    for old in sorted(back, key=lambda old: old.place):
        active.insert(old.place, dataclasses.replace(old, place=0, ended_at=None, ended_by=None, ending=None))
    returned = {old.id for old in back}
    ended = (*(old for old in slot.ended if old.id not in returned), *_ended(slot, leaving, Ending.UNDONE, actor, now))
    return _trimmed(dataclasses.replace(slot, active=tuple(active), ended=ended), policy)


def _ended(
    slot: SlotRecord, leaving: Sequence[Association], ending: Ending, actor: Subject | None, now: float
) -> list[Association]:
    ended_at = now
    if slot.ended and slot.ended[-1].ended_at is not None:
        # What ends together gets a moment of its own, whatever the clock says, so that an undo finds what belongs together.
        ended_at = max(now, math.nextafter(slot.ended[-1].ended_at, math.inf))
    places = {association.id: place for place, association in enumerate(slot.active)}
    return [dataclasses.replace(old, place=places[old.id], ended_at=ended_at, ended_by=actor, ending=ending) for old in leaving]


def _trimmed(slot: SlotRecord, policy: Policy) -> SlotRecord:
    # What left last is kept whole, beyond the bound of the history: otherwise it could not be put back.
    last = sum(old.ended_at == slot.ended[-1].ended_at for old in slot.ended)
    return dataclasses.replace(slot, ended=slot.ended[max(0, len(slot.ended) - max(policy.history, last)) :])
