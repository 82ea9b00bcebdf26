"""
The language between protocols and core: what is asked, and what came of it.

To the core, protocols differ only in how the offset is written and in what completes an upload; the latter is `Completes`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.service.core.conditions import ALWAYS, Condition
from holdfast.service.core.content.content import Stop
from holdfast.service.core.principals import Capability
from holdfast.storage.objects import LoggedEvent, ObjectRecord, SlotRecord
from holdfast.storage.records import Intent, Key, ObjectRef, Ref, SlotRef, Tenant, UploadRecord


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
    content_encoding: str | None = None
    """Codings of the content as it is sent, stored and counted (RFC 9110, section 8.4); None: it has none."""
    verify_type: bool = False
    metadata: str | None = None
    idempotency_key: str | None = None
    """What the client calls this request; it belongs to the caller."""
    intent: Intent | None = None
    """What the upload is to be attached to as soon as it is complete."""


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
    """Give the upload up, or delete the attachment that became of it and is in no slot."""

    ref: Ref


Command = Create | Append | GetOffset | Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What came of a command: the upload as it is now, and how its content ended.

    *stopped* is None unless the content was cut; then the bytes that came before are in *record.offset*.
    """

    record: UploadRecord
    stopped: Stop | None = None


# What is asked of attachments, objects and slots.


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAttachment:
    """Ask what is known of an upload or an attachment."""

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class GetContent:
    """Ask for the content of a complete upload."""

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeLink:
    """Sign a URL that opens one upload to its holder, for one purpose and *seconds*."""

    ref: Ref
    purpose: Capability
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted: those that agree in all that is given."""

    type: str | None = None
    attachment: Key | None = None
    object: ObjectRef | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEvents:
    """Ask what happened in a tenant, or to one attachment of it, behind the position *after* ("": from the beginning)."""

    tenant: Tenant
    attachment: Key | None
    after: str
    limit: int
    wanted: EventFilter = EventFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Make an object known, or change what is known of it."""

    ref: ObjectRef
    attributes: str
    """A JSON object."""
    condition: Condition = ALWAYS
    """Of the object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObject:
    """Ask what is known of an object."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObject:
    """Forget an object; what is in its slots leaves them."""

    ref: ObjectRef
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class ListObjects:
    """Ask which objects of one kind are known, ordered by id, behind the id *after*."""

    tenant: Tenant
    kind: str
    after: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSlot:
    """Ask what is, and was, in a slot."""

    slot: SlotRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Fasten the attachment to a slot."""

    ref: Ref
    slot: SlotRef
    place: int | None = None
    condition: Condition = ALWAYS
    """Of the slot, which is not there before anything was in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take the attachment out of a slot; without a *key*, all of them."""

    slot: SlotRef
    key: Key | None
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """Change the order of a slot; *order* names everything that is in it."""

    slot: SlotRef
    order: tuple[Key, ...]
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Put back what left the slot last."""

    slot: SlotRef
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPicture:
    """Make the image that is the content of this request the picture of an object."""

    slot: SlotRef
    condition: Condition = ALWAYS
    """Of the object."""
    originator: str | None = None
    """The system that asks on the caller's behalf, as it calls itself: for the audit."""


AttachmentCommand = GetAttachment | Cancel
ObjectCommand = Register | GetObject | DeleteObject
PictureCommand = SetPicture | GetObject
SlotCommand = GetSlot | Attach | Detach | Reorder | Undo
AnyCommand = Command | GetAttachment | GetContent | MakeLink | GetEvents | ObjectCommand | ListObjects | SlotCommand | SetPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsOutcome:
    """
    Events in their order; *more*: there are others behind them, or may be.

    *position* is where to go on from, also where no event was found: those before it were looked at.
    """

    events: tuple[LoggedEvent, ...]
    position: str
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutcome:
    """The object as it is now, and what is or was in its slots."""

    record: ObjectRecord
    slots: tuple[SlotRecord, ...]
    """All of them; after `SetPicture` the one that the picture is for."""
    changed: bool = False
    """Whether that slot is another now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsOutcome:
    """Objects in their order; *more*: there are others behind them."""

    records: tuple[ObjectRecord, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOutcome:
    """The slot as it is now, and the attachment that was spoken of, if one was."""

    slot: SlotRecord
    record: UploadRecord | None = None
    attachments: tuple[UploadRecord, ...] = ()
    """What is in the slot, in its order: for those who asked, not for those who changed it, who may not be allowed to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOutcome:
    """The signature, to be added to a URL of the upload, and when it lapses (seconds since the epoch)."""

    record: UploadRecord
    link: str
    expires_at: int
