"""
An SQLite file in WAL mode: one thread that commits what has to reach the disk, and no thread for what need not wait.

Theory of operation
-------------------

*Commits* that have to reach the disk are made on one thread, so that the event loop waits neither for it nor for the writers of
other processes.  A commit that is alone is made at once.  Those that came while the thread was busy, mostly with syncing the log,
are taken together:

    BEGIN IMMEDIATE
    for each, in the order in which they came:
        SAVEPOINT one                  a commit that is refused (another revision, a key that is taken) is rolled back
        …                              to here, and only its own caller hears of it
        RELEASE one
    COMMIT                             the log is synced once for all of them; before this has returned nobody is told anything

What is nobody's own fault (a full disk, a page that cannot be written) ends the whole transaction.  Then each commit is made
again by itself: some may find room where all together did not, and each caller hears what became of its own.  Only when the lock
on the database is not to be had there is no second time, for all have waited for it.

*What need not wait* is made on the event loop, by a connection of its own that never waits: reads of single records, leases, and
commits that need not reach the disk.  In WAL mode a reader waits for no writer, and what is asked for was mostly written a moment
ago.  A record is read in 17 µs of processor time, and a commit taken by the page cache in 40.  With a thread it is 20 more on an
idle machine, and 100 and more where threads and loop contend for the interpreter, as they do under load.

When somebody is in the way (SQLITE_BUSY), the same goes to the thread.  When the loop was held up all the same, for the disk was
busy with something, everything goes there for a while (`storage.threads.Pace`).  What such commits leave in the log is synced and
written back by the thread; when they never pause, it holds them off for it, or the log would grow for ever.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from storage.errors import AlreadyExists, Corrupted, NoSpace, PreconditionFailed, StorageError, Unavailable
from storage.threads import Pace, Threads

T = TypeVar("T")

SECONDS = 1.0
# How long a writer waits for the writers of other processes before it gives up.
BUSY_WAIT = 5 * SECONDS
# As many commits are taken together: who came first waits for the work of all, about 50 µs each.
TOGETHER = 64

# The log is written back after as many commits on the event loop; each changes up to ten pages.
CHECKPOINT = 100
# When so many were made before the thread came to it, those that follow wait for it.
UNWRITTEN = 1000
LONG_LOG = 4000  # pages
# Commits wait while the log is begun anew; readers are waited for only so long, and not all the time.
RESTART_WAIT = 0.05 * SECONDS
RESTART_AGAIN = 5 * SECONDS

ERRORS: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_CORRUPT: Corrupted,
    sqlite3.SQLITE_NOTADB: Corrupted,
}
# Others are in the way for the moment.
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
# What a single commit is refused for; everything else is trouble of the database.
REFUSED = (PreconditionFailed, AlreadyExists)


class translated:  # noqa: N801 - a context manager, and often used: a generator for each would cost more
    """
    Raise SQLite's errors as storage errors, and those of the file system under it.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, OSError):
            raise Unavailable(str(error)) from error
        if isinstance(error, sqlite3.Error):
            raise ERRORS.get(_code(error), Unavailable)(str(error)) from error


class transaction:  # noqa: N801 - as above
    """
    Make what is done meanwhile one transaction, or nothing.
    """

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
            if self._connection.in_transaction:  # SQLite itself rolls back on some errors
                self._connection.execute("ROLLBACK")


@contextmanager
def _synced(connection: sqlite3.Connection, *, synced: bool) -> Iterator[None]:
    """Have a commit reach the disk, where others need not."""
    if not synced:
        yield
        return
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """
    Statements that take effect together, or not at all.

    *make* is called within a transaction, maybe more than once; alone, one that is a *single* statement needs none.  *synced*
    says whether it has to reach the disk in a database that does not sync every commit.
    """

    make: Callable[[sqlite3.Connection], None]
    single: bool = False
    synced: bool = False


class Busy(Exception):
    """
    Something would have to be waited for.
    """


@dataclass(slots=True)
class _Turn:
    """A commit that waits, and what became of it."""

    commit: Commit
    done: bool = False
    error: BaseException | None = None


class Database:
    """
    One file: a connection on a thread, which waits, and one on the event loop, which does not.
    """

    def __init__(self, path: str, schema: Sequence[str], synchronous: str) -> None:
        with translated(), _alone(path):
            self._connection = _connect(path, BUSY_WAIT)
            self._path, self._file = path, os.stat(path)
            self._near = _connect(path, 0.0)
            try:
                self._prepare(path, schema, synchronous)
                self._near.execute(f"PRAGMA synchronous = {synchronous}")
                if synchronous != "OFF":
                    self._near.execute("PRAGMA wal_autocheckpoint = 0")  # it syncs, and so is for the thread
            except BaseException:
                self._connection.close()
                self._near.close()
                raise
        self._threads = Threads("sqlite", 1)
        self._pace = Pace()
        self._turns: deque[_Turn] = deque()
        self._version = len(schema)
        self._syncs_all = synchronous == "FULL"
        self._restart_from = 0.0
        self._unwritten = 0
        """Commits that were made on the event loop since the log was last written back."""

    def _prepare(self, path: str, schema: Sequence[str], synchronous: str) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(schema):
            raise Unavailable(f"{path} was written by a newer Holdfast (its schema is {version})")
        if version < len(schema):
            steps = "".join(schema[version:])
            self._connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {len(schema)}; COMMIT")

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of the connection, on its thread.
        """
        return await self._threads.run(self.call_now, function)

    def call_now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of the connection; for the time before there is an event loop.
        """
        return self._ask(self._connection, function)

    def _ask(self, connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
        with translated():
            self._look()
            return function(connection)

    async def at_once(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of a connection, without a thread if nobody is in the way; it may be called twice.
        """
        try:
            return self.now(function)
        except Busy:
            return await self.call(function)

    def now(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """
        Return what *function* makes of a connection.

        :raises Busy: it cannot be made now, and nothing was.
        """
        if not self._pace.is_quick:
            raise Busy("the disk is slow")
        try:
            return self._pace.timed(self._ask, self._near, function)
        except Unavailable as error:
            if _is_busy(error.__cause__):
                raise Busy(str(error)) from error
            raise

    async def commit(self, commit: Commit) -> None:
        """
        Make *commit*, together with those that wait as well.

        :raises StorageError: nothing of it was stored.
        """
        if not self._commit_now(commit):
            turn = _Turn(commit)
            self._turns.append(turn)
            await self._threads.run(self._take, turn)

    def _commit_now(self, commit: Commit) -> bool:
        """Make *commit* without a thread, if it need not reach the disk and nobody is in the way; say whether it was made."""
        if self._syncs_all or commit.synced or self._turns or self._unwritten >= UNWRITTEN:
            return False
        try:
            self.now(partial(_make, commit))
        except Busy:
            return False
        self._unwritten += 1
        if not self._unwritten % CHECKPOINT:
            self._threads.begin(self._checkpoint)
        return True

    async def close(self) -> None:
        """
        Close the connections; the last one of all processes tidies the log away.
        """
        self._near.close()
        await self._threads.run(self._connection.close)
        self._threads.close()

    def _look(self) -> None:
        # SQLite goes on in a file that was deleted or replaced; nobody else would ever see what it stores there.
        if not os.path.samestat(self._file, os.stat(self._path)):
            raise Unavailable("the database file was replaced")

    # What follows blocks, and runs on the thread.

    def _take(self, turn: _Turn) -> None:
        """Make the commit of *turn* and those that wait behind it, unless it was made with those before it."""
        if not turn.done:
            group = [self._turns.popleft() for _ in range(min(len(self._turns), TOGETHER))]
            if len(group) == 1 or not self._make_together(group):
                for each in group:
                    self._make_alone(each)
            for each in group:
                each.done = True
        if turn.error is not None:
            raise turn.error

    def _checkpoint(self) -> None:
        """Write the log back into the file; one that grew long, for nobody ever paused, while others wait."""
        with suppress(sqlite3.Error):  # it is tried again
            _, pages, written = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > LONG_LOG and time.monotonic() >= self._restart_from:
                pages, written = self._restart()
            if pages == written:
                # Whoever writes next begins the log anew, and syncs its head.
                self._connection.execute(f"PRAGMA user_version = {self._version}")
        self._unwritten = 0

    def _restart(self) -> tuple[int, int]:
        """Have the log begun anew; return the pages of it, and how many are written back."""
        connection = self._connection
        connection.execute(f"PRAGMA busy_timeout = {RESTART_WAIT * 1000:.0f}")
        try:
            busy, pages, written = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_WAIT * 1000:.0f}")
        if busy:
            # Somebody reads for long, a backup maybe: the log has to grow until that is over.
            self._restart_from = time.monotonic() + RESTART_AGAIN
        return pages, written

    def _make_alone(self, turn: _Turn) -> None:
        connection, commit = self._connection, turn.commit
        turn.error = None
        try:
            with translated():
                self._look()
                with _synced(connection, synced=commit.synced):
                    _make(commit, connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where it is waited for
            turn.error = error

    def _make_together(self, group: Sequence[_Turn]) -> bool:
        """Say whether all is told of each commit; if not, nothing was stored."""
        connection, begun = self._connection, False
        try:
            with translated():
                self._look()
                with _synced(connection, synced=any(turn.commit.synced for turn in group)), transaction(connection):
                    begun = True
                    for turn in group:
                        _make_one(connection, turn)
        except BaseException as error:  # noqa: BLE001 - as above
            if begun:
                return False
            for turn in group:
                turn.error = error
        return True


def _make(commit: Commit, connection: sqlite3.Connection) -> None:
    if commit.single:
        commit.make(connection)
        return
    with transaction(connection):
        commit.make(connection)


def _make_one(connection: sqlite3.Connection, turn: _Turn) -> None:
    """Make one commit of many, or refuse it; what else is wrong is raised."""
    connection.execute("SAVEPOINT one")
    try:
        turn.commit.make(connection)
    except REFUSED as error:
        connection.execute("ROLLBACK TO one")
        turn.error = error
    connection.execute("RELEASE one")


def _connect(path: str, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.row_factory = sqlite3.Row
    return connection


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


def _code(error: sqlite3.Error) -> int:
    # Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html).
    code: Any = getattr(error, "sqlite_errorcode", 0)
    return int(code) & 0xFF


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and _code(error) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
    )
