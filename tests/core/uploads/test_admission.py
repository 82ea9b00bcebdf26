"""
What the rules promise of an append before its content is read: a table of cases.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core.commands import Append, Completes
from holdfast.service.core.errors import (
    AlreadyComplete,
    ContentRejected,
    IdempotencyConflict,
    LengthExceeded,
    LengthMismatch,
    OffsetMismatch,
    TooLarge,
    TypeMismatch,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadInvalid,
)
from holdfast.service.core.limits import Limits
from holdfast.service.core.uploads import admission
from holdfast.storage.records import Intent, SlotRef, State, Subject, UploadRecord
from tests.storage.backends import NOW, TENANT, new_upload

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER
LIMITS = Limits(max_size=100, idle_expiry=10, final_expiry=50, finish_retry=5)


@dataclass(frozen=True)
class Case:
    """What is asked of an upload, and the length, overlap and room that come of it, or the error."""

    name: str
    upload: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    expected: tuple[int | None, int, int] | type[UploadError] = UploadError


OPEN = {"offset": 4, "length": 10}
DEFERRED = {"offset": 4, "length": None}
COMPLETE = {"offset": 10, "length": 10, "state": State.COMPLETE}
CASES = [
    Case("all that is missing", OPEN, {"offset": 4, "content_length": 6}, (10, 0, 6)),
    Case("a part of it", OPEN, {"offset": 4, "content_length": 1}, (10, 0, 6)),
    Case("chunked", OPEN, {"offset": 4, "content_length": None}, (10, 0, 6)),
    Case("nothing", OPEN, {"offset": 4, "content_length": 0}, (10, 0, 6)),
    Case("too much", OPEN, {"offset": 4, "content_length": 7}, LengthExceeded),
    Case("too far", OPEN, {"offset": 5, "content_length": 1}, OffsetMismatch),
    Case("not far enough", OPEN, {"offset": 3, "content_length": 1}, OffsetMismatch),
    Case("deferred", DEFERRED, {"offset": 4, "content_length": 5}, (None, 0, 96)),
    Case("deferred, too large", DEFERRED, {"offset": 4, "content_length": 97}, TooLarge),
    Case("the length is told", DEFERRED, {"offset": 4, "content_length": 1, "length": 9}, (9, 0, 5)),
    Case("the length is told again", OPEN, {"offset": 4, "content_length": 1, "length": 10}, (10, 0, 6)),
    Case("another length", OPEN, {"offset": 4, "content_length": 1, "length": 11}, LengthMismatch),
    Case("less than there is", DEFERRED, {"offset": 4, "content_length": 0, "length": 3}, LengthMismatch),
    Case("exactly what there is", DEFERRED, {"offset": 4, "content_length": 0, "length": 4}, (4, 0, 0)),
    Case("a length that is too large", DEFERRED, {"offset": 4, "content_length": 1, "length": 101}, TooLarge),
    Case("more than the told length", DEFERRED, {"offset": 4, "content_length": 6, "length": 9}, LengthExceeded),
    Case("overlap", OPEN, {"offset": 1, "content_length": 9, "compares": True}, (10, 3, 6)),
    Case("overlap only", OPEN, {"offset": 0, "content_length": 4, "compares": True}, (10, 4, 6)),
    Case("overlap and too much", OPEN, {"offset": 0, "content_length": 11, "compares": True}, LengthExceeded),
    Case("a gap", OPEN, {"offset": 5, "content_length": 1, "compares": True}, OffsetMismatch),
    Case("the end", OPEN, {"offset": 4, "content_length": 6, "completes": AT_END}, (10, 0, 6)),
    Case("the end, chunked", OPEN, {"offset": 4, "content_length": None, "completes": AT_END}, (10, 0, 6)),
    Case("the end, too early", OPEN, {"offset": 4, "content_length": 5, "completes": AT_END}, LengthMismatch),
    Case("the end, too late", OPEN, {"offset": 4, "content_length": 7, "completes": AT_END}, LengthExceeded),
    Case("the end tells the length", DEFERRED, {"offset": 4, "content_length": 5, "completes": AT_END}, (9, 0, 5)),
    Case("the end is too large", DEFERRED, {"offset": 4, "content_length": 97, "completes": AT_END}, TooLarge),
    Case("the end without content", DEFERRED, {"offset": 4, "content_length": 0, "completes": AT_END}, (4, 0, 0)),
    Case("a part, later more", OPEN, {"offset": 4, "content_length": 6, "completes": LATER}, (10, 0, 6)),
    Case("complete, the last answer", COMPLETE, {"offset": 10, "content_length": 0}, (10, 0, 0)),
    Case("complete, the last end", COMPLETE, {"offset": 10, "content_length": 0, "completes": AT_END}, (10, 0, 0)),
    Case("complete, later more", COMPLETE, {"offset": 10, "content_length": 0, "completes": LATER}, AlreadyComplete),
    Case("complete, one more", COMPLETE, {"offset": 10, "content_length": 1}, AlreadyComplete),
    Case("complete, one more at the end", COMPLETE, {"offset": 10, "content_length": 1, "completes": AT_END}, AlreadyComplete),
    Case("complete, somewhere else", COMPLETE, {"offset": 4, "content_length": 6}, OffsetMismatch),
    Case("complete, the end somewhere else", COMPLETE, {"offset": 4, "content_length": 6, "completes": AT_END}, OffsetMismatch),
    Case("complete, sent again", COMPLETE, {"offset": 0, "content_length": 10, "compares": True}, (10, 10, 0)),
    Case("complete, sent again and more", COMPLETE, {"offset": 0, "content_length": 11, "compares": True}, AlreadyComplete),
    Case("the same type", {**OPEN, "content_type": "image/png"}, {"offset": 4, "content_type": "Image/PNG; a=b"}, (10, 0, 6)),
    Case("an alias of the type", {**OPEN, "content_type": "image/jpeg"}, {"offset": 4, "content_type": "image/jpg"}, (10, 0, 6)),
    Case("another type", {**OPEN, "content_type": "image/png"}, {"offset": 4, "content_type": "image/gif"}, TypeMismatch),
    Case("a type that was not asked for", OPEN, {"offset": 4, "content_type": "image/gif"}, (10, 0, 6)),
    Case("cancelled", {**OPEN, "state": State.CANCELLED}, {"offset": 4}, UploadCancelled),
    Case("expired", {**OPEN, "state": State.EXPIRED}, {"offset": 4}, UploadExpired),
    Case("expired, not swept yet", {**OPEN, "expires_at": NOW}, {"offset": 4}, UploadExpired),
    Case("about to expire", {**OPEN, "expires_at": NOW + 1}, {"offset": 4}, (10, 0, 6)),
    Case("invalid", {**OPEN, "state": State.INVALID}, {"offset": 4}, UploadInvalid),
    Case("rejected", {**COMPLETE, "state": State.REJECTED}, {"offset": 10}, ContentRejected),
]


def asking(record: UploadRecord, **asked: Any) -> Append:  # noqa: ANN401  # every field has a type of its own
    """Return an append to *record*."""
    return Append(**{"ref": record.ref, "offset": record.offset, "completes": AT_LENGTH, "content_length": 0, **asked})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_admit(case: Case) -> None:
    """Each case goes on as it says, or is refused with the upload as it is."""
    record = new_upload(**case.upload)
    command = asking(record, **case.asked)
    if isinstance(case.expected, tuple):
        admitted = admission.admit(record, command, LIMITS, NOW)

        assert case.expected == (admitted.record.length, admitted.overlap, admitted.room)
        assert (record, dataclasses.replace(record, length=admitted.record.length)) == (admitted.stored, admitted.record)
    else:
        with pytest.raises(case.expected) as caught:
            admission.admit(record, command, LIMITS, NOW)

        assert case.expected is type(caught.value)
        assert record == caught.value.record


offsets = st.integers(min_value=0, max_value=120)


@given(
    at=offsets,
    length=st.none() | offsets,
    offset=offsets,
    told=st.none() | offsets,
    content_length=st.none() | offsets,
    completes=st.sampled_from(Completes),
    compares=st.booleans(),
)
def test_what_is_admitted_fits(
    at: int,
    length: int | None,
    offset: int,
    told: int | None,
    content_length: int | None,
    completes: Completes,
    compares: bool,
) -> None:
    """Whatever is asked: admitted content begins where the bytes that are there end, or before, and never ends beyond a bound."""
    record = new_upload(offset=min(at, 100), length=None if length is None else max(min(at, 100), min(length, 100)))
    command = asking(record, offset=offset, length=told, content_length=content_length, completes=completes, compares=compares)
    try:
        admitted = admission.admit(record, command, LIMITS, NOW)
    except UploadError as refused:
        assert record == refused.record  # noqa: PT017  # both outcomes are right; each has its own promise
        return

    assert admitted.overlap >= 0
    assert admitted.overlap == 0 or compares
    assert record.offset == offset + admitted.overlap
    assert record.offset <= record.offset + admitted.room <= LIMITS.max_size
    assert content_length is None or content_length <= admitted.overlap + admitted.room
    assert admitted.record.length in ({length, told, record.length} if completes is not AT_END else {admitted.record.length})
    assert record.length in (None, admitted.record.length)


@pytest.mark.parametrize(
    "other",
    [
        {"name": "b.png"},
        {"content_encoding": "gzip"},
        {"metadata": "filename Yg=="},
        {"creator": Subject("kelp")},
        {"intent": Intent(slot=SlotRef(tenant=TENANT, kind="user", id="kelp", slot="ProfilePhoto"))},
        {"content_type": "image/png"},
        {"length": 11},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_repeated_creation_differs(other: dict[str, Any]) -> None:
    """An idempotency key that comes again with anything else is refused: the first upload is not what is asked for."""
    existing = new_upload(length=10, content_type="image/gif")
    admission.refuse_other_request(existing, new_upload(length=10, content_type="image/gif"))

    with pytest.raises(IdempotencyConflict):
        admission.refuse_other_request(existing, dataclasses.replace(existing, **other))
