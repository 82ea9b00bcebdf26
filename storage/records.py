"""
The records that Holdfast keeps: frozen, and the same in every store.

Their members may be more or fewer in another version of Holdfast (see `holdfast.storage.members`).  An upload whose *state* only
a newer version knows is read as `State.UNKNOWN`, so that it is listed with all others.  It keeps the text of its state, and its
content; this version answers that the client has to try again, which leads it to a newer process, and else leaves it alone.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, Self

from holdfast.storage.members import Members

Tenant = NewType("Tenant", str)
"""The account that an upload belongs to: a community, a pod, an organization."""

Key = NewType("Key", str)
"""Ten characters of ``[0-9A-Za-z]``: the name of an upload, then of its attachment, for its whole life."""

Subject = NewType("Subject", str)
"""The account that acts, as the tenant's tokens name it."""

Parts = NewType("Parts", str)
"""What a byte store records about an upload between appends.  Opaque to all other code."""


NO_PARTS = Parts("")
NO_SLOTS = "[]"
UNKNOWN = ""  # no failover epoch


class State(enum.StrEnum):
    """Where an upload is in its life; `holdfast.service.core.upload` holds the table of transitions."""

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        return cls.UNKNOWN if isinstance(value, str) else None

    OPEN = "open"
    """Content is expected."""
    RECEIVED = "received"
    """Every byte is durable; verifying and publishing them is not done yet."""
    COMPLETE = "complete"
    """An attachment: its content will not change any more."""
    REJECTED = "rejected"
    """Every byte came, and the finish refused the content."""
    INVALID = "invalid"
    """More content came than the announced length."""
    CANCELLED = "cancelled"
    """A tombstone: the client cancelled the upload."""
    EXPIRED = "expired"
    """A tombstone: the upload was not finished in time."""
    PURGED = "purged"
    """A tombstone: it was complete, and in no slot for too long."""
    UNKNOWN = "unknown"
    """One that only a newer version of Holdfast knows."""


KEPT = frozenset({State.OPEN, State.RECEIVED, State.COMPLETE, State.UNKNOWN})
"""The states in which there is, or may be, content; of the others none is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """The tenant and key of an upload."""

    tenant: Tenant
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The tenant of an object, and its *kind* and *id* in its own system."""

    tenant: Tenant
    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRef:
    """A slot: a named place of an object that takes attachments."""

    tenant: Tenant
    kind: str
    id: str
    slot: str

    @property
    def object(self) -> ObjectRef:
        return ObjectRef(tenant=self.tenant, kind=self.kind, id=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The slot that an upload is for: its completion puts it there in the same commit."""

    slot: SlotRef
    if_match: str | None = None
    """The entity tag that the object must have then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """
    Everything known of one upload.

    Times are seconds since the epoch, lengths and offsets are bytes.
    """

    tenant: Tenant
    key: Key
    created_at: float
    state: State = State.OPEN
    revision: int = 0
    """Counts the changes of this record; `MetadataStore.commit` compares it."""
    generation: int = 0
    """Counts the holders that were fenced off: what those still write belongs to an earlier generation."""
    offset: int = 0
    """Durable bytes: a promise to the client, which may discard them."""
    length: int | None = None
    """Bytes in all; None while that is deferred."""
    expires_at: float | None = None
    """
    When an unfinished upload expires, or an attachment in no slot is purged; None means never.
    For an attachment in a slot: until when earlier slots promised to keep it.
    """
    name: str | None = None
    """File name for display, without a path."""
    content_type: str | None = None
    """Media type as the client declared it."""
    content_encoding: str | None = None
    """Codings of the bytes (RFC 9110, section 8.4), such as ``gzip``; offset and length count coded bytes.  None: not coded."""
    verify_type: bool = False
    """Whether the finish must detect *content_type* in the content itself."""
    metadata: str | None = None
    """The tus ``Upload-Metadata`` value, exactly as the client sent it."""
    idempotency_key: str | None = None
    """Identifies the request that created this upload: the client's key with its owner; unique within a tenant."""
    parts: Parts = NO_PARTS
    creator: Subject | None = None
    """The account that created the upload; None without accounts."""
    attached: tuple[SlotRef, ...] = ()
    """The slots that the attachment is in now."""
    intent: Intent | None = None
    """What it will be attached to on completion."""
    tries: int = 0
    """How often in a row the sweeper failed to finish the upload, or to delete its content."""
    failover_epoch: str = field(default=UNKNOWN, compare=False)  # of the reading, not of the upload
    """
    Identifies a period in which the metadata store lost no commit: the one in which the holder of the lease read this record.

    Not stored: a failover may take back revisions that were written in another period.
    """

    unknown: Mapping[str, Any] | None = field(default=None, compare=False)
    """See `holdfast.storage.members`; also the text of a state that is not known."""

    @property
    def ref(self) -> Ref:
        return Ref(tenant=self.tenant, key=self.key)

    @property
    def remaining(self) -> int | None:
        """Bytes that may still come; None while the length is deferred."""
        return None if self.length is None else self.length - self.offset

    def to_mapping(self) -> dict[str, Any]:
        """Return the record as plain values, by field."""
        values = MEMBERS.write(self)
        if self.state is State.UNKNOWN:
            values["state"] = (self.unknown or {}).get("state", State.UNKNOWN)
        values["attached"] = json.dumps([_names(slot) for slot in self.attached]) if self.attached else NO_SLOTS
        if self.intent is not None:
            values["intent"] = json.dumps([*_names(self.intent.slot), self.intent.if_match])
        return values

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], failover_epoch: str = UNKNOWN) -> Self:
        """Return the record that `to_mapping` turned into *values*, as read in *failover_epoch*."""
        tenant = values["tenant"]
        kinds = MEMBERS.read(values)
        state = State(values["state"])
        kinds |= {"state": state, "verify_type": bool(values.get("verify_type"))}
        if state is State.UNKNOWN:
            kinds["unknown"] = {**kinds.get("unknown", {}), "state": values["state"]}
        attached = values.get("attached", NO_SLOTS)
        slots = json.loads(attached) if attached != NO_SLOTS else ()
        kinds["attached"] = tuple(SlotRef(tenant=tenant, kind=kind, id=id_, slot=slot) for kind, id_, slot in slots)
        if values.get("intent") is not None:
            kind, id_, slot, if_match = json.loads(values["intent"])
            kinds["intent"] = Intent(slot=SlotRef(tenant=tenant, kind=kind, id=id_, slot=slot), if_match=if_match)
        return cls(**kinds, failover_epoch=failover_epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What an append made durable: *received* bytes since its beginning, and the *parts* to record for them."""

    received: int
    parts: Parts


def _names(slot: SlotRef) -> list[str]:
    return [slot.kind, slot.id, slot.slot]


MEMBERS = Members(UploadRecord, ("failover_epoch",))
FIELDS = MEMBERS.names
