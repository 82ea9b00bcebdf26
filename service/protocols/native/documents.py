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
    """A document from a client; other members are refused."""

    model_config = ConfigDict(extra="forbid")
    refused: ClassVar[Mapping[str, Callable[[], ProtocolError]]]
    """By member, the function that returns the error for an invalid value."""


class NewLink(Document):
    """The purpose and the life of a new link."""

    refused = {
        "purpose": lambda: ProtocolError(400, "purpose_invalid", f"purpose has to be one of {', '.join(Capability)}"),
        "seconds": lambda: ProtocolError(400, "seconds_invalid", "seconds has to be a whole number of at least 1"),
    }
    purpose: Capability = Field(description="What the holder of the link may do.", examples=["view"])
    seconds: StrictInt = Field(
        default=DEFAULT_LINK_LIFE, ge=1, description="How long; cut to `HOLDFAST_LINK_LIFE` (3600), so see `expiresAt`."
    )


class Order(Document):
    """The order of a slot."""

    refused = {"order": lambda: ProtocolError(400, "order_invalid", "order has to be a list of every key in the slot")}
    order: list[AttachmentKey] = Field(description="Every key that is in the slot, once.")


class Place(Document):
    """The place of an attachment in a slot."""

    refused = {"place": lambda: ProtocolError(400, "place_invalid", "place has to be a whole number of at least 0")}
    place: StrictInt | None = Field(default=None, ge=0, description="Index in the slot, counted from 0; last if missing.")


class AnswerDocument(TypedDict):
    """A document from the server."""


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
    """An event."""

    id: str
    type: Annotated[str, Field(json_schema_extra={"enum": [*get_args(EventType)]}, examples=["attachment.attached"])]
    at: Time
    actor: Annotated[str | None, Field(description="The account; null if the server acted by itself.")]
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
    """The association of an attachment with a slot."""

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
    """An association that has ended."""

    endedAt: Time | None
    endedBy: str | None
    ending: Annotated[str | None, Field(json_schema_extra={"enum": [*Ending, None]})]


class SlotContentDocument(AnswerDocument):
    """The attachments in a slot of an object."""

    etag: ETag
    attachments: list[AssociationDocument]


class ObjectDocument(ObjectSummaryDocument):
    """An object of another system, and its slots by their names."""

    slots: dict[str, SlotContentDocument]


class SlotDocument(AnswerDocument):
    """The attachments in a slot, and those that were in it."""

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
