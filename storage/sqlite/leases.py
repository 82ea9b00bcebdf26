"""
Leases between worker processes of one machine: a row names the holder, and a datagram asks it to let go.

How claimants take leases from each other is `holdfast.storage.leases.claims`.  Here the rows are in an SQLite file, and every
process listens on a Unix datagram socket in the same folder.

A frozen process does not answer; it is fenced off in time, and the lease is forced.  A process whose socket exists but refuses
datagrams is dead, since the kernel closes a socket after its last thread: its leases are taken at once, without a fence.  (A
missing socket proves nothing: it may have been deleted by hand.)

Rows need not survive a power cut, so this database never syncs, and is mostly written on the event loop: a free lease is taken
by one statement, and given back by another.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from holdfast.storage import files
from holdfast.storage.errors import StorageError, Unavailable
from holdfast.storage.leases.claims import Claims
from holdfast.storage.leases.rows import Found, Liveness, process_of
from holdfast.storage.ports.leases import Lease
from holdfast.storage.probe import Probe
from holdfast.storage.records import Key, Ref
from holdfast.storage.sqlite.commits import SqliteCommit
from holdfast.storage.sqlite.connection import transaction
from holdfast.storage.sqlite.database import Busy, Database

MiB = 1024 * 1024
MILLISECONDS = 0.001
# A local datagram takes well under a millisecond; repeating it covers a full queue and a process that is just starting.
REPEAT = 50 * MILLISECONDS
# Deleting something on a full disk takes a lease, too.
RESERVE = 1 * MiB
MAX_DATAGRAM = 256  # bytes; names are 16 characters and a counter

SCHEMA = (
    """
CREATE TABLE leases (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    holder TEXT NOT NULL,
    behind TEXT
);
""",
)


class SqliteLeases:
    """`holdfast.storage.ports.Leases` for all processes that use the same *folder*."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        self._database = Database(os.path.join(self._folder, "leases.sqlite"), SCHEMA, "OFF", reserve=RESERVE, lends=True)
        # Socket addresses have at most 107 bytes; a path through the descriptor of the folder is short however deep that lies.
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rows = _Rows(self._database)
        self._probe = Probe(partial(self._database.ping, SqliteCommit(make=_take_and_give_back)))
        self._claims = Claims(self, self._rows, self, REPEAT)
        self._remove_dead()
        self._socket.bind(self._address(self._claims.process))

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        self._listen()
        mine = self._claims.enter(ref, evicted)
        epoch = self._rows.enter_now(ref.key, mine.name)
        return await self._claims.take(mine, wait) if epoch is None else self._claims.take_free(mine, epoch)

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        mine = self._claims.find(lease)
        if mine is not None and not mine.forced and self._rows.forget_now(mine.ref.key, mine.name):
            self._claims.remove(mine)
        else:
            await self._claims.release(lease, fenced=fenced)

    async def held(self, ref: Ref) -> bool:
        row = await self._database.at_once(partial(_claimant, ref.key))
        if row is None:
            return False
        return any(self._send(process_of(claimant), "hello") is not Liveness.DEAD for claimant in row if claimant is not None)

    async def ping(self) -> None:
        await self._database.at_once(partial(_claimant, Key("")))
        await self._probe.make()
        with files.os_errors():
            names = os.listdir(self._directory)
        if f"{self._claims.process}.socket" not in names:
            raise Unavailable("the socket of this process was removed: restart the process")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, f"{self._claims.process}.socket"))
        os.close(self._directory)
        await self._database.close()

    async def ask(self, process: str, message: str) -> Liveness:
        """Send a datagram; see `holdfast.storage.leases.claims.Post`."""
        return self._send(process, message)

    def send(self, process: str, message: str) -> None:
        """Send a datagram; see `holdfast.storage.leases.claims.Post`."""
        self._send(process, message)

    def _address(self, process: str) -> str:
        return f"/proc/self/fd/{self._directory}/{process}.socket"

    def _remove_dead(self) -> None:
        for name in os.listdir(self._folder):
            process, dot, kind = name.partition(".")
            if (dot, kind) == (".", "socket") and self._send(process, "hello") is Liveness.DEAD:
                self._database.call_now(partial(_forget_process, process))
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, name))

    def _listen(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket, self._receive)

    def _send(self, process: str, message: str) -> Liveness:
        try:
            self._socket.sendto(message.encode(), self._address(process))
        except ConnectionRefusedError:
            return Liveness.DEAD
        except FileNotFoundError:
            return Liveness.UNKNOWN
        except BlockingIOError:
            pass  # its queue is full: the message is lost, and will be repeated
        return Liveness.SENT

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._claims.receive(self._socket.recv(MAX_DATAGRAM).decode())


class _Rows:
    """`holdfast.storage.leases.claims.Rows` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter_now(self, key: Key, name: str) -> int | None:
        """Write *name* into a new row, and return its epoch; None if a row exists, or the database would have to wait."""
        try:
            return self._database.now(partial(_enter, key, name))
        except (Busy, StorageError):
            return None  # `take` raises the error

    def forget_now(self, key: Key, name: str) -> bool:
        """Delete the row if it names *name*; return False if the database would have to wait."""
        try:
            self._database.now(partial(_forget, key, name))
        except (Busy, StorageError):
            return False
        return True

    async def swap(self, ref: Ref, name: str) -> Found:
        return await self._database.at_once(partial(_swap, ref.key, name))

    async def give_back(self, _ref: Ref, _name: str, found: Found) -> bool:
        return await self._database.at_once(partial(_give_back, found))

    async def clear_behind(self, ref: Ref, name: str) -> None:
        await self._database.at_once(partial(_clear_behind, ref.key, name))

    async def forget(self, ref: Ref, name: str) -> None:
        await self._database.at_once(partial(_forget, ref.key, name))


def _enter(key: Key, holder: str, connection: sqlite3.Connection) -> int | None:
    cursor = connection.execute("INSERT OR IGNORE INTO leases (key, holder) VALUES (?, ?)", (key, holder))
    return cursor.lastrowid if cursor.rowcount else None


def _swap(key: Key, holder: str, connection: sqlite3.Connection) -> Found:
    with transaction(connection):
        before, behind = _claimant(key, connection) or (None, None)
        cursor = connection.execute("INSERT OR REPLACE INTO leases (key, holder, behind) VALUES (?, ?, ?)", (key, holder, before))
        epoch = cursor.lastrowid
    if epoch is None:
        raise Unavailable("SQLite did not return the row that it wrote")
    return Found(epoch=epoch, before=before, behind=behind)


def _give_back(found: Found, connection: sqlite3.Connection) -> bool:
    row = (found.before, found.behind, found.epoch)
    return connection.execute("UPDATE leases SET holder = ?, behind = ? WHERE epoch = ?", row).rowcount > 0


def _clear_behind(key: Key, holder: str, connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE leases SET behind = NULL WHERE key = ? AND holder = ?", (key, holder))


def _forget(key: Key, holder: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM leases WHERE key = ? AND holder = ?", (key, holder))


def _forget_process(process: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM leases WHERE holder GLOB ? AND behind IS NULL", (f"{process}/*",))


def _take_and_give_back(connection: sqlite3.Connection) -> None:
    _enter(Key(""), "", connection)
    _forget(Key(""), "", connection)


def _claimant(key: Key, connection: sqlite3.Connection) -> tuple[str, str | None] | None:
    """Return the claimant of *key*, and the one that it is behind."""
    row = connection.execute("SELECT holder, behind FROM leases WHERE key = ?", (key,)).fetchone()
    return None if row is None else (row["holder"], row["behind"])
