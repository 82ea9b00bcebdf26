"""
What becomes of a slot, step by step.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core.errors import NotAttached, NothingToUndo, SlotChanged, SlotError, SlotFull
from holdfast.service.core.policies import Policy
from holdfast.service.core.slots import slots
from holdfast.storage.objects import Association, Ending, SlotRecord
from holdfast.storage.records import Key, SlotRef, Subject
from tests.storage.backends import NOW, TENANT

ME = Subject("me")
A, B, C, D = (Key(letter * 10) for letter in "ABCD")
ONE = Policy(kind="user", slot="photo", grace=100, history=4)
MANY = Policy(kind="user", slot="files", most=3, grace=100, history=4)
EMPTY = slots.empty(SlotRef(tenant=TENANT, kind="user", id="1", slot="photo"), "")

names = itertools.count()


def new(key: Key, now: float = NOW) -> Association:
    """Return an association that begins."""
    return Association(id=str(next(names)), attachment=key, attached_at=now, attached_by=ME)


def holding(policy: Policy, *held: Key) -> SlotRecord:
    """Return a slot to which *held* were attached, one after the other."""
    slot = EMPTY
    for key in held:
        slot = slots.attach(slot, new(key), policy)
    return slot


def endings(slot: SlotRecord) -> Sequence[tuple[Key, str | None]]:
    """Return what ended, and why."""
    return [(old.attachment, old.ending) for old in slot.ended]


def test_attach_to_nothing() -> None:
    """The first attachment is in the slot, and nothing else happened."""
    slot = holding(ONE, A)

    assert ((A,), ()) == (slots.keys(slot), slot.ended)
    assert (ME, NOW, None) == (slot.active[0].attached_by, slot.active[0].attached_at, slot.active[0].ended_at)


@pytest.mark.parametrize("policy", [ONE, MANY])
def test_attach_again(policy: Policy) -> None:
    """What is there already stays as it is."""
    slot = holding(policy, A)

    assert slot == slots.attach(slot, new(A, NOW + 5), policy)


def test_replace() -> None:
    """A slot of one has the newest; the history says what was there, until when and by whom it was replaced."""
    slot = slots.attach(holding(ONE, A), dataclasses.replace(new(B, NOW + 5), attached_by=Subject("you")), ONE)

    assert ((B,), [(A, Ending.REPLACED)]) == (slots.keys(slot), endings(slot))
    assert (NOW + 5, "you") == (slot.ended[0].ended_at, slot.ended[0].ended_by)


@pytest.mark.parametrize(("place", "order"), [(None, "ABC"), (0, "CAB"), (1, "ACB"), (2, "ABC"), (99, "ABC")])
def test_places(place: int | None, order: str) -> None:
    """A slot of many takes an attachment where it is told to, or last."""
    slot = slots.attach(holding(MANY, A, B), new(C), MANY, place)

    assert list(order) == [key[0] for key in slots.keys(slot)]


def test_full() -> None:
    """A slot of many replaces nothing."""
    with pytest.raises(SlotFull):
        slots.attach(holding(MANY, A, B, C), new(D), MANY)


def test_detach() -> None:
    """What leaves is in the history; the order of the others stays."""
    slot = slots.detach(holding(MANY, A, B, C), B, MANY, ME, NOW + 1)

    assert ((A, C), [(B, Ending.DETACHED)]) == (slots.keys(slot), endings(slot))
    assert (1, NOW + 1, ME) == (slot.ended[0].place, slot.ended[0].ended_at, slot.ended[0].ended_by)


def test_detach_all() -> None:
    """A slot can be emptied; doing it again changes nothing."""
    slot = slots.detach(holding(MANY, A, B), None, MANY, ME, NOW, Ending.OBJECT_DELETED)

    assert ((), [(A, Ending.OBJECT_DELETED), (B, Ending.OBJECT_DELETED)]) == (slots.keys(slot), endings(slot))
    assert slot == slots.detach(slot, None, MANY, ME, NOW + 1)


def test_detach_what_is_not_there() -> None:
    """Nobody is told that something left that was not there."""
    with pytest.raises(NotAttached):
        slots.detach(holding(MANY, A), B, MANY, ME, NOW)


def test_reorder() -> None:
    """Every order of what is there can be had."""
    slot = holding(MANY, A, B, C)
    for order in itertools.permutations((A, B, C)):
        assert order == slots.keys(slots.reorder(slot, order))


@pytest.mark.parametrize("order", [(), (A,), (A, B, C), (A, A), (A, C)])
def test_reorder_something_else(order: tuple[Key, ...]) -> None:
    """An order of something else is one of a slot that was changed meanwhile."""
    with pytest.raises(SlotChanged):
        slots.reorder(holding(MANY, A, B), order)


def test_undo_a_replacement() -> None:
    """The one before is back, as the association that it was; a second undo goes one further back."""
    before = holding(ONE, A, B)
    slot = slots.undo(slots.attach(before, new(C), ONE), ONE, ME, NOW + 99)

    assert (before.active, [(A, Ending.REPLACED), (C, Ending.UNDONE)]) == (slot.active, endings(slot))
    assert (A,) == slots.keys(slots.undo(slot, ONE, ME, NOW + 99))


@pytest.mark.parametrize("key", [A, B, C])
def test_undo_a_detachment(key: Key) -> None:
    """What left a slot of many is where it was."""
    before = holding(MANY, A, B, C)
    slot = slots.undo(slots.detach(before, key, MANY, ME, NOW), MANY, ME, NOW)

    assert before == slot


@pytest.mark.parametrize("away", [A, B, C])
def test_one_undo_takes_back_one_act(away: Key) -> None:
    """What left at once comes back at once, in its order; what left before, by another act, with the next undo."""
    before = holding(MANY, A, B, C)
    without = slots.detach(before, away, MANY, ME, NOW)
    empty = slots.detach(without, None, MANY, ME, NOW)
    first = slots.undo(empty, MANY, ME, NOW)

    assert without == first
    assert before == slots.undo(first, MANY, ME, NOW)


def test_undo_what_is_there_again() -> None:
    """Of what left together, what is in the slot again stays where it is."""
    slot = slots.attach(slots.detach(holding(MANY, A, B, C), None, MANY, ME, NOW), new(B), MANY)

    assert (A, B, C) == slots.keys(slots.undo(slot, MANY, ME, NOW))


@pytest.mark.parametrize(
    ("gone", "back"),
    [({C}, (A, B)), ({A}, (B, C)), ({A, B, C}, (D,)), ({B, C}, (A,))],
    ids=lambda keys: "".join(sorted(keys))[::10],
)
def test_undo_passes_over_what_is_gone(gone: set[Key], back: tuple[Key, ...]) -> None:
    """What was deleted does not come back; where nothing of an act is left, the one before is taken back."""
    before = slots.detach(holding(MANY, D), D, MANY, ME, NOW)
    for key in (A, B, C):
        before = slots.attach(before, new(key), MANY)
    slot = slots.detach(before, None, MANY, ME, NOW)

    assert back == slots.keys(slots.undo(slot, MANY, ME, NOW, gone))


def test_undo_to_what_was_before_the_one_that_is_gone() -> None:
    """A was replaced by B, which left and was deleted: A is back."""
    slot = slots.detach(holding(ONE, A, B), None, ONE, ME, NOW)

    assert (A,) == slots.keys(slots.undo(slot, ONE, ME, NOW, {B}))
    with pytest.raises(NothingToUndo):
        slots.undo(slot, ONE, ME, NOW, {A, B})


def test_nothing_to_undo() -> None:
    """Where nothing left, or too long ago, nothing comes back."""
    replaced = holding(ONE, A, B)
    again = slots.attach(slots.detach(holding(MANY, A), A, MANY, ME, NOW), new(A), MANY)
    full = slots.attach(slots.detach(holding(MANY, A, B, C), A, MANY, ME, NOW), new(D), MANY)
    for slot, policy, now in ((EMPTY, ONE, NOW), (replaced, ONE, NOW + 100), (again, MANY, NOW), (full, MANY, NOW)):
        with pytest.raises(NothingToUndo):
            slots.undo(slot, policy, ME, now)


def test_history_has_an_end() -> None:
    """Of very many only the newest that ended are remembered."""
    slot = holding(ONE, *(Key(f"{number:010}") for number in range(20)))

    assert [f"{number:010}" for number in range(15, 19)] == [old.attachment for old in slot.ended]


def test_what_left_last_is_remembered_whole() -> None:
    """However short the history is: what left together can be put back together."""
    policy = dataclasses.replace(MANY, history=1)
    before = holding(policy, A, B, C)

    assert before == slots.undo(slots.detach(before, None, policy, ME, NOW), policy, ME, NOW)


@given(
    many=st.booleans(),
    steps=st.lists(
        st.tuples(st.sampled_from(["attach", "detach", "empty", "reorder", "undo"]), st.sampled_from([A, B, C, D])), max_size=30
    ),
)
def test_any_course(many: bool, steps: list[tuple[str, Key]]) -> None:
    """Whatever happens: never too many at once, none twice, none both in and out, and an association ends once."""
    policy, slot = MANY if many else ONE, EMPTY
    for at, (verb, key) in enumerate(steps):
        now = NOW + 10 * at
        try:
            match verb:
                case "attach":
                    slot = slots.attach(slot, new(key, now), policy, at % 3)
                case "detach":
                    slot = slots.detach(slot, key, policy, ME, now)
                case "empty":
                    slot = slots.detach(slot, None, policy, ME, now)
                case "reorder":
                    slot = slots.reorder(slot, sorted(slots.keys(slot)))
                case "undo":
                    slot = slots.undo(slot, policy, ME, now)
        except SlotError:
            continue
        everything = [association.id for association in (*slot.active, *slot.ended)]

        assert len(slot.active) <= policy.most
        assert len(slot.ended) <= policy.history
        assert len(everything) == len(set(everything))
        assert len(slots.keys(slot)) == len(set(slots.keys(slot)))
        assert all(association.ended_at is None for association in slot.active)
        assert all(association.ended_at is not None and association.ending is not None for association in slot.ended)
