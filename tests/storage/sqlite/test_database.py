"""
What commits that are taken together promise to each caller.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import AlreadyExists, NoSpace, PreconditionFailed, StorageError, Unavailable
from holdfast.storage.sqlite.commits import SqliteCommit
from holdfast.storage.sqlite.connection import BUSY_WAIT
from holdfast.storage.sqlite.database import TOGETHER, Busy, Database
from holdfast.storage.sqlite.log import LONG_LOG
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.storage.backends import changed, new_upload, replace_upload, store_upload

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

SCHEMA = ("CREATE TABLE fronds (name TEXT PRIMARY KEY, length INTEGER) WITHOUT ROWID;",)
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "kelp.sqlite"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Return a database that syncs every commit."""
    database = Database(str(path), SCHEMA, "FULL")
    yield database
    await database.close()


def grows(name: str, length: int = 1) -> SqliteCommit:
    """Return the commit of one row."""

    def make(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO fronds VALUES (?, ?)", (name, length))

    return SqliteCommit(make=make)


def grows_and_fails(name: str, error: Exception) -> SqliteCommit:
    """Return a commit that fails after its first statement."""

    def make(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO fronds VALUES (?, 1)", (name,))
        raise error

    return SqliteCommit(make=make)


def names(path: Path) -> list[str]:
    """Return the rows that another process would see, in the order of their names."""
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM fronds ORDER BY name")]


async def traced(database: Database) -> list[str]:
    """Return what will hold every statement of a commit from now on."""
    statements: list[str] = []
    await everywhere(database, lambda connection: connection.set_trace_callback(statements.append))
    statements.clear()
    return statements


async def everywhere(database: Database, function: Callable[[sqlite3.Connection], None]) -> None:
    """Call *function* with either connection that makes commits."""
    await database.call(function)
    await database.commit(SqliteCommit(make=function))


async def together(database: Database, *commits: SqliteCommit) -> list[BaseException | None]:
    """Ask for *commits* in one turn of the loop, and return what becomes of each."""
    return await asyncio.gather(*map(database.commit, commits), return_exceptions=True)


class Slow:
    """A disk that takes its time for every COMMIT, once this was stored."""

    def __init__(self) -> None:
        self.begun, self._go_on = asyncio.Event(), threading.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self._hold_up)

    def _hold_up(self, statement: str) -> None:
        if statement == "COMMIT":
            self._loop.call_soon_threadsafe(self.begun.set)
            assert self._go_on.wait(10)

    def go_on(self) -> None:
        """Take no more time."""
        self._go_on.set()


def count(statements: list[str], verb: str) -> int:
    """Return how often *verb* was said."""
    return sum(statement.startswith(verb) for statement in statements)


async def test_commits_of_one_turn_are_one_transaction(path: Path, database: Database) -> None:
    """What is asked for in one turn of the loop takes one COMMIT, and all of it is there for others."""
    statements = await traced(database)

    assert [None] * 10 == await together(database, *(grows(f"{number}") for number in range(10)))
    assert 1 == count(statements, "COMMIT")
    assert [f"{number}" for number in range(10)] == names(path)


async def test_commits_keep_their_order(database: Database) -> None:
    """Who came first is stored first."""
    made: list[int] = []

    def make(number: int, _connection: sqlite3.Connection) -> None:
        made.append(number)

    await together(database, *(SqliteCommit(make=partial(make, number)) for number in range(20)))

    assert [*range(20)] == made


async def test_a_group_is_bounded(database: Database) -> None:
    """Who came first does not wait for the work of any number of others."""
    statements = await traced(database)
    await together(database, *(grows(f"{number}") for number in range(2 * TOGETHER + 1)))

    assert 3 == count(statements, "COMMIT")


async def test_commits_that_wait_for_the_disk_are_one_transaction(path: Path, database: Database) -> None:
    """While the disk has one, nothing of it is seen, the loop goes on, and those that come meanwhile are made together."""
    slow = Slow()
    first = asyncio.create_task(database.commit(SqliteCommit(make=slow)))
    await slow.begun.wait()
    waiting = [asyncio.create_task(database.commit(grows(f"{number}"))) for number in range(3)]
    await asyncio.sleep(0.05)
    seen, were_early = names(path), [task.done() for task in (first, *waiting)]
    near = await database.at_once(lambda connection: connection.execute("SELECT * FROM fronds").fetchall())
    slow.go_on()
    statements: list[str] = []
    await first
    await asyncio.gather(*waiting, database.call(lambda connection: connection.set_trace_callback(statements.append)))

    assert ([], [], [False] * 4) == (seen, near, were_early)
    assert ["0", "1", "2"] == names(path)


@pytest.mark.parametrize("error", [PreconditionFailed("changed"), AlreadyExists("there")], ids=["changed", "there"])
async def test_a_refused_commit_is_its_callers_own_business(path: Path, database: Database, error: StorageError) -> None:
    """Of a commit that is refused nothing is left, and those before and after it are stored in the same transaction."""
    statements = await traced(database)
    outcomes = await together(database, grows("bull"), grows_and_fails("giant", error), grows("sugar"))

    assert [None, error, None] == outcomes
    assert ["bull", "sugar"] == names(path)
    assert 1 == count(statements, "COMMIT")


async def test_trouble_of_one_is_not_told_to_all(path: Path, database: Database) -> None:
    """What is wrong in another way ends the transaction; then each is made by itself, and has its own outcome."""
    statements = await traced(database)
    trouble = ValueError("of our own making")
    outcomes = await together(database, grows("bull"), grows_and_fails("giant", trouble), grows("sugar"))

    assert [None, trouble, None] == outcomes
    assert ["bull", "sugar"] == names(path)
    assert 2 == count(statements, "COMMIT")


async def test_a_full_disk_refuses_what_does_not_fit(path: Path, database: Database) -> None:
    """Where not everything fits, each commit gets what room there is for it, and hears of it."""
    await database.commit(grows("first"))
    pages = await database.call(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])

    def make_little(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchone()

    await everywhere(database, make_little)
    outcomes = await together(database, grows("little"), grows("g" * 20 * PAGE), grows("small"))

    assert [type(None), NoSpace, type(None)] == [type(outcome) for outcome in outcomes]
    assert ["first", "little", "small"] == names(path)


async def test_a_locked_database_is_told_to_all_at_once(path: Path, database: Database) -> None:
    """When another process does not let go of the lock, all that wait are told after one wait, not one after another."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(2 * BUSY_WAIT):
            outcomes = await together(database, *(grows(f"{number}") for number in range(10)))
        other.execute("ROLLBACK")

    assert [Unavailable] * 10 == [type(outcome) for outcome in outcomes]
    await database.commit(grows("bull"))
    assert ["bull"] == names(path)


def _refuse_commits(connection: sqlite3.Connection) -> None:
    def judge(action: int, verb: str | None, *_names: str | None) -> int:
        return sqlite3.SQLITE_DENY if (action, verb) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK

    connection.set_authorizer(judge)


async def test_a_commit_that_does_not_get_through_is_made_again(path: Path, database: Database) -> None:
    """When COMMIT fails that was made for many, each is made again by itself, and stored once."""
    refusals = iter([_refuse_commits])
    make = grows("giant").make

    def refuse_once(connection: sqlite3.Connection) -> None:
        make(connection)
        for refuse in refusals:
            refuse(connection)

    statements = await traced(database)
    outcomes = await together(database, grows("bull"), SqliteCommit(make=refuse_once), grows("sugar"))

    assert [None] * 3 == outcomes
    assert ["bull", "giant", "sugar"] == names(path)
    assert (4, 1) == (count(statements, "BEGIN"), count(statements, "ROLLBACK"))


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
async def test_a_commit_that_does_not_get_through_leaves_nothing(path: Path, synchronous: str) -> None:
    """When COMMIT fails again, nobody is told of success, and the next transaction begins from what was there."""
    database = Database(str(path), SCHEMA, synchronous)
    with pytest.raises(Unavailable):
        await database.commit(SqliteCommit(make=_refuse_commits))
    outcomes = await together(database, grows("bull"), grows("sugar"))
    found = names(path)
    await database.call(lambda connection: connection.set_authorizer(None))
    await database.commit(grows("giant"))
    await database.close()

    assert [Unavailable] * 2 == [type(outcome) for outcome in outcomes]
    assert ([], ["giant"]) == (found, names(path))


@pytest.mark.parametrize(("synced", "expected"), [((), [1, 1, 1]), ((0,), [2, 2, 2])], ids=["none", "one"])
async def test_one_that_has_to_be_synced_has_all_synced(path: Path, synced: tuple[int, ...], expected: list[int]) -> None:
    """The log is synced at a COMMIT if one of those in it needs that; afterwards it is as before."""
    database = Database(str(path), SCHEMA, "NORMAL")
    during: list[int] = []

    def level(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
        return found

    def make(connection: sqlite3.Connection) -> None:
        during.append(level(connection))

    await together(database, *(SqliteCommit(make=make, synced=number in synced) for number in range(3)))

    assert expected == during
    assert 1 == await database.call(level)
    await database.close()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("is_synced", [False, True])
async def test_what_had_to_wait_is_synced_as_well(path: Path, count: int, is_synced: bool) -> None:
    """The log is synced, where that is needed, also at a COMMIT that had to wait for another process, and then no more."""
    database = Database(str(path), SCHEMA, "NORMAL")
    during: list[int] = []

    def level(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
        return found

    def make(connection: sqlite3.Connection) -> None:
        during.append(level(connection))

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(database.commit(SqliteCommit(make=make, synced=is_synced))) for _ in range(count)]
        await asyncio.sleep(0.05)
        was_early = list(during)
        other.execute("ROLLBACK")
        await asyncio.gather(*waiting)

    assert ([], [2 if is_synced else 1] * count) == (was_early, during)
    assert 1 == await database.call(level)
    await database.close()


@pytest.mark.parametrize("durability", Durability)
async def test_everybody_gets_their_own_answer(tmp_path: Path, durability: Durability) -> None:
    """Many at once, some too late, some with keys that are taken: each hears what became of theirs, and that is so."""
    store = SqliteMetadataStore(str(tmp_path / "holdfast.sqlite"), durability)
    known = [new_upload() for _ in range(40)]
    await asyncio.gather(*(store_upload(store, record) for record in known))
    moved = [changed(record, offset=1) for record in known]
    await asyncio.gather(*(replace_upload(store, *pair) for pair in zip(known[::2], moved[::2], strict=True)))
    verbs: list[tuple[Callable[[], object], type[BaseException] | type[None]]] = []
    for number, record in enumerate(known):
        if number % 2:
            verbs.append((partial(replace_upload, store, record, moved[number]), type(None)))
        else:
            verbs.append((partial(replace_upload, store, record, moved[number]), PreconditionFailed))
        verbs.append((partial(store_upload, store, new_upload(key=record.key)), AlreadyExists))
        verbs.append((partial(store_upload, store, new_upload()), type(None)))
    outcomes = await asyncio.gather(*(verb() for verb, _ in verbs), return_exceptions=True)  # type: ignore[call-overload]

    assert [expected for _, expected in verbs] == [type(outcome) for outcome in outcomes]
    assert moved == [await store.get(record.ref) for record in known]
    await store.close()


async def test_reads_do_not_wait_for_other_processes(path: Path, database: Database) -> None:
    """While a commit waits for another process, records are read all the same."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        held_up = asyncio.create_task(database.commit(grows("bull")))
        await asyncio.sleep(0.05)
        found = await database.at_once(lambda connection: connection.execute("SELECT * FROM fronds").fetchall())
        was_early = held_up.done()
        other.execute("ROLLBACK")
    await held_up

    assert ([], False) == (found, was_early)


async def test_what_would_have_to_wait_is_not_made_at_once(path: Path) -> None:
    """The event loop does not wait for a writer of another process: the thread does."""
    database = Database(str(path), SCHEMA, "NORMAL")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            database.now(grows("bull").make)
        waiting = asyncio.create_task(database.commit(grows("bull")))
        await asyncio.sleep(0.05)
        was_early = waiting.done()
        other.execute("ROLLBACK")
    await waiting
    await database.close()

    assert not was_early
    assert ["bull"] == names(path)


@pytest.mark.alone("how far the log grows while it is written back depends on what else the disk has to do")
async def test_the_log_does_not_grow_for_ever(path: Path) -> None:
    """Commits that are made on the event loop have their log written back by the thread, though nobody ever pauses."""
    database = Database(str(path), SCHEMA, "NORMAL")
    for number in range(6000):
        await database.commit(grows(f"{number:06} {'kelp' * 200}"))
        if not number % 50:
            await asyncio.sleep(0)
    size = path.with_name(path.name + "-wal").stat().st_size
    await database.close()

    assert size < 2 * LONG_LOG * PAGE
    assert 6000 == len(names(path))


async def test_a_long_reader_stops_nobody(path: Path) -> None:
    """While somebody reads for long, a backup maybe, the log cannot begin anew; commits go on all the same."""
    database = Database(str(path), SCHEMA, "NORMAL")
    slowest = 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM fronds").fetchone()
        for number in range(LONG_LOG + 500):
            begun = time.monotonic()
            await database.commit(grows(f"{number:05}", number))
            slowest = max(slowest, time.monotonic() - begun)
    await database.close()

    assert LONG_LOG + 500 == len(names(path))
    assert slowest < BUSY_WAIT / 2
