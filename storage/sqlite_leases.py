"""
Leases between worker processes of one machine: a row says who has one, a datagram asks for it.

Theory of operation
-------------------

Every process listens on a Unix datagram socket in the folder of the leases.  A row holds the newest claimant of a key, as
``<process>/<serial>``.  To acquire, a newcomer swaps its own name into the row, and asks the one it found there to let go:

    newcomer → holder    evict <serial> <newcomer's process>
    holder → newcomer    released <process>/<serial> <0|1>      (1: somebody before may still be asleep)
    holder → newcomer    busy <process>/<serial>                (alive, and at work that cannot be interrupted)

So claimants form a chain, each waiting only for the one before it.  Datagrams may be lost and are repeated; both messages may
come twice.  A serial that its process does not know has been released.

A frozen process does not answer; it is passed over in time, and the lease is forced.  One whose socket is there, but refuses, is
dead, for the kernel closes it after its last thread.  (A socket that is missing says nothing: somebody tidied up.)  It is passed
over at once, and can do no harm; but if it died while it waited
itself, the one it waited for may only be asleep.  So a row tells whom its claimant is *behind* until that one has let go.

Rows need not survive a power cut, so this database never syncs.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from storage.errors import LeaseLost, Unavailable
from storage.ports import PATIENCE, Lease
from storage.records import Key, Ref
from storage.sqlite import Database
from storage.threads import unbroken

MILLISECONDS = 0.001
# A local datagram takes well under a millisecond; repeating it covers a full queue and a process that was just starting.
# Whoever waits for less repeats it sooner, so that a busy holder is heard in time.
REPEAT = 50 * MILLISECONDS
MAX_DATAGRAM = 256  # bytes; names are 16 characters, serials are counters

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


class Heard(enum.Enum):
    """What is known of the process that a datagram was for."""

    SENT = "it has a socket, and so is alive, or asleep"
    NOBODY = "its socket refuses: it is dead"
    UNKNOWN = "its socket is missing"


@dataclass(slots=True)
class _Claim:
    """One `acquire` of this process, from its beginning until it let go."""

    serial: int
    key: Key
    evicted: Callable[[], object]
    epoch: int = 0
    waiting: bool = True
    busy: bool = False
    """Evicted, it will let go by itself."""
    lost: bool = False
    forced: bool = False
    """Whether somebody before may still be asleep, and the facts are not fenced against them yet."""
    gone: bool = False
    newcomer: str | None = None
    """The process that waits for this claim to let go."""


class SqliteLeases:
    """
    `storage.ports.Leases` for all processes that were given the same *folder*.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        self._database = Database(os.path.join(self._folder, "leases.sqlite"), SCHEMA, "OFF")
        self._process = secrets.token_hex(8)
        self._serials = itertools.count(1)
        self._claims: dict[int, _Claim] = {}
        self._answers: dict[str, asyncio.Future[bool]] = {}
        self._heard: dict[str, float] = {}
        """When a claimant that is waited for was last heard of (seconds of the loop's clock)."""
        # Socket addresses are limited to 107 bytes; a name below an open folder is short however deep the folder lies.
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._remove_dead()
        self._socket.bind(self._address(self._process))

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        self._listen()
        mine = _Claim(next(self._serials), ref.key, evicted)
        self._claims[mine.serial] = mine  # before the row is there: who finds the row asks us at once
        try:
            await unbroken(self._take(mine, wait))
            mine.waiting = False
            if mine.lost:
                raise LeaseLost(f"a newer request took {ref.key}")
        except BaseException:
            await unbroken(self._let_go(mine))
            raise
        return Lease(ref=ref, epoch=mine.epoch, forced=mine.forced)

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        for mine in self._claims.values():
            if mine.epoch == lease.epoch:
                mine.forced = mine.forced and not fenced
                await unbroken(self._let_go(mine))
                return

    async def held(self, ref: Ref) -> bool:
        row = await self._database.call(partial(_claimant, ref.key))
        if row is None:
            return False
        claimants = (claimant.partition("/")[0] for claimant in row if claimant is not None)
        return any(self._send(process, "hello") is not Heard.NOBODY for process in claimants)

    async def ping(self) -> None:
        await self._database.call(partial(_claimant, Key("")))
        if f"{self._process}.socket" not in os.listdir(self._directory):
            raise Unavailable("the socket of this process was removed")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, f"{self._process}.socket"))
        os.close(self._directory)
        await self._database.close()

    async def _take(self, mine: _Claim, wait: float) -> None:
        mine.epoch, before, behind = await self._database.call(partial(_swap, mine.key, self._name(mine)))
        if before is None:
            return
        try:
            mine.forced = await self._dislodge(before, behind, wait)
        except LeaseLost:
            if await self._database.call(partial(_give_back, mine.epoch, before, behind)):
                mine.gone = True
                del self._claims[mine.serial]
            mine.forced = True  # for whoever came meanwhile
            raise
        if not mine.forced:
            await self._database.call(partial(_settle, mine.key, self._name(mine)))

    async def _dislodge(self, before: str, behind: str | None, wait: float) -> bool:
        """Return whether somebody may still act on the lease of *before*, or on that of the one it was *behind*."""
        process, _, serial = before.partition("/")
        loop = asyncio.get_running_loop()
        answer = self._answers[before] = loop.create_future()
        begun = self._heard[before] = loop.time()
        try:
            while not answer.done():
                match self._send(process, f"evict {serial} {self._process}"):
                    case Heard.NOBODY:
                        return behind is not None
                    case Heard.UNKNOWN:
                        return True
                await asyncio.wait([answer], timeout=min(REPEAT, wait / 2))
                now = loop.time()
                if now - self._heard[before] >= wait and not answer.done():
                    return True  # asleep
                if now - begun >= max(wait, PATIENCE) and not answer.done():
                    raise LeaseLost("the holder is still at work")
        finally:
            del self._answers[before], self._heard[before]
        return bool(answer.result())

    async def _let_go(self, mine: _Claim) -> None:
        if mine.gone:
            return
        mine.gone = True
        # While the facts are not fenced, the row and the claim stay, so that the next claimant hears of it.
        if not mine.forced:
            await self._database.call(partial(_forget, mine.key, self._name(mine)))
            del self._claims[mine.serial]
        self._answer(mine.newcomer, mine.serial, forced=mine.forced)

    def _name(self, mine: _Claim) -> str:
        """Return what stands in the row of this claim, and only of this one, also when a newcomer gave the row back."""
        return f"{self._process}/{mine.serial}"

    # Datagrams

    def _address(self, process: str) -> str:
        return f"/proc/self/fd/{self._directory}/{process}.socket"

    def _remove_dead(self) -> None:
        for name in os.listdir(self._folder):
            process, dot, kind = name.partition(".")
            if (dot, kind) == (".", "socket") and self._send(process, "hello") is Heard.NOBODY:
                self._database.call_now(partial(_forget_process, process))
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, name))

    def _listen(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket, self._receive)

    def _send(self, process: str, message: str) -> Heard:
        if process == self._process:
            self._understand(message.split(" "))
            return Heard.SENT
        try:
            self._socket.sendto(message.encode(), self._address(process))
        except ConnectionRefusedError:
            return Heard.NOBODY
        except FileNotFoundError:
            return Heard.UNKNOWN
        except BlockingIOError:
            pass  # its queue is full: the message is lost, and will be repeated
        return Heard.SENT

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._understand(self._socket.recv(MAX_DATAGRAM).decode().split(" "))

    def _understand(self, message: list[str]) -> None:
        match message:
            case ["evict", serial, newcomer]:
                self._evict(int(serial), newcomer)
            case ["released", holder, forced]:
                answer = self._answers.get(holder)
                if answer is not None and not answer.done():
                    answer.set_result(forced == "1")
            case ["busy", holder]:
                if holder in self._heard and self._loop is not None:
                    self._heard[holder] = self._loop.time()
            case _:
                pass  # "hello" only asks whether somebody listens

    def _evict(self, serial: int, newcomer: str) -> None:
        mine = self._claims.get(serial)
        if mine is None or mine.gone:
            self._answer(newcomer, serial, forced=mine is not None and mine.forced)
        else:
            mine.newcomer = newcomer
            if not mine.lost:
                mine.lost = True
                mine.busy = mine.evicted() is True
            if mine.busy or mine.waiting:
                self._send(newcomer, f"busy {self._process}/{serial}")

    def _answer(self, newcomer: str | None, serial: int, *, forced: bool) -> None:
        if newcomer is not None:
            self._send(newcomer, f"released {self._process}/{serial} {int(forced)}")


def _swap(key: Key, holder: str, connection: sqlite3.Connection) -> tuple[int, str | None, str | None]:
    """Claim *key*; return the epoch, the claimant before and the one that it was behind."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        before, behind = _claimant(key, connection) or (None, None)
        cursor = connection.execute("INSERT OR REPLACE INTO leases (key, holder, behind) VALUES (?, ?, ?)", (key, holder, before))
        epoch = cursor.lastrowid
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a commit that found the disk full has rolled back by itself
            connection.execute("ROLLBACK")
        raise
    if epoch is None:
        raise Unavailable("SQLite did not name the row that it wrote")
    return epoch, before, behind


def _give_back(epoch: int, before: str, behind: str | None, connection: sqlite3.Connection) -> bool:
    """Put the claimant *before* in the place of this claim; return False if a newer one stands there."""
    row = (before, behind, epoch)
    return connection.execute("UPDATE leases SET holder = ?, behind = ? WHERE epoch = ?", row).rowcount > 0


def _settle(key: Key, holder: str, connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE leases SET behind = NULL WHERE key = ? AND holder = ?", (key, holder))


def _forget(key: Key, holder: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM leases WHERE key = ? AND holder = ?", (key, holder))


def _forget_process(process: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM leases WHERE holder GLOB ? AND behind IS NULL", (f"{process}/*",))


def _claimant(key: Key, connection: sqlite3.Connection) -> tuple[str, str | None] | None:
    """Return who claims *key*, and whom it is behind."""
    row = connection.execute("SELECT holder, behind FROM leases WHERE key = ?", (key,)).fetchone()
    return None if row is None else (row["holder"], row["behind"])
