"""Connections to an SQLite file in WAL mode, transactions, and the translation of errors."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.storage import files
from holdfast.storage.errors import (
    AlreadyExists,
    Corrupted,
    NoSpace,
    PreconditionFailed,
    QuotaExceeded,
    StorageError,
    Unavailable,
)

SECONDS = 1.0
# How long a writer waits for the writers of other processes.
BUSY_WAIT = 5 * SECONDS

ERRORS: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_CORRUPT: Corrupted,
    sqlite3.SQLITE_NOTADB: Corrupted,
}
# Another connection holds a lock for the moment.
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
# What a single commit is refused for; any other error concerns the whole database.
REFUSED = (PreconditionFailed, AlreadyExists, QuotaExceeded)


class sqlite_errors:  # noqa: N801 - a context manager; it is used so often that a generator would cost too much
    """Raise the errors of SQLite, and of the file system under it, as storage errors."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, OSError):
            raise files.ERRORS.get(error.errno or 0, Unavailable)(str(error)) from error
        if isinstance(error, sqlite3.Error):
            raise ERRORS.get(_code(error), Unavailable)(str(error)) from error


class transaction:  # noqa: N801 - as above
    """Run the block in one transaction; an error rolls it back."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
        finally:
            roll_back(self._connection)


def roll_back(connection: sqlite3.Connection) -> None:
    """Roll back the open transaction, if there is one: SQLite itself rolls back on some errors."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def synced(connection: sqlite3.Connection, *, synced: bool) -> Iterator[None]:
    """Sync the commits within the block, in a database that does not sync every commit."""
    if not synced:
        yield
        return
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def connect(path: str, wait: float) -> sqlite3.Connection:
    """Return a connection that waits *wait* seconds for the writers of other connections."""
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Let one process at a time open a database: SQLite does not wait for its lock when it switches to WAL mode."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    # SQLite gives its log the mode of the database.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def is_busy(error: BaseException | None) -> bool:
    """Say whether another connection held a lock."""
    return isinstance(error, sqlite3.Error) and _code(error) in BUSY


def _code(error: sqlite3.Error) -> int:
    # Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html).
    code: Any = getattr(error, "sqlite_errorcode", 0)
    return int(code) & 0xFF
