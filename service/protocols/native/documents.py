"""
The documents of the native JSON API: what clients send, and what the server answers.

pydantic checks requests, and describes both for OpenAPI.  Answers are typed dictionaries: mypy checks the code that makes
them, so that pydantic has nothing to check while the server answers.  Their members are named as JSON has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NotRequired, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictInt, WithJsonSchema
from typing_extensions import TypedDict

from holdfast.service.core.events.events import EventType
from holdfast.service.core.principals import Capability
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.storage.objects import Ending
from holdfast.storage.records import State

DEFAULT_LINK_LIFE = 600  # seconds

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-28T07:40:00.000Z"]})]
Count = Annotated[int, Field(ge=0)]
AttachmentKey = Annotated[str, Field(examples=["4Fq0aXw9Zk"])]
Kind = Annotated[str, Field(examples=["user"])]
Id = Annotated[str, Field(examples=["7"])]
SlotName = Annotated[str, Field(examples=["ProfilePhoto"])]
ETag = Annotated[str, Field(description="Empty as long as nothing was ever in the slot.")]


class Document(BaseModel):
    """What a client sends; it has no other members."""

    model_config = ConfigDict(extra="forbid")
    refused: ClassVar[Mapping[str, Callable[[], ProtocolError]]]
    """By member, its refusal."""


class NewLink(Document):
    """For what a link is, and how long it opens that."""

    refused = {
        "purpose": lambda: ProtocolError(400, "purpose_invalid", f"purpose is one of {', '.join(Capability)}"),
        "seconds": lambda: ProtocolError(400, "seconds_invalid", "seconds has to be a number from 1 on"),
    }
    purpose: Capability = Field(description="What the link lets one do.", examples=["view"])
    seconds: StrictInt = Field(
        default=DEFAULT_LINK_LIFE, ge=1, description="How long; cut to `HOLDFAST_LINK_LIFE` (3600), so see `expiresAt`."
    )


class Order(Document):
    """The order of a slot."""

    refused = {"order": lambda: ProtocolError(400, "order_invalid", "order has to be a list of every key in the slot")}
    order: list[AttachmentKey] = Field(description="Every key that is in the slot, once.")


class Place(Document):
    """Where in a slot an attachment is put."""

    refused = {"place": lambda: ProtocolError(400, "place_invalid", "place has to be a number from 0 on")}
    place: StrictInt | None = Field(
        default=None, ge=0, description="Before which of those in the slot, counted from 0; last, if not given."
    )


class AnswerDocument(TypedDict):
    """What the server answers; it has no other members."""


class ProblemDocument(AnswerDocument):
    """What is wrong (RFC 9457)."""

    type: str
    title: Annotated[str, Field(description="The code of the error.", examples=["attachment_not_found"])]
    status: int
    detail: Annotated[str, Field(description="A sentence for the author of the client.")]


class SlotOfAttachmentDocument(AnswerDocument):
    """A slot that holds an attachment."""

    kind: Kind
    id: Id
    slot: SlotName


class AttachmentDocument(AnswerDocument):
    """An upload, or the attachment that it became."""

    key: AttachmentKey
    state: Annotated[str, Field(json_schema_extra={"enum": [*State]}, examples=["complete"])]
    name: str | None
    contentType: Annotated[str | None, Field(examples=["image/png"])]
    contentEncoding: str | None
    offset: Annotated[Count, Field(description="How many bytes are durable.")]
    length: Count | None
    createdAt: Time
    createdBy: str | None
    expiresAt: Time | None
    attached: list[SlotOfAttachmentDocument]


class LinkDocument(AnswerDocument):
    """A link that opens one attachment."""

    purpose: Capability
    link: str
    url: str | None
    expiresAt: Time


class EventDocument(AnswerDocument):
    """What happened."""

    id: str
    type: Annotated[str, Field(json_schema_extra={"enum": [*get_args(EventType)]}, examples=["attachment.attached"])]
    at: Time
    actor: Annotated[str | None, Field(description="The account; null for what the service does by itself.")]
    originator: str | None
    attachment: str | None
    kind: str | None
    objectId: str | None
    slot: str | None
    data: dict[str, Any]
    cursor: str


class EventsDocument(AnswerDocument):
    """A page of events."""

    items: list[EventDocument]
    next: str
    more: bool


class ObjectSummaryDocument(AnswerDocument):
    """An object of another system."""

    kind: Kind
    id: Id
    etag: str
    attributes: dict[str, Any]
    createdAt: Time
    updatedAt: Time
    updatedBy: str | None


class ObjectsDocument(AnswerDocument):
    """A page of objects."""

    items: list[ObjectSummaryDocument]
    next: str | None


class AssociationDocument(AnswerDocument):
    """That an attachment is in a slot."""

    key: AttachmentKey
    association: str
    attachedAt: Time
    attachedBy: str | None


class AttachedDocument(AssociationDocument):
    """An attachment in a slot, described while its record can be read."""

    name: NotRequired[str | None]
    contentType: NotRequired[Annotated[str | None, Field(description="As it was declared.")]]
    length: NotRequired[Annotated[int | None, Field(ge=0, description="Bytes.")]]


class PastDocument(AssociationDocument):
    """That an attachment was in a slot."""

    endedAt: Time | None
    endedBy: str | None
    ending: Annotated[str | None, Field(json_schema_extra={"enum": [*Ending, None]})]


class SlotContentDocument(AnswerDocument):
    """What is in a slot of an object."""

    etag: ETag
    attachments: list[AssociationDocument]


class ObjectDocument(ObjectSummaryDocument):
    """An object of another system, and its slots by their names."""

    slots: dict[str, SlotContentDocument]


class SlotDocument(AnswerDocument):
    """What is and was in a slot."""

    kind: Kind
    id: Id
    slot: SlotName
    etag: ETag
    attachments: list[AttachedDocument]
    history: list[PastDocument]


DOCUMENTS: tuple[type, ...] = (
    NewLink,
    Order,
    Place,
    ProblemDocument,
    AttachmentDocument,
    LinkDocument,
    EventsDocument,
    ObjectsDocument,
    ObjectDocument,
    SlotDocument,
)
