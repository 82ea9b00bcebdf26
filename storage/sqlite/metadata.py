"""
Records in an SQLite file, shared by any number of worker processes of one machine.

Each change is one statement on a database in WAL mode: SQLite's own lock orders the writers of all processes, readers never wait.
How commits are made, and where, is `holdfast.storage.sqlite.database`.

How durable a commit is follows `holdfast.storage.durability.Durability`: FULL syncs the log at every commit; NORMAL only at
checkpoints, which
loses the last commits in a power cut but never the consistency of the file (sqlite.org/pragma.html#pragma_synchronous).
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
from holdfast.storage.objects import (
    EVENT_FIELDS,
    OBJECT_FIELDS,
    SLOT_FIELDS,
    Event,
    LoggedEvent,
    ObjectRecord,
    SlotRecord,
    slot_size,
)
from holdfast.storage.ports.metadata import Change, Record
from holdfast.storage.ports.notes import SECRET_BYTES
from holdfast.storage.positions import parse_position
from holdfast.storage.probe import Probe
from holdfast.storage.records import FIELDS, Key, ObjectRef, Ref, SlotRef, State, Tenant, UploadRecord
from holdfast.storage.reserve import frees
from holdfast.storage.sqlite.commits import Commit
from holdfast.storage.sqlite.database import Database
from holdfast.storage.threads import aside

PAGE = 1000
# So many records are read in one go; between two of them others are answered.
TOGETHER = 100

# Each brings a file from the version of its index to the next; a new file goes through all.
SCHEMA = (
    """
CREATE TABLE uploads (
    key TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    created_at REAL NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER,
    expires_at REAL,
    name TEXT,
    content_type TEXT,
    verify_type INTEGER NOT NULL,
    metadata TEXT,
    idempotency_key TEXT,
    parts TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX uploads_by_idempotency ON uploads (tenant, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
""",
    """
ALTER TABLE uploads ADD COLUMN creator TEXT;
ALTER TABLE uploads ADD COLUMN attached TEXT NOT NULL DEFAULT '[]';
CREATE TABLE objects (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    updated_by TEXT,
    etag TEXT NOT NULL,
    revision INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    deleted_at REAL,
    PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID;
CREATE TABLE slots (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    slot TEXT NOT NULL,
    etag TEXT NOT NULL,
    revision INTEGER NOT NULL,
    active TEXT NOT NULL,
    ended TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id, slot)
) WITHOUT ROWID;
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    type TEXT NOT NULL,
    at REAL NOT NULL,
    actor TEXT,
    originator TEXT,
    attachment TEXT,
    kind TEXT,
    object_id TEXT,
    slot TEXT,
    data TEXT NOT NULL
);
CREATE INDEX events_by_tenant ON events (tenant, position);
CREATE INDEX events_by_attachment ON events (tenant, attachment, position) WHERE attachment IS NOT NULL;
""",
    "ALTER TABLE uploads ADD COLUMN intent TEXT;",
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;",
    "ALTER TABLE uploads ADD COLUMN content_encoding TEXT;",
    "ALTER TABLE uploads ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;",
)


class _Table:
    """The statements of one kind of record."""

    # The names are those of our own dataclasses, not input: nothing a client says enters the text of a statement.
    def __init__(self, name: str, fields: Sequence[str], key: Sequence[str]) -> None:
        columns = ", ".join(fields)
        self.fields, self.key = fields, key
        self._name = name
        self._updates: dict[tuple[str, ...], str] = {}
        self.where = " AND ".join(f"{field} = :{field}" for field in key)
        self.select = f"SELECT {columns} FROM {name}"  # noqa: S608
        self.insert = f"INSERT INTO {name} ({columns}) VALUES ({', '.join(':' + field for field in fields)})"  # noqa: S608
        self.get = f"{self.select} WHERE {self.where}"

    def update(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return the statement that makes *old* into its next revision, and its values."""
        # What is not named is not touched, and neither is any index of it.
        changed = tuple(field for field in self.fields if new[field] != old[field])
        statement = self._updates.get(changed)
        if statement is None:
            assignments = ", ".join(f"{field} = ?" for field in changed)
            where = " AND ".join(f"{field} = ?" for field in (*self.key, "revision"))
            statement = self._updates[changed] = f"UPDATE {self._name} SET {assignments} WHERE {where}"  # noqa: S608
        return statement, [*(new[field] for field in changed), *(new[field] for field in self.key), old["revision"]]


_UPLOADS = _Table("uploads", FIELDS, ("key", "tenant"))
_OBJECTS = _Table("objects", OBJECT_FIELDS, ("tenant", "kind", "id"))
_SLOTS = _Table("slots", SLOT_FIELDS, ("tenant", "kind", "id", "slot"))
_EVENTS = _Table("events", EVENT_FIELDS, ("id",))
_TABLES: dict[type[Record], _Table] = {UploadRecord: _UPLOADS, ObjectRecord: _OBJECTS, SlotRecord: _SLOTS}

_BY_IDEMPOTENCY = f"{_UPLOADS.select} WHERE tenant = :tenant AND idempotency_key = :idempotency_key"
_LIST_OBJECTS = f"{_OBJECTS.select} WHERE tenant = :tenant AND kind = :kind AND id > :after ORDER BY id LIMIT :limit"
_LIST_SLOTS = f"{_SLOTS.select} WHERE tenant = :tenant AND kind = :kind AND id = :id ORDER BY slot"
_LIST_EVENTS = (
    f"SELECT position, {', '.join(EVENT_FIELDS)} FROM events"  # noqa: S608
    " WHERE tenant = :tenant AND position > :after {} ORDER BY position LIMIT :limit"
)
_ALL_EVENTS, _EVENTS_OF_ONE = _LIST_EVENTS.format(""), _LIST_EVENTS.format("AND attachment = :attachment")
_MANY = f"{_UPLOADS.select} WHERE tenant = :tenant AND key IN (SELECT value FROM json_each(:keys))"  # noqa: S608
_EVENT_AT = "SELECT 1 FROM events WHERE position = :after AND tenant = :tenant"
_PAGE = f"{_UPLOADS.select} WHERE key > :after ORDER BY key LIMIT :limit"
_DUE = (
    f"{_UPLOADS.select}"
    " WHERE expires_at <= :now AND (expires_at, key) > (:after, :after_key) ORDER BY expires_at, key LIMIT :limit"
)


class SqliteMetadataStore:
    """
    A `holdfast.storage.ports.MetadataStore` in one SQLite file.
    """

    def __init__(self, path: str, durability: Durability = Durability.ACKNOWLEDGED) -> None:
        self._sync_completion = durability is Durability.COMPLETE
        # What a power cut or a backup takes back, it takes from other processes than this one.
        self._timeline = secrets.token_hex(4)
        self._database = Database(path, SCHEMA, "FULL" if durability is Durability.ACKNOWLEDGED else "NORMAL")
        self._probe = Probe(self._write)

    async def create(self, record: UploadRecord, events: Sequence[Event] = ()) -> None:
        await self.commit([Change(old=None, new=record)], events)

    async def get(self, ref: Ref) -> UploadRecord:
        found = await self._one(_UPLOADS.get, {"key": ref.key, "tenant": ref.tenant})
        if found is None:
            raise NotFound(f"no upload {ref.key}")
        return UploadRecord.from_mapping(found, self._timeline)

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        records: list[UploadRecord] = []
        for begin in range(0, len(refs), TOGETHER):
            asked = [ref.key for ref in refs[begin : begin + TOGETHER]]
            rows = await self._all(_MANY, {"tenant": refs[begin].tenant, "keys": json.dumps(asked)})
            found = {row["key"]: row for row in rows}
            for key in asked:
                if key not in found:
                    raise NotFound(f"no upload {key}")
                records.append(UploadRecord.from_mapping(found[key], self._timeline))
        return records

    async def replace(self, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
        await self.commit([Change(old=old, new=new)], events)

    async def commit(self, changes: Sequence[Change], events: Sequence[Event] = ()) -> None:
        synced = self._sync_completion and any(_is_promised(change.new) for change in changes)
        large = len(changes) + len(events) > TOGETHER
        make = partial(_make_all, changes=changes, events=events)
        try:
            await self._database.commit(Commit(make=make, synced=synced, large=large, frees=frees(changes)))
        except NoSpace:
            self._probe.doubt()
            raise

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        found = await self._one(_OBJECTS.get, dataclasses.asdict(ref))
        if found is None:
            raise NotFound(f"no object {ref.id}")
        return ObjectRecord.from_mapping(found)

    async def list_objects(self, tenant: Tenant, kind: str, after: str, limit: int) -> Sequence[ObjectRecord]:
        rows = await self._all(_LIST_OBJECTS, {"tenant": tenant, "kind": kind, "after": after, "limit": limit})
        return [ObjectRecord.from_mapping(row) for row in rows]

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        found = await self._one(_SLOTS.get, dataclasses.asdict(ref))
        if found is None:
            raise NotFound(f"nothing was ever in {ref.slot} of {ref.id}")
        return await aside(partial(SlotRecord.from_mapping, found), size=slot_size(found))

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        rows = await self._all(_LIST_SLOTS, dataclasses.asdict(ref))
        return [await aside(partial(SlotRecord.from_mapping, row), size=slot_size(row)) for row in rows]

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        asked = {"tenant": tenant, "after": parse_position(after), "limit": limit, "attachment": attachment}
        if after and await self._one(_EVENT_AT, asked) is None:
            raise UnknownPosition("there is no event at this position")
        rows = await self._all(_ALL_EVENTS if attachment is None else _EVENTS_OF_ONE, asked)
        return [LoggedEvent(position=str(row.pop("position")), event=Event.from_mapping(row)) for row in rows]

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        place = {"after": -math.inf, "after_key": ""} if after is None else {"after": after.expires_at, "after_key": after.key}
        return [UploadRecord.from_mapping(row) for row in await self._all(_DUE, {"now": now, "limit": limit, **place})]

    async def uploads(self) -> AsyncIterator[UploadRecord]:
        after = ""
        while rows := await self._all(_PAGE, {"after": after, "limit": PAGE}):
            for row in rows:
                yield UploadRecord.from_mapping(row)
            after = rows[-1]["key"]

    async def secret(self, name: str) -> bytes:
        return await self._database.call(lambda connection: _secret(connection, name))

    async def note(self, name: str) -> str | None:
        found = await self._one("SELECT text FROM notes WHERE name = :name", {"name": name})
        return None if found is None else str(found["text"])

    async def write_note(self, name: str, text: str) -> None:
        await self._database.commit(Commit(make=partial(_write_note, name=name, text=text), synced=False))

    async def ping(self) -> None:
        await self._database.call(lambda connection: connection.execute("SELECT 1 FROM uploads LIMIT 1").fetchone())
        await self._probe.make()

    async def _write(self) -> None:
        await self._database.ping(Commit(make=_change_nothing, synced=self._sync_completion))

    async def _one(self, query: str, values: Mapping[str, object]) -> dict[str, Any] | None:
        row = await self._database.at_once(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else dict(row)

    async def _all(self, query: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._database.call(lambda connection: connection.execute(query, values).fetchall())]

    async def close(self) -> None:
        await self._database.close()


def _change_nothing(connection: sqlite3.Connection) -> None:
    # It is written all the same, and synced as any other commit is.
    connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")


def _secret(connection: sqlite3.Connection, name: str) -> bytes:
    # Whoever comes first decides; made anew by nobody, for what was signed with it has to hold.
    connection.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, secrets.token_bytes(SECRET_BYTES)))
    value: bytes = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0]
    return value


def _write_note(connection: sqlite3.Connection, name: str, text: str) -> None:
    connection.execute("INSERT OR REPLACE INTO notes (name, text) VALUES (?, ?)", (name, text))


def _is_promised(record: Record) -> bool:
    """Say whether a power cut may not take *record* back, where offsets are not promised that."""
    return not isinstance(record, UploadRecord) or record.state is State.COMPLETE


def _make_all(connection: sqlite3.Connection, changes: Sequence[Change], events: Sequence[Event]) -> None:
    for change in changes:
        _make(connection, change)
    for event in events:
        _insert(connection, _EVENTS, event.to_mapping())


def _make(connection: sqlite3.Connection, change: Change) -> None:
    table, values = _TABLES[type(change.new)], change.new.to_mapping()
    if change.old is None:
        _insert(connection, table, values)
    elif not connection.execute(*table.update(change.old.to_mapping(), values)).rowcount:
        raise PreconditionFailed(f"{change.old.ref} is no longer at revision {change.old.revision}")


def _insert(connection: sqlite3.Connection, table: _Table, values: dict[str, Any]) -> None:
    try:
        connection.execute(table.insert, values)
    except sqlite3.IntegrityError as error:
        row = None
        if table is _UPLOADS and values["idempotency_key"] is not None:
            row = connection.execute(_BY_IDEMPOTENCY, values).fetchone()
        existing = UploadRecord.from_mapping(dict(row)) if row is not None else None
        raise AlreadyExists("it is there already, or its idempotency key is taken", existing) from error
