"""The events of changes: one for each, stored in the commit of the change."""

from __future__ import annotations

import json
import secrets
import uuid
from typing import Literal

from holdfast.service.core.principals import Principal
from holdfast.storage.objects import Event
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, State, UploadRecord

NAME_BYTES = 12

EventType = Literal[
    "upload.created",
    "upload.received",
    "upload.completed",
    "upload.rejected",
    "upload.invalidated",
    "upload.cancelled",
    "upload.expired",
    "upload.lost",
    "upload.purged",
    "attachment.attached",
    "attachment.detached",
    "attachment.restored",
    "object.registered",
    "object.changed",
    "object.deleted",
    "slot.reordered",
]
"""Every event type of this version."""
# The event of an upload that enters a state.
UPLOAD_EVENTS: dict[State, EventType] = {
    State.RECEIVED: "upload.received",
    State.COMPLETE: "upload.completed",
    State.REJECTED: "upload.rejected",
    State.INVALID: "upload.invalidated",
    State.CANCELLED: "upload.cancelled",
    State.EXPIRED: "upload.expired",
    State.PURGED: "upload.purged",
}


def new_name() -> str:
    """Return a unique name, for an event, an association or a version."""
    return secrets.token_urlsafe(NAME_BYTES)


def new_etag() -> str:
    """Return the etag of a new version of an object; one dialect shows it as a UUID."""
    return str(uuid.uuid4())


def event(
    kind: EventType,
    ref: Ref | ObjectRef | SlotRef,
    at: float,
    by: Principal | None,
    attachment: Key | None = None,
    data: object = None,
) -> Event:
    """
    Return an event of type *kind* about *ref*; *at* is in seconds since the epoch, *by* is None for the service itself.

    *data* is a JSON object with details, by type: ``offset`` and ``reason`` for ends of uploads, ``lost`` bytes for
    ``upload.lost``, ``association`` and ``ending`` for attachments, ``order`` for ``slot.reordered``.
    """
    return Event(
        id=new_name(),
        tenant=ref.tenant,
        type=kind,
        at=at,
        actor=None if by is None else by.subject,
        originator=None if by is None else by.originator,
        attachment=ref.key if isinstance(ref, Ref) else attachment,
        kind=None if isinstance(ref, Ref) else ref.kind,
        object_id=None if isinstance(ref, Ref) else ref.id,
        slot=ref.slot if isinstance(ref, SlotRef) else None,
        data=json.dumps(data or {}, separators=(",", ":")),
    )


def of_step(old: UploadRecord, new: UploadRecord, at: float, by: Principal | None, reason: str | None = None) -> list[Event]:
    """Return the event of an upload that went from *old* to *new*; none if its state is the same."""
    if old.state is new.state:
        return []
    why = {} if reason is None else {"reason": reason}
    return [event(UPLOAD_EVENTS[new.state], new.ref, at, by, data={"offset": new.offset, **why})]
