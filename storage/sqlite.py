"""
Records in an SQLite file, shared by any number of worker processes of one machine.

Each change is one statement on a database in WAL mode: SQLite's own lock orders the writers of all processes, readers never wait.
One thread per process holds the connection, so that the event loop never waits for the disk.

How durable a commit is follows `storage.local.Durability`: FULL syncs the log at every commit; NORMAL only at checkpoints, which
loses the last commits in a power cut but never the consistency of the file (sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import fcntl
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from storage.errors import AlreadyExists, Corrupted, NoSpace, NotFound, PreconditionFailed, StorageError, Unavailable
from storage.local import Durability
from storage.records import FIELDS, Ref, State, UploadRecord
from storage.threads import Threads

T = TypeVar("T")

SECONDS = 1.0
# How long a writer waits for the writers of other processes before it gives up.
BUSY_WAIT = 5 * SECONDS

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
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
CREATE INDEX IF NOT EXISTS uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS uploads_by_idempotency ON uploads (tenant, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
"""

# FIELDS are the names of our own dataclass, not input: nothing a client says enters the text of a statement.
_COLUMNS = ", ".join(FIELDS)
_CREATE = f"INSERT INTO uploads ({_COLUMNS}) VALUES ({', '.join(':' + field for field in FIELDS)})"  # noqa: S608
_GET = f"SELECT {_COLUMNS} FROM uploads WHERE key = :key AND tenant = :tenant"  # noqa: S608
_BY_IDEMPOTENCY = f"SELECT {_COLUMNS} FROM uploads WHERE tenant = :tenant AND idempotency_key = :idempotency_key"  # noqa: S608
_REPLACE = (
    f"UPDATE uploads SET {', '.join(f'{field} = :{field}' for field in FIELDS)}"  # noqa: S608
    " WHERE key = :key AND tenant = :tenant AND revision = :revision - 1"
)
_DUE = (
    f"SELECT {_COLUMNS} FROM uploads"  # noqa: S608
    " WHERE expires_at <= :now AND (expires_at, key) > (:after, :after_key) ORDER BY expires_at, key LIMIT :limit"
)

ERRORS: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_CORRUPT: Corrupted,
    sqlite3.SQLITE_NOTADB: Corrupted,
}


@contextmanager
def translated() -> Iterator[None]:
    """
    Raise SQLite's errors as storage errors, and those of the file system under it.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(str(error)) from error
    except sqlite3.Error as error:
        # Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html).
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise ERRORS.get(code, Unavailable)(str(error)) from error


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Open a database one process after another: SQLite does not wait for its lock when it turns to WAL mode."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    # SQLite gives its log the mode of the database.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


class Database:
    """
    One connection on one thread.
    """

    def __init__(self, path: str, schema: str, synchronous: str) -> None:
        with translated(), _alone(path):
            self._connection = sqlite3.connect(
                path, timeout=BUSY_WAIT, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            self._path, self._file = path, os.stat(path)
            try:
                self._prepare(path, schema, synchronous)
            except BaseException:
                self._connection.close()
                raise
        self._threads = Threads("sqlite", 1)

    def _prepare(self, path: str, schema: str, synchronous: str) -> None:
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Unavailable(f"{path} was written by a newer Holdfast (its schema is {version})")
        self._connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of the connection, on its thread.
        """
        return await self._threads.run(self.call_now, function)

    def call_now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of the connection; for the time before there is an event loop.
        """
        with translated():
            # SQLite goes on in a file that was deleted or replaced; nobody else would ever see what it stores there.
            if not os.path.samestat(self._file, os.stat(self._path)):
                raise Unavailable("the database file was replaced")
            return function(self._connection)

    async def close(self) -> None:
        """
        Close the connection; the last one of all processes tidies the log away.
        """
        await self._threads.run(self._connection.close)
        self._threads.close()


class SqliteMetadataStore:
    """
    A `storage.ports.MetadataStore` in one SQLite file.
    """

    def __init__(self, path: str, durability: Durability = Durability.ACKNOWLEDGED) -> None:
        self._sync_completion = durability is Durability.COMPLETE
        self._database = Database(path, SCHEMA, "FULL" if durability is Durability.ACKNOWLEDGED else "NORMAL")

    async def create(self, record: UploadRecord) -> None:
        await self._database.call(lambda connection: _create(connection, record))

    async def get(self, ref: Ref) -> UploadRecord:
        found = await self._database.call(
            lambda connection: connection.execute(_GET, {"key": ref.key, "tenant": ref.tenant}).fetchone()
        )
        if found is None:
            raise NotFound(f"no upload {ref.key}")
        return UploadRecord.from_mapping(dict(found))

    async def replace(self, old: UploadRecord, new: UploadRecord) -> None:
        if new.revision != old.revision + 1:
            raise ValueError("a replacement has the next revision")
        synced = self._sync_completion and new.state is State.COMPLETE
        await self._database.call(lambda connection: _replace(connection, new.to_mapping(), synced=synced))

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        place = {"after": -math.inf, "after_key": ""} if after is None else {"after": after.expires_at, "after_key": after.key}
        rows = await self._database.call(
            lambda connection: connection.execute(_DUE, {"now": now, "limit": limit, **place}).fetchall()
        )
        return [UploadRecord.from_mapping(dict(row)) for row in rows]

    async def ping(self) -> None:
        await self._database.call(lambda connection: connection.execute("SELECT 1 FROM uploads LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._database.close()


def _create(connection: sqlite3.Connection, record: UploadRecord) -> None:
    values = record.to_mapping()
    try:
        connection.execute(_CREATE, values)
    except sqlite3.IntegrityError as error:
        row = None
        if record.idempotency_key is not None:
            row = connection.execute(_BY_IDEMPOTENCY, values).fetchone()
        existing = UploadRecord.from_mapping(dict(row)) if row is not None else None
        raise AlreadyExists(f"{record.key} is taken, or its idempotency key is", existing) from error


def _replace(connection: sqlite3.Connection, values: dict[str, Any], *, synced: bool) -> None:
    if synced:
        connection.execute("PRAGMA synchronous = FULL")
    try:
        changed = connection.execute(_REPLACE, values).rowcount
    finally:
        if synced:
            connection.execute("PRAGMA synchronous = NORMAL")
    if not changed:
        raise PreconditionFailed(f"{values['key']} is no longer at revision {values['revision'] - 1}")
