"""
The objects of other systems that attachments belong to, their slots, and the events that record every change.

A slot is one record of everything that is or was in it, so a replacement is one atomic change.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from holdfast.storage.members import Members
from holdfast.storage.records import Key, ObjectRef, SlotRef, Subject, Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """What Holdfast knows of an object of another system.  Times are seconds since the epoch."""

    tenant: Tenant
    kind: str
    id: str
    created_at: float
    updated_at: float
    updated_by: Subject | None
    etag: str
    """Differs after every change of the object or of one of its slots."""
    revision: int = 0
    attributes: str = "{}"
    """A JSON object of the object's own system, stored as it came; a group has ``type`` and ``status``, which policies read."""
    deleted_at: float | None = None
    unknown: Mapping[str, Any] | None = field(default=None, compare=False)
    """See `holdfast.storage.members`."""

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(tenant=self.tenant, kind=self.kind, id=self.id)

    def to_mapping(self) -> dict[str, Any]:
        """Return the record as plain values, by field."""
        return OBJECT_MEMBERS.write(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that `to_mapping` turned into *values*."""
        return cls(**OBJECT_MEMBERS.read(values))


class Ending(enum.StrEnum):
    """Why an association ended."""

    REPLACED = "replaced"
    DETACHED = "detached"
    UNDONE = "undone"
    OBJECT_DELETED = "object_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """An attachment in a slot, now or until *ended_at*.  Times are seconds since the epoch."""

    id: str
    """Unique: a later association of the same attachment with the same slot has another id."""
    attachment: Key
    attached_at: float
    attached_by: Subject | None
    place: int = 0
    """If it ended: its index in the slot before."""
    ended_at: float | None = None
    ended_by: Subject | None = None
    ending: str | None = None
    """An `Ending`, or the text of one that only a newer version of Holdfast knows."""
    unknown: Mapping[str, Any] | None = field(default=None, compare=False)
    """See `holdfast.storage.members`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """Everything that is or was in one slot."""

    tenant: Tenant
    kind: str
    id: str
    slot: str
    etag: str
    """Differs after every change of *active*."""
    revision: int = 0
    active: tuple[Association, ...] = ()
    """In the order of the slot."""
    ended: tuple[Association, ...] = ()
    """The history, newest last; the core bounds its length."""
    unknown: Mapping[str, Any] | None = field(default=None, compare=False)
    """See `holdfast.storage.members`."""

    @property
    def ref(self) -> SlotRef:
        return SlotRef(tenant=self.tenant, kind=self.kind, id=self.id, slot=self.slot)

    def to_mapping(self) -> dict[str, Any]:
        """Return the record as plain values, by field; associations are JSON."""
        return SLOT_MEMBERS.write(self) | {"active": _to_json(self.active), "ended": _to_json(self.ended)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that `to_mapping` turned into *values*."""
        associations = {"active": _from_json(values["active"]), "ended": _from_json(values["ended"])}
        return cls(**SLOT_MEMBERS.read(values) | associations)


def slot_size(values: Mapping[str, Any]) -> int:
    """Return roughly how many associations *values*, a mapping that is not parsed yet, has."""
    return (len(values["active"]) + len(values["ended"])) // ASSOCIATION_SIZE


def _to_json(associations: tuple[Association, ...]) -> str:
    return json.dumps([ASSOCIATION_MEMBERS.write(association) for association in associations], separators=(",", ":"))


def _from_json(text: str) -> tuple[Association, ...]:
    return tuple(map(_association, json.loads(text)))


def _association(values: dict[str, Any]) -> Association:
    ending = values.get("ending")
    if ending is not None:
        values["ending"] = ENDINGS.get(ending, ending)
    try:
        return Association(**values)  # slots may have thousands of associations: no look at each member
    except TypeError:
        return Association(**ASSOCIATION_MEMBERS.read(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    A change, for other systems and for auditors.

    It is stored in the transaction of the change: there is never one without the other.
    """

    id: str
    """Unique, chosen with the change: a change that is tried again stores no second event."""
    tenant: Tenant
    type: str
    """The kind of change, such as ``attachment.attached``."""
    at: float
    actor: Subject | None = None
    """The account that made the change; None means the service itself."""
    originator: str | None = None
    """The system that acted on behalf of the actor, as it names itself; for the audit, never for decisions."""
    attachment: Key | None = None
    kind: str | None = None
    object_id: str | None = None
    slot: str | None = None
    data: str = "{}"
    """A JSON object with details by type; `holdfast.service.core.events.events.event` lists its members."""
    unknown: Mapping[str, Any] | None = field(default=None, compare=False)
    """See `holdfast.storage.members`."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the event as plain values, by field."""
        return EVENT_MEMBERS.write(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the event that `to_mapping` turned into *values*."""
        return cls(**EVENT_MEMBERS.read(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event, and the opaque position from which a reader goes on to later events."""

    position: str
    event: Event


ASSOCIATION_SIZE = 200  # characters of JSON
ENDINGS: Mapping[str | None, Ending] = {ending.value: ending for ending in Ending}
ASSOCIATION_MEMBERS, OBJECT_MEMBERS, SLOT_MEMBERS, EVENT_MEMBERS = map(Members, (Association, ObjectRecord, SlotRecord, Event))
OBJECT_FIELDS, SLOT_FIELDS, EVENT_FIELDS = OBJECT_MEMBERS.names, SLOT_MEMBERS.names, EVENT_MEMBERS.names
