"""
The rules of an upload's life.  Nothing here waits, reads a clock or touches a store.
"""

# Theory of operation
# -------------------
#
# Rule 1: everything that decides whether an upload changes its state must live in this file.
#
#     open ─append→ open ─all bytes durable→ received ─finish: verify, publish→ complete
#      │ cancel, expire → tombstone            │ not what was declared → rejected  │ in no slot for too long → purged
#      └ overrun of a known length → invalid
#
# Invariants, that the stores, `uploads` and these rules keep together:
#
# * Bytes before facts.  An offset is recorded only when the bytes before it are as durable as the setting promises.  A recorded
#   offset is a promise: the client may free those bytes.
# * The recorded offset rules.  Bytes beyond it do not exist, whatever a disk says.
# * Lease for politeness, compare-and-set for truth.  A newcomer evicts the holder of an upload.  One that does not let go is
#   passed over: its facts then fail at the revision of the record, and its bytes belong to an earlier generation.
# * Interruption is not an error.  Content just ends, and knows whether it ended.  Every received byte is kept.
# * `received` is not `complete`.  Any request, or the sweeper, drives the finish again; a finish that failed is never reported
#   as success; the answer to the last append can be had again and again.
# * Overlap is compared.  Where a dialect lets a client send stored bytes again, they have to be the same bytes.
# * Retrying any request ends in the same state.
# * What is in a slot is neither deleted nor purged: an association changes the revision of the upload, so that of it and a purge
#   at the same moment only one gets through.
#
# Dialects differ in what completes an upload (`Completes`): tus 1.0 and Content-Range say that the offset reaches the length;
# the IETF draft says that length and offset do not decide it, `Upload-Complete` does.  So `complete` is a state of its own, and a
# command says which rule it lives under.

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import NoReturn

from service.core.commands import Append, Completes, Create, GetOffset
from service.core.errors import (
    AlreadyComplete,
    ContentRejected,
    IdempotencyConflict,
    LengthExceeded,
    LengthMismatch,
    OffsetMismatch,
    TooLarge,
    TypeMismatch,
    UploadAttached,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadInvalid,
    UploadPurged,
)
from service.core.limits import Limits
from service.core.sniffing import canonical
from storage.ports import Receipt
from storage.records import Key, State, UploadRecord


class Step(enum.Enum):
    """What can happen to an upload."""

    APPEND = "bytes became durable"
    FILL = "all bytes are durable"
    PUBLISH = "the finish succeeded"
    REJECT = "the finish refused the content"
    OVERRUN = "more content came than its length"
    CANCEL = "the client gave it up"
    EXPIRE = "its time ran out"
    PURGE = "nobody fastened it to anything"
    CLAIM = "a newcomer passed a sleeper over"


# An illegal step is a missing key.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.OPEN, Step.APPEND): State.OPEN,
    (State.OPEN, Step.FILL): State.RECEIVED,
    (State.OPEN, Step.OVERRUN): State.INVALID,
    (State.OPEN, Step.CANCEL): State.CANCELLED,
    (State.OPEN, Step.EXPIRE): State.EXPIRED,
    (State.RECEIVED, Step.PUBLISH): State.COMPLETE,
    (State.RECEIVED, Step.REJECT): State.REJECTED,
    (State.RECEIVED, Step.CANCEL): State.CANCELLED,
    (State.COMPLETE, Step.CANCEL): State.CANCELLED,
    (State.COMPLETE, Step.PURGE): State.PURGED,
    # A claim changes nothing but the revision and the generation.
    **{(state, Step.CLAIM): state for state in State},
}

GONE: dict[State, type[UploadError]] = {
    State.CANCELLED: UploadCancelled,
    State.EXPIRED: UploadExpired,
    State.INVALID: UploadInvalid,
    State.PURGED: UploadPurged,
}


# What a repeated creation has to agree in.
CREATED_WITH = ("name", "content_type", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """
    An append that may begin.

    *record* is *stored* with what the request told about the length.  The content is first compared over *overlap* bytes, then
    *room* bytes may be stored.
    """

    stored: UploadRecord
    record: UploadRecord
    overlap: int
    room: int


def begin(command: Create, key: Key, limits: Limits, now: float) -> UploadRecord:
    """
    Return the record of a new upload.

    :raises TooLarge: it is going to be larger than *limits* say.
    :raises LengthExceeded, LengthMismatch: the content that comes along contradicts the length.
    """
    record = UploadRecord(
        tenant=command.tenant,
        key=key,
        created_at=now,
        length=command.length,
        name=command.name,
        content_type=command.content_type,
        verify_type=command.verify_type,
        metadata=command.metadata,
        idempotency_key=command.idempotency_key,
    )
    if command.length is not None and command.length > limits.max_size:
        raise TooLarge(limits.max_size)
    record = dataclasses.replace(record, expires_at=_expiry(record, limits, now))
    try:
        return admit(record, first_append(command, record), limits, now).record
    except UploadError as error:
        error.record = None  # nothing was created that the client could ask for
        raise


def first_append(command: Create, record: UploadRecord) -> Append:
    """
    Return the append of the content that comes along with a creation.
    """
    return Append(ref=record.ref, offset=0, completes=command.completes, content_length=command.content_length)


def admit(record: UploadRecord, command: Append, limits: Limits, now: float) -> Admitted:
    """
    Return how *command* may go on, or refuse it by what its head says.

    :raises UploadError: see `service.core.errors`; the upload is as it was, but for the one case of `invalidates`.
    """
    refuse_gone(record, now)
    if command.content_type is not None and record.content_type is not None:
        _refuse_other_type(record, command.content_type)
    _refuse_offset(record, command)
    length = _agreed_length(record, command, limits)
    overlap = record.offset - command.offset
    room = (limits.max_size if length is None else length) - record.offset
    if command.content_length is not None and command.content_length - overlap > room:
        if record.state is State.COMPLETE:
            raise AlreadyComplete("the upload is complete", record)
        if length is None:
            raise TooLarge(limits.max_size, record)
        raise LengthExceeded(f"{room} bytes may still come, not {command.content_length - overlap}", record)
    return Admitted(stored=record, record=dataclasses.replace(record, length=length), overlap=overlap, room=room)


def refuse_gone(record: UploadRecord, now: float) -> None:
    """
    Refuse whatever is asked of an upload that is over.

    :raises UploadGone, ContentRejected: it is.
    """
    if record.state in GONE:
        raise GONE[record.state](f"the upload is {record.state}", record)
    if expired(record, now):
        raise UploadExpired("the upload was not finished in time", record)
    if record.state is State.REJECTED:
        raise ContentRejected(f"the content is not what {record.content_type} promises", record)


def expired(record: UploadRecord, now: float) -> bool:
    """
    Say whether the time of an unfinished upload ran out; a finished one has all the time.
    """
    return record.state is State.OPEN and record.expires_at is not None and record.expires_at <= now


def is_unused(record: UploadRecord, now: float) -> bool:
    """
    Say whether an attachment was in no slot for as long as it is kept for.
    """
    return record.state is State.COMPLETE and not record.attached and record.expires_at is not None and record.expires_at <= now


def refuse_attached(record: UploadRecord) -> None:
    """
    Refuse to delete what is in a slot.

    :raises UploadAttached: it is.
    """
    if record.attached:
        raise UploadAttached("the attachment is in a slot; detach it first", record)


def invalidates(record: UploadRecord, command: Append) -> bool:
    """
    Say whether an overrun ends the upload.

    draft-ietf-httpbis-resumable-upload, "Upload Length": "If the length is exceeded, the server MUST … reject all further
    interaction."  tus and Content-Range only refuse the request.
    """
    return record.state is State.OPEN and command.completes is not Completes.AT_LENGTH


def refuse_overrun(stored: UploadRecord, received: UploadRecord, limits: Limits) -> NoReturn:
    """
    Refuse content that goes on after the room was used up; *stored* is the upload without it.

    :raises AlreadyComplete, LengthExceeded, TooLarge: by what set the bound.
    """
    if stored.state is State.COMPLETE:
        raise AlreadyComplete("the upload is complete", stored)
    if received.length is None:
        raise TooLarge(limits.max_size, stored)
    raise LengthExceeded(f"the content goes on after {received.length} bytes", stored)


def is_pending(record: UploadRecord, command: GetOffset) -> bool:
    """
    Say whether the upload has to be finished before its offset is told.

    Begun by a dialect that completes explicitly, an upload may be open at its full length.  To one that completes at length,
    this offset means success: it has to be true before it is told.
    """
    if record.state is not State.OPEN:
        return record.state is State.RECEIVED
    length = command.length if record.length is None else record.length
    return command.completes is Completes.AT_LENGTH and record.offset == length


def refuse_other_length(record: UploadRecord, command: GetOffset) -> None:
    """
    Refuse a question about an upload of another length.

    :raises LengthMismatch: it is.
    """
    if command.length is not None and record.length is not None and command.length != record.length:
        raise LengthMismatch(f"the length is {record.length}, not {command.length}", record, command.length)


def refuse_other_request(existing: UploadRecord, wanted: UploadRecord) -> None:
    """
    Refuse an idempotency key that was used for something else.

    :raises IdempotencyConflict: it was.
    """
    same = all(getattr(existing, field) == getattr(wanted, field) for field in CREATED_WITH)
    # A length that the first request left open may have become known since.
    if not same or wanted.length not in (None, existing.length):
        raise IdempotencyConflict("this idempotency key belongs to another request")


def advance(record: UploadRecord, receipt: Receipt, limits: Limits, now: float) -> UploadRecord:
    """
    Return *record* with what *receipt* says durable.
    """
    if not receipt.received:
        return record
    after = dataclasses.replace(step(record, Step.APPEND), offset=record.offset + receipt.received, parts=receipt.parts)
    return dataclasses.replace(after, expires_at=_expiry(after, limits, now))


def is_filled(record: UploadRecord, completes: Completes, *, ended: bool) -> bool:
    """
    Say whether all bytes of the upload are there, by the rule of the dialect that speaks.

    :raises LengthMismatch: the content ended, by its own word, before the known length.
    """
    if record.state is not State.OPEN:
        return False
    match completes:
        case Completes.AT_LENGTH:
            return record.offset == record.length
        case Completes.LATER:
            return False
        case Completes.AT_END:
            if ended and record.length is not None and record.offset != record.length:
                message = f"the upload ends at {record.offset}, not at {record.length}"
                raise LengthMismatch(message, record, record.offset)
            return ended


def fill(record: UploadRecord, limits: Limits, now: float) -> UploadRecord:
    """
    Return *record* with all its bytes durable; the sweeper will look after a finish that does not happen.
    """
    filled = step(record, Step.FILL)
    return dataclasses.replace(filled, length=record.offset, expires_at=now + limits.finish_retry)


def end(record: UploadRecord, last: Step, now: float) -> UploadRecord:
    """
    Return *record* after its last step.

    What is over, and not complete, is due at once: its content is to be deleted.  A tombstone's idempotency key is free again.
    """
    ended = step(record, last)
    kept = record.idempotency_key if ended.state in (State.COMPLETE, State.REJECTED) else None
    return dataclasses.replace(ended, expires_at=None if ended.state is State.COMPLETE else now, idempotency_key=kept)


def is_over(record: UploadRecord) -> bool:
    """
    Say whether the upload is at an end that leaves no content.
    """
    return record.state in GONE or record.state is State.REJECTED


def claim(record: UploadRecord) -> UploadRecord:
    """
    Return *record* fenced against everybody who had it before: they can store no fact any more, and no byte.
    """
    return dataclasses.replace(step(record, Step.CLAIM), generation=record.generation + 1)


def step(record: UploadRecord, happened: Step) -> UploadRecord:
    """
    Return *record* in the state that the table says; a step that the table does not know is an error of ours.
    """
    return dataclasses.replace(record, state=TRANSITIONS[record.state, happened])


def _refuse_offset(record: UploadRecord, command: Append) -> None:
    if command.offset == record.offset:
        # A request that lost its answer is sent again, and gets it again; all else comes too late.
        if record.state is State.COMPLETE and command.completes is Completes.LATER:
            raise AlreadyComplete("the upload is complete", record)
        return
    if command.compares and command.offset < record.offset:
        return
    if record.state is State.COMPLETE and command.completes is not Completes.AT_LENGTH:
        raise AlreadyComplete("the upload is complete", record)
    raise OffsetMismatch(record, command.offset)


def _refuse_other_type(record: UploadRecord, provided: str) -> None:
    if record.content_type is not None and canonical(provided) != canonical(record.content_type):
        raise TypeMismatch(f"the upload was announced as {record.content_type}, not as {provided}", record)


def _agreed_length(record: UploadRecord, command: Append, limits: Limits) -> int | None:
    """Return the length after this request, if it agrees with all that is known of it."""
    known = record.length
    if command.length is not None:
        if known not in (None, command.length):
            raise LengthMismatch(f"the length is {known}, not {command.length}", record, command.length)
        known = _possible_length(record, command.length, limits)
    if command.completes is Completes.AT_END and command.content_length is not None:
        # Section "Upload Length" of the draft: offset and content length of a completing request tell the length.
        told = command.offset + command.content_length
        if known is not None and told < known and record.state is State.OPEN:
            raise LengthMismatch(f"the length is {known}, not {told}", record, told)
        known = _possible_length(record, told, limits) if known is None else known
    return known


def _possible_length(record: UploadRecord, told: int, limits: Limits) -> int:
    if told < record.offset:
        raise LengthMismatch(f"{record.offset} bytes are there already, the length cannot be {told}", record, told)
    if told > limits.max_size:
        raise TooLarge(limits.max_size, record)
    return told


def _expiry(record: UploadRecord, limits: Limits, now: float) -> float:
    """Slides with progress, up to a fixed end."""
    return min(now + limits.idle_expiry, record.created_at + limits.final_expiry)
