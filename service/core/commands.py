"""
The language between protocols and core: what is asked, and what came of it.

To the core, protocols differ only in how the offset is written and in what completes an upload; the latter is `Completes`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from service.core.content import Stop
from storage.objects import ObjectRecord, SlotRecord
from storage.records import ObjectRef, Ref, SlotRef, Tenant, UploadRecord


class Completes(enum.Enum):
    """What completes an upload, by the rules of the dialect that speaks."""

    AT_LENGTH = "the offset reaches the length"
    AT_END = "the content of this request was received whole"
    LATER = "a later request says so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Begin an upload; content of the same request is appended at once."""

    tenant: Tenant
    completes: Completes
    length: int | None
    content_length: int | None
    """Length of the content that comes along: 0 for none, None for chunked."""
    name: str | None = None
    content_type: str | None = None
    verify_type: bool = False
    metadata: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Add the content of this request at *offset*."""

    ref: Ref
    offset: int
    completes: Completes
    content_length: int | None
    length: int | None = None
    """The length of the whole upload, as far as this request tells it."""
    content_type: str | None = None
    """Given where it has to agree with the type declared at creation."""
    compares: bool = False
    """Whether content before the recorded offset is compared with what is stored, instead of refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOffset:
    """Ask how far the upload is; ends an append that is under way."""

    ref: Ref
    completes: Completes
    length: int | None = None
    """Given where it has to agree with the length of the upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Give the upload up, and its attachment if there is one already."""

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Fasten the attachment to a slot."""

    ref: Ref
    slot: SlotRef
    if_match: str | None = None
    """The etag that the slot has to have; an empty one: nothing was ever in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take the attachment out of a slot."""

    ref: Ref
    slot: SlotRef
    if_match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Make an object known, or change what is known of it."""

    ref: ObjectRef
    attributes: str
    """A JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObject:
    """Ask what is known of an object."""

    ref: ObjectRef


Command = Create | Append | GetOffset | Cancel
SlotCommand = Attach | Detach
ObjectCommand = Register | GetObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What came of a command: the upload as it is now, and how its content ended.

    *stopped* is None unless the content was cut; then the bytes that came before are in *record.offset*.
    """

    record: UploadRecord
    stopped: Stop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOutcome:
    """The slot as it is now, and the attachment that was spoken of."""

    slot: SlotRecord
    record: UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutcome:
    """The object as it is now, and what is or was in its slots."""

    record: ObjectRecord
    slots: tuple[SlotRecord, ...]
