"""The tables of records in an SQLite file, and their statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.storage.objects import EVENT_FIELDS, OBJECT_FIELDS, SLOT_FIELDS, ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Record
from holdfast.storage.records import FIELDS, UploadRecord

# Each script brings a file from the version of its index to the next; a new file goes through all.
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


# Made in every file, without a new version (see `holdfast.storage.sqlite.schema`).
ADDITIONS = """
CREATE TABLE counters (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
"""


class Table:
    """The statements of one kind of record."""

    # The names are those of our dataclasses: no input of a client becomes part of a statement.
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
        """Return the statement, with its values, that turns *old* into its next revision."""
        # Only changed columns are named, so the indexes of the others are not touched.
        changed = tuple(field for field in self.fields if new[field] != old[field])
        statement = self._updates.get(changed)
        if statement is None:
            assignments = ", ".join(f"{field} = ?" for field in changed)
            where = " AND ".join(f"{field} = ?" for field in (*self.key, "revision"))
            statement = self._updates[changed] = f"UPDATE {self._name} SET {assignments} WHERE {where}"  # noqa: S608
        return statement, [*(new[field] for field in changed), *(new[field] for field in self.key), old["revision"]]


UPLOADS = Table("uploads", FIELDS, ("key", "tenant"))
OBJECTS = Table("objects", OBJECT_FIELDS, ("tenant", "kind", "id"))
SLOTS = Table("slots", SLOT_FIELDS, ("tenant", "kind", "id", "slot"))
EVENTS = Table("events", EVENT_FIELDS, ("id",))
TABLES: dict[type[Record], Table] = {UploadRecord: UPLOADS, ObjectRecord: OBJECTS, SlotRecord: SLOTS}

BY_IDEMPOTENCY = f"{UPLOADS.select} WHERE tenant = :tenant AND idempotency_key = :idempotency_key"
LIST_OBJECTS = f"{OBJECTS.select} WHERE tenant = :tenant AND kind = :kind AND id > :after ORDER BY id LIMIT :limit"
LIST_SLOTS = f"{SLOTS.select} WHERE tenant = :tenant AND kind = :kind AND id = :id ORDER BY slot"
LIST_EVENTS = (
    f"SELECT position, {', '.join(EVENT_FIELDS)} FROM events"  # noqa: S608
    " WHERE tenant = :tenant AND position > :after {} ORDER BY position LIMIT :limit"
)
ALL_EVENTS, EVENTS_OF_ONE = LIST_EVENTS.format(""), LIST_EVENTS.format("AND attachment = :attachment")
MANY = f"{UPLOADS.select} WHERE tenant = :tenant AND key IN (SELECT value FROM json_each(:keys))"  # noqa: S608
EVENT_AT = "SELECT 1 FROM events WHERE position = :after AND tenant = :tenant"
SET_COUNTER = "INSERT OR REPLACE INTO counters (tenant, name, value) VALUES (:tenant, :name, :value)"
COUNTER = "SELECT value FROM counters WHERE tenant = :tenant AND name = :name"
PAGE_OF_UPLOADS = f"{UPLOADS.select} WHERE key > :after ORDER BY key LIMIT :limit"
DUE = (
    f"{UPLOADS.select}"
    " WHERE expires_at <= :now AND (expires_at, key) > (:after, :after_key) ORDER BY expires_at, key LIMIT :limit"
)
