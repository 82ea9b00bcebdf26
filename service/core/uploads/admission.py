"""Decides how a request may go on, from its head and the record, before any content is read; no I/O."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NoReturn

from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.content.media_types import IMAGES, is_undeclared
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import (
    AlreadyComplete,
    IdempotencyConflict,
    LengthExceeded,
    LengthMismatch,
    OffsetMismatch,
    TooLarge,
    TypeMismatch,
    UploadError,
)
from holdfast.service.core.limits import Limits
from holdfast.service.core.upload import expiry, refuse_gone
from holdfast.storage.records import Key, State, Subject, UploadRecord

# The fields in which a repeated creation must agree with the first one.
CREATED_WITH = ("name", "content_encoding", "metadata", "creator", "intent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """
    An append that may begin.

    *record* is *stored* with what the request says about the length.  The first *overlap* bytes of the content are compared
    with stored ones, then *room* bytes may be stored.
    """

    stored: UploadRecord
    record: UploadRecord
    overlap: int
    room: int


def begin(command: Create, creator: Subject | None, key: Key, limits: Limits, now: float) -> UploadRecord:
    """
    Return the record of a new upload of *creator*.

        :raises TooLarge: its length exceeds *limits*.
        :raises LengthExceeded, LengthMismatch: the content of the creation contradicts the length.
    """
    record = UploadRecord(
        tenant=command.tenant,
        key=key,
        created_at=now,
        length=command.length,
        name=command.name,
        content_type=command.content_type,
        content_encoding=command.content_encoding,
        verify_type=command.verify_type,
        metadata=command.metadata,
        idempotency_key=_own(command.idempotency_key, creator),
        creator=creator,
        intent=command.intent,
    )
    if command.length is not None and command.length > limits.max_size:
        raise TooLarge(limits.max_size)
    record = dataclasses.replace(record, expires_at=expiry(record, limits, now))
    try:
        return admit(record, first_append(command, record), limits, now).record
    except UploadError as error:
        error.record = None  # nothing was created
        raise


def first_append(command: Create, record: UploadRecord) -> Append:
    """Return the append of the content of a creation."""
    return Append(ref=record.ref, offset=0, completes=command.completes, content_length=command.content_length)


def admit(record: UploadRecord, command: Append, limits: Limits, now: float) -> Admitted:
    """
    Return how *command* may go on, or refuse it by its head.

    :raises UploadError: see `holdfast.service.core.errors`; the upload is unchanged, except in the case of `invalidates`.
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
    known = record if record.length == length else dataclasses.replace(record, length=length)
    return Admitted(stored=record, record=known, overlap=overlap, room=room)


def invalidates(record: UploadRecord, command: Append, begun_at: int) -> bool:
    """
    Say whether an overrun ends the upload, to which *command* began to append at the offset *begun_at*.

    draft-ietf-httpbis-resumable-upload, "Upload Length": "If the length is exceeded, the server MUST … reject all further
    interaction."  tus and Content-Range only refuse the request; but if the length was reached and recorded before the overrun
    came, the upload would count as received.
    """
    if record.state is not State.OPEN:
        return False
    return command.completes is not Completes.AT_LENGTH or begun_at < record.offset == record.length


def refuse_overrun(stored: UploadRecord, received: UploadRecord, limits: Limits) -> NoReturn:
    """
    Refuse content beyond the room; *stored* is the upload without it.

    :raises AlreadyComplete, LengthExceeded, TooLarge: depending on what bounds the upload.
    """
    if stored.state is State.COMPLETE:
        raise AlreadyComplete("the upload is complete", stored)
    if received.length is None:
        raise TooLarge(limits.max_size, stored)
    raise LengthExceeded(f"the content goes on after {received.length} bytes", stored)


def refuse_other_length(record: UploadRecord, command: GetOffset) -> None:
    """
    Refuse a request that names another length than the upload has.

    :raises LengthMismatch: the lengths differ.
    """
    if command.length is not None and record.length is not None and command.length != record.length:
        raise LengthMismatch(f"the length is {record.length}, not {command.length}", record, command.length)


def refuse_other_request(existing: UploadRecord, wanted: UploadRecord) -> None:
    """
    Refuse an idempotency key that was used for another request.

    :raises IdempotencyConflict: the requests differ.
    """
    same = all(getattr(existing, field) == getattr(wanted, field) for field in CREATED_WITH)
    same = same and _had_type(existing, wanted.content_type)
    # A length that the first request left open may be known by now.
    if not same or wanted.length not in (None, existing.length):
        raise IdempotencyConflict("this idempotency key belongs to another request")


def _own(idempotency_key: str | None, subject: Subject | None) -> str | None:
    """
    Return an idempotency key in the scope of *subject*, so that keys of different accounts never meet.

    No HTTP field has a line break, so a key without an account never equals one with an account.  Keys that were stored before
    they belonged to accounts are not found by accounts: repeating such a creation makes a new upload.
    """
    return idempotency_key if None in (idempotency_key, subject) else f"{subject}\n{idempotency_key}"


def _refuse_offset(record: UploadRecord, command: Append) -> None:
    if command.offset == record.offset:
        # A request whose answer was lost is repeated and answered again; any other is too late.
        if record.state is State.COMPLETE and command.completes is Completes.LATER:
            raise AlreadyComplete("the upload is complete", record)
        return
    if command.compares and command.offset < record.offset:
        return
    raise OffsetMismatch(record, command.offset)


def _refuse_other_type(record: UploadRecord, provided: str) -> None:
    if record.content_type is None or is_undeclared(provided) or is_undeclared(record.content_type):
        return
    if not _is_same_type(canonical(provided), canonical(record.content_type), record):
        raise TypeMismatch(f"the upload was announced as {record.content_type}, not as {provided}", record)


def _is_same_type(provided: str, known: str, record: UploadRecord) -> bool:
    """Say whether two types are the same; the type of an image was replaced by the detected one on completion."""
    return provided == known or (record.state is State.COMPLETE and {provided, known} <= IMAGES)


def _had_type(existing: UploadRecord, wanted: str | None) -> bool:
    """Say whether an upload was created with this type, which the finish may have replaced by the detected one."""
    if existing.content_type == wanted:
        return True
    if existing.state is not State.COMPLETE or existing.content_type is None:
        return False
    return is_undeclared(wanted) or _is_same_type(canonical(wanted or ""), canonical(existing.content_type), existing)


def _agreed_length(record: UploadRecord, command: Append, limits: Limits) -> int | None:
    """Return the length after this request, or refuse a contradiction."""
    known = record.length
    if command.length is not None:
        if known not in (None, command.length):
            raise LengthMismatch(f"the length is {known}, not {command.length}", record, command.length)
        known = _possible_length(record, command.length, limits)
    if command.completes is Completes.AT_END and command.content_length is not None:
        # Section "Upload Length" of the draft: offset and content length of a completing request give the length.
        length = command.offset + command.content_length
        if known is not None and length < known and record.state is State.OPEN:
            raise LengthMismatch(f"the length is {known}, not {length}", record, length)
        known = _possible_length(record, length, limits) if known is None else known
    return known


def _possible_length(record: UploadRecord, length: int, limits: Limits) -> int:
    if length < record.offset:
        raise LengthMismatch(f"{record.offset} bytes are there already, the length cannot be {length}", record, length)
    if length > limits.max_size:
        raise TooLarge(limits.max_size, record)
    return length
