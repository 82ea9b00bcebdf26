"""
What the rules promise: a table of steps, and what is admitted, counted and refused.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core import upload as rules
from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.errors import (
    AlreadyComplete,
    IdempotencyConflict,
    LengthExceeded,
    LengthMismatch,
    StoreFailed,
    TooLarge,
    UploadError,
)
from holdfast.service.core.limits import Limits
from holdfast.service.core.upload import Step
from holdfast.service.core.uploads import admission
from holdfast.storage.keys import new_key
from holdfast.storage.records import Parts, Receipt, State
from tests.storage.backends import NOW, TENANT, new_upload

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER
LIMITS = Limits(max_size=100, idle_expiry=10, final_expiry=50, finish_retry=5)

# "-" is a step that cannot be.
TABLE = """
           append    fill      publish   reject    overrun   cancel    expire    purge     lose      claim
open       open      received  -         -         invalid   cancelled expired   -         open      open
received   -         -         complete  rejected  -         cancelled expired   -         open      received
complete   -         -         -         -         -         cancelled -         purged    -         complete
rejected   -         -         -         -         -         -         -         -         -         rejected
invalid    -         -         -         -         -         -         -         -         -         invalid
cancelled  -         -         -         -         -         -         -         -         -         cancelled
expired    -         -         -         -         -         -         -         -         -         expired
purged     -         -         -         -         -         -         -         -         -         purged
unknown    -         -         -         -         -         -         -         -         -         unknown
"""


def test_the_table_of_steps() -> None:
    """Every step that can be, and where it leads, stands in this table."""
    rows = [[state.value, *(rules.TRANSITIONS.get((state, step), "-") for step in Step)] for state in State]
    lines = [["", *(step.name.lower() for step in Step)], *rows]
    drawn = "\n".join(
        "".join(f"{cell:<11}" if at == 0 else f"{cell:<10}" for at, cell in enumerate(line)).rstrip() for line in lines
    )

    assert TABLE == f"\n{drawn}\n"


def test_a_step_is_in_the_table_or_an_error() -> None:
    """A step leads where the table says and changes nothing else; any other is an error of ours."""
    for state, happened in itertools.product(State, Step):
        record = new_upload(state=state, offset=3)
        if (state, happened) in rules.TRANSITIONS:
            assert dataclasses.replace(record, state=rules.TRANSITIONS[state, happened]) == rules.step(record, happened)
        else:
            with pytest.raises(KeyError):
                rules.step(record, happened)


def test_a_state_that_only_a_newer_version_knows() -> None:
    """The client has to try again, and the sweeper has nothing to do with it."""
    record = new_upload(state=State.UNKNOWN, expires_at=NOW)
    with pytest.raises(StoreFailed, match="newer version"):
        rules.refuse_gone(record, NOW)

    assert not rules.is_due(record, NOW + 1)


def test_a_claim_begins_a_generation() -> None:
    """Whoever passes a holder over changes the generation, and no other fact."""
    record = new_upload(generation=3, offset=5)

    assert dataclasses.replace(record, generation=4) == rules.claim(record)


# Beginning


def creation(**asked: Any) -> Create:  # noqa: ANN401  # every field has a type of its own
    """Return the creation of an upload without content."""
    return Create(**{"tenant": TENANT, "completes": AT_LENGTH, "length": None, "content_length": 0, **asked})


def test_begin() -> None:
    """A new upload is open at zero, has what it was announced with, and a time to live."""
    key = new_key()
    command = creation(length=7, name="kelp", content_type="image/png", verify_type=True, metadata="a b", idempotency_key="again")
    record = admission.begin(command, None, key, LIMITS, NOW)
    expected = new_upload(
        key=key,
        length=7,
        name="kelp",
        content_type="image/png",
        verify_type=True,
        metadata="a b",
        idempotency_key="again",
        expires_at=NOW + 10,
    )

    assert expected == record


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        ({"length": None}, None),
        ({"length": 0}, 0),
        ({"length": 100}, 100),
        ({"length": 5, "content_length": 5}, 5),
        ({"length": 5, "content_length": None}, 5),
        ({"completes": AT_END, "content_length": 5}, 5),
        ({"completes": AT_END, "content_length": None}, None),
        ({"completes": AT_END, "content_length": 0}, 0),
        ({"completes": LATER, "content_length": 5}, None),
        ({"completes": LATER, "content_length": 5, "length": 9}, 9),
    ],
)
def test_begin_knows_the_length(asked: dict[str, Any], length: int | None) -> None:
    """The length is what was announced; a request that completes the upload tells it by its content."""
    assert length == admission.begin(creation(**asked), None, new_key(), LIMITS, NOW).length


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"length": 101}, TooLarge),
        ({"content_length": 101}, TooLarge),
        ({"completes": AT_END, "content_length": 101}, TooLarge),
        ({"completes": LATER, "content_length": 101}, TooLarge),
        ({"length": 5, "content_length": 6}, LengthExceeded),
        ({"length": 5, "content_length": 6, "completes": AT_END}, LengthExceeded),
        ({"length": 5, "content_length": 6, "completes": LATER}, LengthExceeded),
        ({"length": 5, "content_length": 4, "completes": AT_END}, LengthMismatch),
        ({"length": 5, "content_length": 0, "completes": AT_END}, LengthMismatch),
    ],
)
def test_begin_refuses(asked: dict[str, Any], error: type[UploadError]) -> None:
    """What contradicts itself or is too large is not created: there is no record to ask for."""
    with pytest.raises(error) as caught:
        admission.begin(creation(**asked), None, new_key(), LIMITS, NOW)

    assert caught.value.record is None


# Going on


@given(received=st.lists(st.integers(min_value=0, max_value=20), max_size=8), steps=st.floats(min_value=0, max_value=20))
def test_offsets_only_grow(received: list[int], steps: float) -> None:
    """The offset is the sum of what became durable; expiry slides with progress, and never beyond the final one."""
    record, now = new_upload(expires_at=NOW + LIMITS.idle_expiry), NOW
    for count in received:
        now += steps
        before, record = record, rules.advance(record, Receipt(received=count, parts=Parts(f"{count}")), LIMITS, now)

        assert before.offset + count == record.offset
        assert (before if count == 0 else min(now + 10, NOW + 50)) == (record if count == 0 else record.expires_at)
        assert record.parts == (before.parts if count == 0 else f"{count}")
    assert sum(received) == record.offset
    assert State.OPEN == record.state


@pytest.mark.parametrize(
    ("completes", "ended", "offset", "length", "expected"),
    [
        (AT_LENGTH, True, 10, 10, True),
        (AT_LENGTH, False, 10, 10, True),
        (AT_LENGTH, True, 9, 10, False),
        (AT_LENGTH, True, 10, None, False),
        (AT_END, True, 10, 10, True),
        (AT_END, True, 10, None, True),
        (AT_END, False, 10, 10, False),
        (AT_END, False, 9, 10, False),
        (LATER, True, 10, 10, False),
        (LATER, True, 10, None, False),
    ],
)
def test_is_filled(completes: Completes, ended: bool, offset: int, length: int | None, expected: bool) -> None:
    """Each dialect has its own rule for when all bytes are there."""
    assert expected == rules.is_filled(new_upload(offset=offset, length=length), completes, ended=ended)


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
@pytest.mark.parametrize("completes", Completes)
def test_only_what_is_open_is_filled(state: State, completes: Completes) -> None:
    """What was received, or is over, is not filled once more."""
    assert not rules.is_filled(new_upload(state=state, offset=5, length=5), completes, ended=True)


@pytest.mark.parametrize("offset", [0, 9, 11])
def test_an_end_at_another_length(offset: int) -> None:
    """Content that ends the upload anywhere but at its length contradicts it."""
    record = new_upload(offset=offset, length=10)
    with pytest.raises(LengthMismatch) as caught:
        rules.is_filled(record, AT_END, ended=True)

    assert (record, offset) == (caught.value.record, caught.value.provided)


def test_fill() -> None:
    """What was received has the length that it has, and is looked after by the sweeper."""
    filled = rules.fill(new_upload(offset=7), LIMITS, NOW)

    assert (State.RECEIVED, 7, NOW + 5) == (filled.state, filled.length, filled.expires_at)


@pytest.mark.parametrize(
    ("state", "last", "keeps_key"),
    [
        (State.RECEIVED, Step.REJECT, True),
        (State.OPEN, Step.OVERRUN, False),
        (State.OPEN, Step.CANCEL, False),
        (State.COMPLETE, Step.CANCEL, False),
        (State.OPEN, Step.EXPIRE, False),
    ],
)
def test_end(state: State, last: Step, keeps_key: bool) -> None:
    """What has ended without being complete is due, for its content is to go; tombstones give their idempotency key up."""
    ended = rules.end(new_upload(state=state, idempotency_key="again", expires_at=NOW - 1), last, NOW)

    assert (keeps_key, NOW) == (ended.idempotency_key is not None, ended.expires_at)


@pytest.mark.parametrize(("kept_for", "expires_at"), [(None, None), (7, NOW + 7)])
def test_publish(kept_for: float | None, expires_at: float | None) -> None:
    """An attachment is kept for ever, or for as long as the setting says when nobody attaches it."""
    limits = dataclasses.replace(LIMITS, unattached_expiry=kept_for)
    published = rules.publish(new_upload(state=State.RECEIVED, idempotency_key="again", expires_at=NOW - 1), limits, NOW)

    assert (State.COMPLETE, expires_at, "again") == (published.state, published.expires_at, published.idempotency_key)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("expires_at", "is_late"), [(None, False), (NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_expired(state: State, expires_at: float | None, is_late: bool) -> None:
    """Only what is not finished expires, at its time and not before."""
    expected = is_late and state is State.OPEN

    assert expected == rules.expired(new_upload(state=state, expires_at=expires_at), NOW)


# Refusing


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("completes", Completes)
def test_invalidates(state: State, completes: Completes) -> None:
    """An overrun ends an open upload in the dialect whose specification says so."""
    record = new_upload(state=state)
    expected = state is State.OPEN and completes is not AT_LENGTH
    append = Append(ref=record.ref, offset=record.offset, completes=completes, content_length=0)

    assert expected == admission.invalidates(record, append, record.offset)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"length": 5}, LengthExceeded),
        ({"length": None}, TooLarge),
        ({"length": 5, "state": State.COMPLETE}, AlreadyComplete),
    ],
)
def test_refuse_overrun(facts: dict[str, Any], error: type[UploadError]) -> None:
    """Content that goes on is refused by what set the bound, with the upload as it was without it."""
    stored = new_upload(**facts)
    with pytest.raises(error) as caught:
        admission.refuse_overrun(stored, dataclasses.replace(stored, offset=5), LIMITS)

    assert stored == caught.value.record


@pytest.mark.parametrize(("known", "asked", "is_refused"), [(5, 5, False), (5, None, False), (None, 5, False), (5, 6, True)])
def test_refuse_other_length(known: int | None, asked: int | None, is_refused: bool) -> None:
    """A question is refused when both lengths are known and differ."""
    record = new_upload(length=known)
    command = GetOffset(ref=record.ref, completes=AT_LENGTH, length=asked)
    if is_refused:
        with pytest.raises(LengthMismatch):
            admission.refuse_other_length(record, command)
    else:
        admission.refuse_other_length(record, command)


@pytest.mark.parametrize("field", ["length", "name", "content_type", "metadata"])
def test_refuse_other_request(field: str) -> None:
    """A repeated creation agrees with the first one in all that the client said."""
    facts = {"length": 5, "name": "a", "content_type": "image/png", "metadata": "a b"}
    existing = new_upload(**facts, offset=3, state=State.COMPLETE)
    admission.refuse_other_request(existing, new_upload(**facts))
    with pytest.raises(IdempotencyConflict):
        admission.refuse_other_request(existing, new_upload(**{**facts, field: 6 if field == "length" else "other"}))
