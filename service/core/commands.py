"""
The commands that protocols send to the core, and their outcomes.

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
    """What completes an upload, by the rules of the request's dialect."""

    AT_LENGTH = "the offset reaches the length"
    AT_END = "the content of this request was received whole"
    LATER = "a later request completes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Begin an upload; the content of the request is appended at once."""

    tenant: Tenant
    completes: Completes
    length: int | None
    content_length: int | None
    """Bytes of the request's content: 0 for none, None if it is chunked."""
    name: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    """Codings of the content as it is sent, stored and counted (RFC 9110, section 8.4); None means none."""
    verify_type: bool = False
    metadata: str | None = None
    idempotency_key: str | None = None
    """The client's name for this request; it is scoped to the caller."""
    intent: Intent | None = None
    """The slot that the upload is attached to in the commit that completes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Append the content of this request at *offset*."""

    ref: Ref
    offset: int
    completes: Completes
    content_length: int | None
    length: int | None = None
    """The length of the whole upload, if this request states it."""
    content_type: str | None = None
    """Set if it must agree with the type of the creation."""
    compares: bool = False
    """Whether content before the recorded offset is compared with the stored bytes, instead of refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOffset:
    """Return the offset of an upload; ends an append that is under way."""

    ref: Ref
    completes: Completes
    length: int | None = None
    """Set if it must agree with the length of the upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the upload, or delete its attachment if that is in no slot."""

    ref: Ref


Command = Create | Append | GetOffset | Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    The upload after a command, and how the content ended.

    *stopped* is None unless the content was cut off; *record.offset* includes the bytes that came before.
    """

    record: UploadRecord
    stopped: Stop | None = None


# Commands about attachments, objects and slots.


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAttachment:
    """Return the record of an upload or attachment."""

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class GetContent:
    """Return the content of a complete upload."""

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeLink:
    """Sign a URL that allows one *purpose* on one upload, for *seconds*."""

    ref: Ref
    purpose: Capability
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Selects the events that match every given member."""

    type: str | None = None
    attachment: Key | None = None
    object: ObjectRef | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEvents:
    """Return events of a tenant, or of one of its attachments, after the position *after* ("": from the beginning)."""

    tenant: Tenant
    attachment: Key | None
    after: str
    limit: int
    wanted: EventFilter = EventFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Register an object, or change its attributes."""

    ref: ObjectRef
    attributes: str
    """A JSON object."""
    condition: Condition = ALWAYS
    """On the object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObject:
    """Return an object with its slots."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObject:
    """Delete an object; its attachments leave its slots."""

    ref: ObjectRef
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class ListObjects:
    """Return the objects of one kind whose ids come after *after*, ordered by id."""

    tenant: Tenant
    kind: str
    after: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSlot:
    """Return what is, and was, in a slot."""

    slot: SlotRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Put an attachment into a slot."""

    ref: Ref
    slot: SlotRef
    place: int | None = None
    condition: Condition = ALWAYS
    """On the slot, which does not exist until it is first used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take an attachment out of a slot, or all if *key* is None."""

    slot: SlotRef
    key: Key | None
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """Change the order of a slot; *order* names every attachment in it."""

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
    """Make the image in the content of this request the picture of an object."""

    slot: SlotRef
    condition: Condition = ALWAYS
    """On the object."""
    originator: str | None = None
    """The system that acts on the caller's behalf, as it names itself; for the audit."""


AttachmentCommand = GetAttachment | Cancel
ObjectCommand = Register | GetObject | DeleteObject
PictureCommand = SetPicture | GetObject
SlotCommand = GetSlot | Attach | Detach | Reorder | Undo
AnyCommand = Command | GetAttachment | GetContent | MakeLink | GetEvents | ObjectCommand | ListObjects | SlotCommand | SetPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsOutcome:
    """
    Events in their order; *more*: later ones exist, or may exist.

    *position* is where the next request goes on, even if no event matched: earlier events were examined.
    """

    events: tuple[LoggedEvent, ...]
    position: str
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutcome:
    """The object after a command, and its slots with their history."""

    record: ObjectRecord
    slots: tuple[SlotRecord, ...]
    """All slots of the object; after `SetPicture` only the one of the picture."""
    changed: bool = False
    """Whether that slot was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsOutcome:
    """Objects in their order; *more*: later ones exist."""

    records: tuple[ObjectRecord, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOutcome:
    """The slot after a command, and the attachment that the command was about, if any."""

    slot: SlotRecord
    record: UploadRecord | None = None
    attachments: tuple[UploadRecord, ...] = ()
    """The attachments in the slot, in its order; only after `GetSlot`, since others may not be allowed to see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOutcome:
    """The signature, for a URL of the upload, and when it expires (seconds since the epoch)."""

    record: UploadRecord
    link: str
    expires_at: int
