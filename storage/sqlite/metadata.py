"""
Records in an SQLite file, shared by any number of worker processes of one machine.

Each change is one statement on a database in WAL mode: SQLite's own lock orders the writers of all processes; readers never
wait. How commits are made, and where, is `holdfast.storage.sqlite.database`.

How durable a commit is follows `holdfast.storage.durability.Durability`: FULL syncs the log at every commit; NORMAL only at
checkpoints, which loses the last commits in a power cut but never the consistency of the file
(sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import dataclasses
import json
import math
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from holdfast.storage.durability import Durability
from holdfast.storage.errors import AlreadyExists, NoSpace, NotFound, PreconditionFailed, UnknownPosition
from holdfast.storage.objects import Event, LoggedEvent, ObjectRecord, SlotRecord, slot_size
from holdfast.storage.ports.leases import Lease
from holdfast.storage.ports.metadata import Adjustment, Change, Record
from holdfast.storage.ports.notes import SECRET_BYTES
from holdfast.storage.positions import parse_position
from holdfast.storage.probe import Probe
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, State, Tenant, UploadRecord
from holdfast.storage.reserve import frees
from holdfast.storage.sqlite.commits import SqliteCommit
from holdfast.storage.sqlite.database import Database
from holdfast.storage.sqlite.tables import (
    ADDITIONS,
    ALL_EVENTS,
    BY_IDEMPOTENCY,
    COUNTER,
    DUE,
    EVENT_AT,
    EVENTS,
    EVENTS_OF_ONE,
    LIST_OBJECTS,
    LIST_SLOTS,
    MANY,
    OBJECTS,
    PAGE_OF_UPLOADS,
    SCHEMA,
    SLOTS,
    TABLES,
    UPLOADS,
    Table,
)
from holdfast.storage.threads import aside

PAGE = 1000
# Records that one query reads; other calls run in between.
TOGETHER = 100


class SqliteMetadataStore:
    """A `holdfast.storage.ports.MetadataStore` in one SQLite file."""

    def __init__(self, path: str, durability: Durability = Durability.ACKNOWLEDGED) -> None:
        self._sync_completion = durability is Durability.COMPLETE
        # A power cut, or a restored backup, that takes commits back also ends this process.
        self._failover_epoch = secrets.token_hex(4)
        self._database = Database(
            path, SCHEMA, "FULL" if durability is Durability.ACKNOWLEDGED else "NORMAL", additions=ADDITIONS
        )
        self._probe = Probe(self._write)

    async def get(self, ref: Ref) -> UploadRecord:
        found = await self._one(UPLOADS.get, {"key": ref.key, "tenant": ref.tenant})
        if found is None:
            raise NotFound(f"no upload {ref.key}")
        return UploadRecord.from_mapping(found, self._failover_epoch)

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        records: list[UploadRecord] = []
        for begin in range(0, len(refs), TOGETHER):
            asked = [ref.key for ref in refs[begin : begin + TOGETHER]]
            rows = await self._all(MANY, {"tenant": refs[begin].tenant, "keys": json.dumps(asked)})
            found = {row["key"]: row for row in rows}
            for key in asked:
                if key not in found:
                    raise NotFound(f"no upload {key}")
                records.append(UploadRecord.from_mapping(found[key], self._failover_epoch))
        return records

    async def counter(self, tenant: Tenant, name: str) -> int:
        found = await self._one(COUNTER, {"tenant": tenant, "name": name})
        return 0 if found is None else int(found["value"])

    async def commit(
        self,
        changes: Sequence[Change],
        *,
        adjustments: Sequence[Adjustment] = (),
        events: Sequence[Event] = (),
        release: Lease | None = None,
    ) -> None:
        synced = self._sync_completion and any(_is_promised(change.new) for change in changes)
        large = len(changes) + len(events) > TOGETHER
        make = partial(_make_all, changes=changes, adjustments=adjustments, events=events)
        try:
            await self._database.commit(SqliteCommit(make=make, synced=synced, large=large, frees=frees(changes)))
        except NoSpace:
            self._probe.doubt()
            raise
        if release is not None:
            await release.let_go()

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        found = await self._one(OBJECTS.get, dataclasses.asdict(ref))
        if found is None:
            raise NotFound(f"no object {ref.id}")
        return ObjectRecord.from_mapping(found)

    async def list_objects(self, tenant: Tenant, kind: str, after: str, limit: int) -> Sequence[ObjectRecord]:
        rows = await self._all(LIST_OBJECTS, {"tenant": tenant, "kind": kind, "after": after, "limit": limit})
        return [ObjectRecord.from_mapping(row) for row in rows]

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        found = await self._one(SLOTS.get, dataclasses.asdict(ref))
        if found is None:
            raise NotFound(f"{ref.slot} of {ref.id} was never used")
        return await aside(partial(SlotRecord.from_mapping, found), size=slot_size(found))

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        rows = await self._all(LIST_SLOTS, dataclasses.asdict(ref))
        return [await aside(partial(SlotRecord.from_mapping, row), size=slot_size(row)) for row in rows]

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        asked = {"tenant": tenant, "after": parse_position(after), "limit": limit, "attachment": attachment}
        if after and await self._one(EVENT_AT, asked) is None:
            raise UnknownPosition("there is no event at this position")
        rows = await self._all(ALL_EVENTS if attachment is None else EVENTS_OF_ONE, asked)
        return [LoggedEvent(position=str(row.pop("position")), event=Event.from_mapping(row)) for row in rows]

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        place = {"after": -math.inf, "after_key": ""} if after is None else {"after": after.expires_at, "after_key": after.key}
        return [UploadRecord.from_mapping(row) for row in await self._all(DUE, {"now": now, "limit": limit, **place})]

    async def uploads(self) -> AsyncIterator[UploadRecord]:
        after = ""
        while rows := await self._all(PAGE_OF_UPLOADS, {"after": after, "limit": PAGE}):
            for row in rows:
                yield UploadRecord.from_mapping(row)
            after = rows[-1]["key"]

    async def secret(self, name: str) -> bytes:
        return await self._database.call(lambda connection: _secret(connection, name))

    async def note(self, name: str) -> str | None:
        found = await self._one("SELECT text FROM notes WHERE name = :name", {"name": name})
        return None if found is None else str(found["text"])

    async def write_note(self, name: str, text: str) -> None:
        await self._database.commit(SqliteCommit(make=partial(_write_note, name=name, text=text), synced=False))

    async def ping(self) -> None:
        await self._database.call(lambda connection: connection.execute("SELECT 1 FROM uploads LIMIT 1").fetchone())
        await self._probe.make()

    async def _write(self) -> None:
        await self._database.ping(SqliteCommit(make=_change_nothing, synced=self._sync_completion))

    async def _one(self, query: str, values: Mapping[str, object]) -> dict[str, Any] | None:
        row = await self._database.at_once(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else dict(row)

    async def _all(self, query: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._database.call(lambda connection: connection.execute(query, values).fetchall())]

    async def close(self) -> None:
        await self._database.close()


def _change_nothing(connection: sqlite3.Connection) -> None:
    # SQLite writes it all the same, and syncs it as any other commit.
    connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")


def _secret(connection: sqlite3.Connection, name: str) -> bytes:
    # The first one stays: what was signed with it must remain valid.
    connection.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, secrets.token_bytes(SECRET_BYTES)))
    value: bytes = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0]
    return value


def _write_note(connection: sqlite3.Connection, name: str, text: str) -> None:
    connection.execute("INSERT OR REPLACE INTO notes (name, text) VALUES (?, ?)", (name, text))


def _is_promised(record: Record) -> bool:
    """Say whether *record* must survive a power cut, where only completion is promised to."""
    return not isinstance(record, UploadRecord) or record.state is State.COMPLETE


def _make_all(
    connection: sqlite3.Connection, changes: Sequence[Change], adjustments: Sequence[Adjustment], events: Sequence[Event]
) -> None:
    for change in changes:
        _make(connection, change)
    for event in events:
        _insert(connection, EVENTS, event.to_mapping())
    for each in adjustments:
        found = connection.execute(COUNTER, {"tenant": each.tenant, "name": each.name}).fetchone()
        value = each.apply(0 if found is None else found["value"])
        connection.execute(
            "INSERT OR REPLACE INTO counters (tenant, name, value) VALUES (?, ?, ?)", (each.tenant, each.name, value)
        )


def _make(connection: sqlite3.Connection, change: Change) -> None:
    table, values = TABLES[type(change.new)], change.new.to_mapping()
    if change.old is None:
        _insert(connection, table, values)
    elif not connection.execute(*table.update(change.old.to_mapping(), values)).rowcount:
        raise PreconditionFailed(f"{change.old.ref} is no longer at revision {change.old.revision}")


def _insert(connection: sqlite3.Connection, table: Table, values: dict[str, Any]) -> None:
    try:
        connection.execute(table.insert, values)
    except sqlite3.IntegrityError as error:
        row = None
        if table is UPLOADS and values["idempotency_key"] is not None:
            row = connection.execute(BY_IDEMPOTENCY, values).fetchone()
        existing = UploadRecord.from_mapping(dict(row)) if row is not None else None
        raise AlreadyExists("the record already exists, or its idempotency key is in use", existing) from error
