"""The arguments of the script ``commit``, made without I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.storage.leases.claims import Claim
from holdfast.storage.objects import Event, ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Adjustment, Change, Record
from holdfast.storage.records import Tenant, UploadRecord
from holdfast.storage.redis.names import RedisNames, encoded, when_due

NONE = b""
HOURS = 60 * 60
# Within this time an event that is stored again is recognised.
KEEP_EVENT_IDS = 1 * HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCommit:
    """What one tenant stores in one step."""

    tenant: Tenant
    changes: Sequence[Change]
    adjustments: Sequence[Adjustment]
    events: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The keys and arguments of the script ``commit``."""

    keys: Sequence[str | bytes]
    arguments: Sequence[str | bytes | int]


def plan_commit(names: RedisNames, commit: RedisCommit, operation: str, releasing: Claim | None = None) -> Plan:
    """Return the keys and arguments of a commit; *releasing* is the claim that lets go of its lease in the same step."""
    tenant = commit.tenant
    held, holder = (names.epoch(tenant), "") if releasing is None else (names.lease(releasing.ref), releasing.name)
    # A commit of adjustments only leaves no record that would show that it was done, so it needs a mark of its own.
    marks = "" if commit.changes or commit.events else "1"
    keys: list[str | bytes] = [names.events(tenant), names.idempotency(tenant), names.due(tenant), held, names.counters(tenant)]
    keys.append(names.done(tenant, operation))
    arguments: list[str | bytes | int] = [operation, KEEP_EVENT_IDS, holder, marks]
    arguments += [len(commit.changes), len(commit.adjustments)]
    for change in commit.changes:
        old, new = change.old, change.new
        keys += [names.record(new.ref), _index(names, new)]
        arguments += ["" if old is None else old.revision, new.revision, document(new)]
        arguments.append(_some(encoded(_name(new))) if old is None else NONE)
        arguments += _moves(old, new)
    for each in commit.adjustments:
        arguments += [encoded(each.name), each.by, each.bound]
    for event in commit.events:
        index = names.events(tenant) if event.attachment is None else names.events_of(tenant, event.attachment)
        keys += [names.event(event), index]
        arguments += [document(event), "" if event.attachment is None else "1"]
    return Plan(keys=keys, arguments=arguments)


def document(record: Record | Event) -> str:
    """Return a record or an event as JSON."""
    return json.dumps(record.to_mapping(), separators=(",", ":"))


def _index(names: RedisNames, record: Record) -> str:
    match record:
        case UploadRecord():
            return names.all_uploads(record.tenant)
        case ObjectRecord():
            return names.all_objects(record.tenant, record.kind)
        case SlotRecord():
            return names.all_slots(record.ref.object)


def _name(record: Record) -> str:
    match record:
        case UploadRecord():
            return record.key
        case ObjectRecord():
            return record.id
        case SlotRecord():
            return record.slot


def _moves(old: Record | None, new: Record) -> list[bytes]:
    """Return what leaves and enters two indexes of uploads: when they are due, and their idempotency keys."""
    if not isinstance(new, UploadRecord):
        return [NONE] * 4
    before = old if isinstance(old, UploadRecord) else None
    due = (None if before is None else when_due(before)), when_due(new)
    again = (None if before is None else before.idempotency_key), new.idempotency_key
    return [*_move(*due), *_move(*(None if key is None else encoded(key) for key in again))]


def _move(out: bytes | None, into: bytes | None) -> list[bytes]:
    return [NONE, NONE] if out == into else [_some(out), _some(into)]


def _some(value: bytes | None) -> bytes:
    """Return an argument that differs from NONE even for an empty value."""
    return NONE if value is None else b"+" + value
