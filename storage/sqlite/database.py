"""
An SQLite file in WAL mode: the event loop makes the statements, and threads wait for the disk and for other processes.

Theory of operation
-------------------

*Commits* that come in one turn of the event loop, or while an earlier one is being synced, form one transaction:

    BEGIN IMMEDIATE
    for each, in the order in which they came:
        SAVEPOINT one                  a commit that is refused (another revision, a key in use) is rolled back
        …                              to here, and only its own caller gets the error
        RELEASE one
    COMMIT                             no caller is answered before this returns

The statements change pages in memory.  So they run on the event loop, on a connection that never waits for others; so does a
COMMIT that only reaches the page cache.  A COMMIT that must reach the disk runs on a thread: the log is synced once for all,
and readers meanwhile see what was there before.  The thread then needs the interpreter twice per transaction; when it ran each
statement as well, it needed it twice per statement, and under load a quarter of the CPU time went into waiting for it.

*An error of the database* (a full disk, a page that cannot be written) ends the whole transaction.  Then each commit is made
again by itself, on the other thread: some may find room where all together did not, and each caller gets its own result.  That
thread also waits when another process holds the lock on the database.  If it does not get the lock in time, all commits fail.

*A failed sync* proves nothing when it is repeated: the log is written again first (`holdfast.storage.sqlite.log`).

*On a full disk* a commit that frees room has to succeed.  So a reserve is kept (`holdfast.storage.reserve`): it is freed when
such a commit, or the opening of the database, finds no room, and is made again later.

*Single records and leases* are read and written on the event loop too, on a connection of their own.  In WAL mode a reader
waits for no writer, and a record that is read was mostly written a moment ago.  Reading one takes 17 µs of CPU time; a thread
adds 20 on an idle machine, and 100 and more where threads and the loop contend for the interpreter.  If another connection
holds the lock (SQLITE_BUSY), the thread does it.  If a call still takes long, because the disk is busy, the thread does
everything for a while (`holdfast.storage.threads.Pace`).  The thread also syncs the log of commits that are not synced, and
writes it back; when such commits never pause, they wait for it, or the log would grow without bound.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from holdfast.storage.errors import NoSpace, StorageError, Unavailable
from holdfast.storage.reserve import Reserve
from holdfast.storage.sqlite.commits import SqliteCommit, Turn, make_one
from holdfast.storage.sqlite.connection import BUSY_WAIT, alone, connect, is_busy, sqlite_errors, synced, transaction
from holdfast.storage.sqlite.log import Log
from holdfast.storage.sqlite.schema import prepare
from holdfast.storage.sqlite.writer import Writer
from holdfast.storage.threads import Pace, Result, Threads

T = TypeVar("T")

MiB = 1024 * 1024
# Commits in one transaction: the first waits for the work of all, about 50 µs each.
TOGETHER = 64

# The log is written back after this many commits without a sync; each changes up to ten pages.
CHECKPOINT = 100
# After this many commits without a sync, the next ones wait for the thread.
UNWRITTEN = 1000
# For a database that never syncs; its reserve has room for a log of this size.
SHORT_LOG = 100  # pages
RESERVE = 8 * MiB


class Busy(Exception):
    """The call would have to wait."""


class Database:
    """
    One file with three connections: one for commits and one for calls on the event loop, which never wait, and one for a
    thread.
    """

    def __init__(
        self,
        path: str,
        schema: Sequence[str],
        synchronous: str,
        *,
        additions: str = "",
        reserve: int = RESERVE,
        lends: bool = False,
    ) -> None:
        """
        Open the file, or make it; for *schema* and *additions* see `holdfast.storage.sqlite.schema`.

        :param synchronous: SQLite's pragma: FULL, NORMAL or OFF
        :param reserve: bytes of the reserve
        :param lends: every write may use the reserve
        :raises NoSpace, Unavailable, Corrupted: the file cannot be opened.
        """
        self._path, self._reserve, self._lends = path, Reserve(f"{os.path.abspath(path)}.reserve", reserve), lends
        while True:
            try:
                self._open(schema, additions, synchronous)
                break
            except (NoSpace, Unavailable):
                if not self._reserve.give_back():
                    raise
        self._reserve.keep()
        self._threads = Threads("sqlite", 1)
        self._syncing = Threads("sqlite-commit", 1)  # of its own: nothing may delay a commit that holds the lock of all writers
        self._pace = Pace()
        self._turns: deque[Turn] = deque()
        self._at_work = self._closed = False
        self._log = Log(self._connection, len(schema))
        self._syncs_all = synchronous == "FULL"
        self._writer = Writer(self._committing, self._log, self._look, syncs=self._syncs_all)
        self._unwritten = 0
        """Commits without a sync since the log was last written back."""

    def _open(self, schema: Sequence[str], additions: str, synchronous: str) -> None:
        path = self._path
        with sqlite_errors(), alone(path):
            self._connection = connect(path, BUSY_WAIT)
            self._file = os.stat(path)
            self._loop_connection = connect(path, 0.0)
            self._committing = connect(path, 0.0)
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute(f"PRAGMA synchronous = {synchronous}")
                prepare(self._connection, path, schema, additions)
                for connection in (self._loop_connection, self._committing):
                    connection.execute(f"PRAGMA synchronous = {synchronous}")
                    if synchronous == "NORMAL":
                        connection.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint syncs, so the thread makes it
                if synchronous == "OFF":
                    for connection in (self._connection, self._loop_connection, self._committing):
                        connection.execute(f"PRAGMA wal_autocheckpoint = {SHORT_LOG}")  # without a sync it costs little
            except BaseException:
                self._close_loop_connections()
                self._connection.close()
                raise

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of *function*, which is called with the connection, on its thread."""
        return await self._threads.run(self.call_now, function)

    def call_now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of *function*, called now: for use before there is an event loop."""
        ask = partial(self._ask, self._connection, function)
        return self._with_reserve(ask) if self._lends else ask()

    def _ask(self, connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
        with sqlite_errors():
            self._look()
            result = function(connection)
        if self._lends and self._reserve.is_short:
            self._reserve.keep()
        return result

    async def at_once(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of *function*, on the event loop if it need not wait, else on the thread; it may be called twice."""
        try:
            return self.now(function)
        except Busy:
            return await self.call(function)
        except NoSpace:
            if not self._lends:
                raise
            return await self.call(function)

    def now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return the result of *function*, called on the event loop.

        :raises Busy: it would have to wait; nothing was done.
        """
        if not self._pace.is_quick:
            raise Busy("the disk is slow")
        try:
            return self._pace.timed(self._ask, self._loop_connection, function)
        except Unavailable as error:
            if is_busy(error.__cause__):
                raise Busy(str(error)) from error
            raise

    async def commit(self, commit: SqliteCommit) -> None:
        """
        Make *commit*, in one transaction with others that wait.

        :raises StorageError: nothing of it was stored.
        """
        if self._closed:
            raise Unavailable("the database is closed")
        loop = asyncio.get_running_loop()
        turn = Turn(commit, Result(loop=loop))
        self._turns.append(turn)
        if not self._at_work:
            self._at_work = True
            loop.call_soon(self._go_on)
        await turn.result

    async def ping(self, commit: SqliteCommit) -> None:
        """Make *commit* to test the database, and the reserve again if there is room for it."""
        await self.commit(commit)
        await self._threads.run(self._reserve.keep)

    async def close(self) -> None:
        """Close the connections; the last one of all processes removes the log."""
        with suppress(StorageError):
            await self.commit(SqliteCommit(make=_nothing))  # those before it are made
        self._closed = True
        await self._syncing.run(self._close_loop_connections)
        self._syncing.close()
        await self._threads.run(self._connection.close)
        self._threads.close()

    def _close_loop_connections(self) -> None:
        self._loop_connection.close()
        self._committing.close()

    def _look(self) -> None:
        # SQLite goes on in a file that was deleted or replaced, and no other process would see what it stores there.
        if not os.path.samestat(self._file, os.stat(self._path)):
            raise Unavailable("the database file was replaced")

    # The methods below run on the event loop.

    def _go_on(self) -> None:
        """Begin to make the waiting commits; each end of a group calls this again."""
        group = [self._turns.popleft() for _ in range(min(len(self._turns), TOGETHER))]
        self._at_work = bool(group)
        if not group:
            return
        syncs = self._syncs_all or any(turn.commit.synced for turn in group)
        waits = not self._pace.is_quick or self._unwritten >= UNWRITTEN or any(turn.commit.large for turn in group)
        if waits or not self._pace.timed(self._writer.begin, syncs=syncs):
            self._wait_with(group)
        elif not self._pace.timed(self._writer.make, group, commits=not syncs):
            self._wait_with(group, together=False)
        elif syncs:
            commit = self._syncing.begin(self._writer.commit)
            commit.add_done_callback(partial(self._synced, group))
        else:
            self._made(group)

    def _synced(self, group: Sequence[Turn], commit: asyncio.Future[None]) -> None:
        error = commit.exception()
        if error is None:
            self._made(group)
        else:
            self._writer.undo(error)
            self._wait_with(group, together=False)

    def _wait_with(self, group: Sequence[Turn], *, together: bool = True) -> None:
        """Make *group* on the thread that may wait: in one transaction, or each commit in its own."""
        making = self._threads.begin(partial(self._make, group, together=together))
        making.add_done_callback(partial(self._waited, group))

    def _waited(self, group: Sequence[Turn], making: asyncio.Future[None]) -> None:
        making.result()
        self._made(group)

    def _made(self, group: Sequence[Turn]) -> None:
        if not self._syncs_all:
            checkpoints = self._unwritten // CHECKPOINT
            self._unwritten += len(group)
            if checkpoints != self._unwritten // CHECKPOINT:
                self._threads.begin(self._write_back)
        if self._reserve.is_short:
            self._threads.begin(self._reserve.keep)
        for turn in group:
            turn.finish()
        # The callers that were just answered may commit more: those join the next group.
        asyncio.get_running_loop().call_soon(self._go_on)

    # The methods below block, and run on the thread.

    def _make(self, group: Sequence[Turn], *, together: bool) -> None:
        if len(group) == 1 or not together or not self._make_together(group):
            for turn in group:
                self._make_alone(turn)

    def _make_alone(self, turn: Turn) -> None:
        turn.error = None
        make = partial(self._make_now, turn.commit)
        try:
            if turn.commit.frees or self._lends:
                self._with_reserve(make)
            else:
                make()
        except BaseException as error:  # noqa: BLE001 - it is raised to the caller
            turn.error = error

    def _make_now(self, commit: SqliteCommit) -> None:
        connection = self._connection
        with sqlite_errors():
            self._look()
            with self._log.believed(self._path), synced(connection, synced=commit.synced), transaction(connection):
                commit.make(connection)

    def _with_reserve(self, function: Callable[[], T]) -> T:
        """Call *function*; when it finds no room, free the reserve, and then restart the log."""
        while True:
            try:
                return function()
            except NoSpace:
                if not self._reserve.give_back():
                    break
        self._log.begin_anew()
        return function()

    def _make_together(self, group: Sequence[Turn]) -> bool:
        """Make *group* in one transaction; return False if it failed and nothing was stored."""
        connection, begun = self._connection, False
        try:
            with sqlite_errors():
                self._look()
                is_synced = any(turn.commit.synced for turn in group)
                with self._log.believed(self._path), synced(connection, synced=is_synced), transaction(connection):
                    begun = True
                    for turn in group:
                        make_one(connection, turn)
        except BaseException as error:  # noqa: BLE001 - as above
            if begun:
                return False
            for turn in group:
                turn.error = error
        return True

    def _write_back(self) -> None:
        self._log.write_back()
        self._unwritten = 0


def _nothing(_connection: sqlite3.Connection) -> None:
    pass
