"""The rules of an upload's life; no I/O, no clock."""

# Theory of operation
# -------------------
#
# Rule 1: everything that decides whether an upload changes its state must live in this file.
#
#     open ─append→ open ─all bytes durable→ received ─finish: verify, publish→ complete
#      │ cancel, expire → tombstone            │ not what was declared → rejected  │ in no slot for too long → purged
#      └ overrun of a known length → invalid
#
# Where a store has lost bytes, `open` and `received` fall back to `open`, at the offset of what is left.
#
# Invariants, which the stores, `uploads` and these rules keep together:
#
# * Bytes before facts.  An offset is recorded only when the bytes before it are as durable as the setting promises.  A recorded
#   offset is a promise: the client may discard those bytes.
# * The recorded offset decides.  Bytes beyond it do not exist, whatever a disk has.
# * Lease for politeness, compare-and-set for truth.  A new holder evicts the previous one.  A holder that does not let go is
#   fenced off: its changes then fail at the revision of the record, and its bytes belong to an earlier generation.
# * Interruption is not an error.  Content just ends, and knows whether it ended.  Every received byte is kept.
# * `received` is not `complete`.  Any request, or the sweeper, repeats the finish; a failed finish is never reported as
#   success; the answer to the last append can be repeated.
# * Overlap is compared.  Where a dialect lets a client send stored bytes again, they must be the same bytes.
# * Retrying any request ends in the same state.
# * An attachment in a slot is neither deleted nor purged: an association changes the revision of the upload, so an association
#   and a purge at the same moment exclude each other.
# * An attachment that left a slot is kept for the grace of that slot: the latest promised time stays on the record while the
#   attachment is in other slots, and applies once it is in none.
#
# Dialects differ in what completes an upload (`Completes`): tus 1.0 and Content-Range say that the offset reaches the length;
# the IETF draft says that length and offset do not decide it, `Upload-Complete` does.  So `complete` is a state of its own, and a
# command says which rule it lives under.

from __future__ import annotations

import dataclasses
import enum

from holdfast.service.core.commands import Completes, GetOffset
from holdfast.service.core.errors import (
    ContentRejected,
    LengthMismatch,
    StoreFailed,
    UploadAttached,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadInvalid,
    UploadPurged,
)
from holdfast.service.core.limits import Limits
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.records import Receipt, State, UploadRecord

MOST_DOUBLINGS = 16


class Step(enum.Enum):
    """What can happen to an upload."""

    APPEND = "bytes became durable"
    FILL = "all bytes are durable"
    PUBLISH = "the finish succeeded"
    REJECT = "the finish refused the content"
    OVERRUN = "more content came than its length"
    CANCEL = "the client cancelled it"
    EXPIRE = "its time ran out"
    PURGE = "it was in no slot for too long"
    LOSE = "the store lost durable bytes"
    CLAIM = "a new holder fenced an unresponsive one off"


# An illegal step is a missing key.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.OPEN, Step.APPEND): State.OPEN,
    (State.OPEN, Step.FILL): State.RECEIVED,
    (State.OPEN, Step.OVERRUN): State.INVALID,
    (State.OPEN, Step.CANCEL): State.CANCELLED,
    (State.OPEN, Step.EXPIRE): State.EXPIRED,
    (State.OPEN, Step.LOSE): State.OPEN,
    (State.RECEIVED, Step.LOSE): State.OPEN,
    (State.RECEIVED, Step.PUBLISH): State.COMPLETE,
    (State.RECEIVED, Step.REJECT): State.REJECTED,
    (State.RECEIVED, Step.CANCEL): State.CANCELLED,
    (State.RECEIVED, Step.EXPIRE): State.EXPIRED,
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
ENDS: dict[State, str] = {
    State.CANCELLED: "was cancelled or deleted",
    State.EXPIRED: "was not finished in time",
    State.INVALID: "is invalid: more content came than its length",
    State.PURGED: "was purged: it was in no slot for too long",
}


def refuse_gone(record: UploadRecord, now: float) -> None:
    """
    Refuse any request for an upload that has ended.

    :raises UploadGone, ContentRejected: it has ended.
    :raises StoreFailed: only a newer version of Holdfast knows its state.
    """
    if record.state is State.UNKNOWN:
        raise StoreFailed("only a newer version of Holdfast knows the state of the upload; send the request again", record)
    if record.state in GONE:
        raise GONE[record.state](f"the upload {ENDS[record.state]}", record)
    if expired(record, now):
        raise UploadExpired("the upload was not finished in time", record)
    if record.state is State.REJECTED:
        raise ContentRejected("the content was refused after all of it had come; the events of the upload say why", record)


def expired(record: UploadRecord, now: float) -> bool:
    """Say whether the time of an unfinished upload ran out; a finished one never expires."""
    return record.state is State.OPEN and record.expires_at is not None and record.expires_at <= now


def is_stuck(record: UploadRecord, limits: Limits, now: float) -> bool:
    """Say whether an upload has all its bytes, but could not be attached to its slot before its final expiry."""
    return record.state is State.RECEIVED and record.intent is not None and record.created_at + limits.final_expiry <= now


def is_unused(record: UploadRecord, now: float) -> bool:
    """Say whether an attachment was in no slot for as long as it is kept."""
    return record.state is State.COMPLETE and not record.attached and record.expires_at is not None and record.expires_at <= now


def kept_until(record: UploadRecord, moment: float) -> float:
    """
    Return until when to keep an attachment that left a slot whose grace ends at *moment*.

    Earlier promises of other slots hold as well.
    """
    return max(moment, record.expires_at or moment)


def is_released(record: UploadRecord, now: float) -> bool:
    """Say whether the promised time of an attachment in a slot has passed, so that it can be dropped from the record."""
    return record.state is State.COMPLETE and bool(record.attached) and record.expires_at is not None and record.expires_at <= now


def is_due(record: UploadRecord, now: float) -> bool:
    """
    Say whether something is to be done, at *now*, with an upload that a store reported as due.

    A finish or a deletion that failed is repeated at any time.
    """
    ended = expired(record, now) or is_unused(record, now) or is_released(record, now)
    return ended or record.state is State.RECEIVED or is_over(record)


def refuse_attached(record: UploadRecord) -> None:
    """
    Refuse to delete an attachment that is in a slot.

    :raises UploadAttached: it is in one.
    """
    if record.attached:
        raise UploadAttached("the attachment is in a slot; detach it first", record)


def is_pending(record: UploadRecord, command: GetOffset) -> bool:
    """
    Say whether the upload has to be finished before its offset is reported.

    An upload of a dialect that completes explicitly may be open at its full length.  To a dialect that completes at length,
    this offset means success, so it is reported only once that is true.
    """
    if record.state is not State.OPEN:
        return record.state is State.RECEIVED
    length = command.length if record.length is None else record.length
    return command.completes is Completes.AT_LENGTH and record.offset == length


def advance(record: UploadRecord, receipt: Receipt, limits: Limits, now: float) -> UploadRecord:
    """Return *record* with the durable bytes of *receipt*."""
    if not receipt.received:
        return record
    return dataclasses.replace(
        record,
        state=TRANSITIONS[record.state, Step.APPEND],
        offset=record.offset + receipt.received,
        parts=receipt.parts,
        expires_at=expiry(record, limits, now),
    )


def fall_back(record: UploadRecord, remains: Remains, limits: Limits, now: float) -> UploadRecord:
    """Return *record* with what is left of its bytes; the client gets time to send the rest again."""
    state = TRANSITIONS[record.state, Step.LOSE]
    expires_at = expiry(record, limits, now)
    return dataclasses.replace(record, state=state, offset=remains.offset, parts=remains.parts, expires_at=expires_at, tries=0)


def postpone(record: UploadRecord, limits: Limits, now: float) -> UploadRecord:
    """Return *record*, due again later: twice as late each time, up to a bound."""
    longest = max(limits.finish_retry, limits.longest_retry)
    later = now + min(limits.finish_retry * 2 ** min(record.tries, MOST_DOUBLINGS), longest)
    return dataclasses.replace(record, expires_at=later, tries=record.tries + 1)


def is_filled(record: UploadRecord, completes: Completes, *, ended: bool) -> bool:
    """
    Say whether the upload has all its bytes, by the rule of the request's dialect.

    :raises LengthMismatch: the client ended the content before the known length.
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
    """Return *record* with all its bytes durable; if the finish does not happen, the sweeper does it."""
    state = TRANSITIONS[record.state, Step.FILL]
    return dataclasses.replace(record, state=state, length=record.offset, expires_at=now + limits.finish_retry)


def publish(record: UploadRecord, limits: Limits, now: float) -> UploadRecord:
    """Return *record* as an attachment; one that never gets into a slot is kept for as long as *limits* say."""
    kept_for = limits.unattached_expiry
    return dataclasses.replace(step(record, Step.PUBLISH), expires_at=None if kept_for is None else now + kept_for, tries=0)


def end(record: UploadRecord, last: Step, now: float) -> UploadRecord:
    """
    Return *record* after a last step, after which it has no content.

    It is due at once, for its content to be deleted.  The idempotency key of a tombstone is free again.
    """
    ended = step(record, last)
    kept = record.idempotency_key if ended.state is State.REJECTED else None
    return dataclasses.replace(ended, expires_at=now, idempotency_key=kept, tries=0)


def is_over(record: UploadRecord) -> bool:
    """Say whether the upload has ended, without content."""
    return record.state in GONE or record.state is State.REJECTED


def claim(record: UploadRecord) -> UploadRecord:
    """Return *record* fenced against every earlier holder: they can store neither records nor bytes any more."""
    return dataclasses.replace(step(record, Step.CLAIM), generation=record.generation + 1)


def step(record: UploadRecord, happened: Step) -> UploadRecord:
    """Return *record* in the next state of the table; a step that is not in the table is a programming error."""
    return dataclasses.replace(record, state=TRANSITIONS[record.state, happened])


def expiry(record: UploadRecord, limits: Limits, now: float) -> float:
    """Return the new expiry, which moves with progress, up to a fixed end."""
    return min(now + limits.idle_expiry, record.created_at + limits.final_expiry)
