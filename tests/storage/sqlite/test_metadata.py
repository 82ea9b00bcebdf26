"""
What only the SQLite store promises: several processes on one file, and what a crash leaves.
"""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NoSpace, StorageError, Unavailable
from holdfast.storage.objects import ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Change, Record
from holdfast.storage.records import Key, Ref, State, UploadRecord
from holdfast.storage.sqlite import metadata as sqlite
from holdfast.storage.sqlite.connection import sqlite_errors
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from holdfast.storage.sqlite.tables import SCHEMA
from tests.storage.backends import NOW, TENANT, changed, new_upload, replace_upload, store_upload
from tests.storage.processes import Room, worker

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

PROCESSES = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the records are."""
    return tmp_path / "data" / "holdfast.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteMetadataStore]:
    """Return a store that does not wait for disks."""
    store = SqliteMetadataStore(str(path), Durability.NONE)
    yield store
    await store.close()


async def test_no_increment_is_lost(path: Path, store: SqliteMetadataStore) -> None:
    """Four processes that each add one to the same record two hundred times make it eight hundred."""
    record = new_upload()
    await store_upload(store, record)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker("increment", path, record.key, 200)) for _ in range(PROCESSES)]
        assert ["ready"] * PROCESSES == [await each.line() for each in workers]
        for each in workers:
            each.tell("go")

        assert [0] * PROCESSES == [await each.end() for each in workers]
    found = await store.get(record.ref)

    assert (800, 800) == (found.offset, found.revision)


FULL, NORMAL = 2, 1  # sqlite.org/pragma.html#pragma_synchronous
OPEN, COMPLETE = new_upload(), new_upload(state=State.COMPLETE)
OBJECT = ObjectRecord(tenant=TENANT, kind="user", id="kelp", created_at=NOW, updated_at=NOW, updated_by=None, etag="a")
SLOT = SlotRecord(tenant=TENANT, kind="user", id="kelp", slot="ProfilePhoto", etag="a")


@pytest.mark.parametrize(
    ("records", "is_promised"),
    [([OPEN], False), ([COMPLETE], True), ([OBJECT], True), ([SLOT], True), ([OPEN, SLOT], True)],
    ids=["an offset", "a complete upload", "an object", "a slot", "an offset and a slot"],
)
@pytest.mark.parametrize("durability", Durability)
async def test_what_reaches_the_disk(
    path: Path, durability: Durability, records: Sequence[Record], is_promised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every commit is promised, each is synced; where what is complete is promised, objects and slots are besides."""
    synced: list[int] = []
    insert = sqlite._insert

    def observed(connection: sqlite3.Connection, *what: Any) -> None:  # noqa: ANN401 - as _insert
        synced.append(connection.execute("PRAGMA synchronous").fetchone()[0])
        insert(connection, *what)

    monkeypatch.setattr(sqlite, "_insert", observed)
    store = SqliteMetadataStore(str(path), durability)
    await store.commit([Change(old=None, new=record) for record in records])
    await store.close()

    full = durability is Durability.ACKNOWLEDGED or (durability is Durability.COMPLETE and is_promised)
    assert [FULL if full else NORMAL] * len(records) == synced


@pytest.mark.parametrize("count", [1, 30, 90])
async def test_every_acknowledged_commit_survives_a_kill(path: Path, count: int) -> None:
    """What a process had acknowledged before it was killed in the middle of its commits is there for the next one."""
    async with worker("create", path) as writer:
        acknowledged = [await writer.line() for _ in range(count)]
        await writer.kill()
        acknowledged += await writer.lines()
    store = SqliteMetadataStore(str(path))
    for key in acknowledged:
        await store.get(Ref(tenant=TENANT, key=Key(key)))
    await store_upload(store, new_upload())
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert "ok" == connection.execute("PRAGMA integrity_check").fetchone()[0]


async def test_all_uploads_come_page_by_page(store: SqliteMetadataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes through all uploads sees each once, however many pages they take."""
    monkeypatch.setattr(sqlite, "PAGE", 2)
    records = [new_upload() for _ in range(5)]
    for record in records:
        await store_upload(store, record)

    assert sorted(record.key for record in records) == [record.key async for record in store.uploads()]


async def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Worker processes that start together all get the store, whoever of them makes it."""
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker("open_stores", "")) for _ in range(PROCESSES)]
        assert ["ready"] * PROCESSES == [await each.line() for each in workers]
        for number in range(25):
            for each in workers:
                each.tell(str(tmp_path / f"{number}.sqlite"))

            assert ["opened"] * PROCESSES == [await each.line() for each in workers]


async def test_records_survive_a_reopening(path: Path, store: SqliteMetadataStore) -> None:
    """What one process stored, the next one reads."""
    record = new_upload(name="kelp")
    await store_upload(store, record)
    again = SqliteMetadataStore(str(path))

    assert record == await again.get(record.ref)
    await again.close()


async def test_a_newer_schema_is_refused(path: Path, store: SqliteMetadataStore) -> None:
    """A file of a newer version is not touched by an older one."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")

    with pytest.raises(Unavailable, match="newer"):
        SqliteMetadataStore(str(path))
    with closing(sqlite3.connect(path)) as connection:
        assert len(SCHEMA) + 1 == connection.execute("PRAGMA user_version").fetchone()[0]


async def test_a_file_that_is_no_database(path: Path) -> None:
    """A file of something else is not taken for an empty store."""
    path.parent.mkdir()
    path.write_bytes(b"kelp" * 4096)

    with pytest.raises(Corrupted):
        SqliteMetadataStore(str(path))


async def test_modes(path: Path, store: SqliteMetadataStore) -> None:
    """Nobody but the service's own user can read names and keys."""
    await store_upload(store, new_upload())
    modes = {stat.S_IMODE(found.stat().st_mode) & 0o077 for found in (path.parent, *path.parent.iterdir())}

    assert {0} == modes


def _fills_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1")
    connection.execute("CREATE TABLE kelp (frond)")


def _writes_into_what_may_be_read_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute("CREATE TABLE kelp (frond)")


def _speaks_nonsense(connection: sqlite3.Connection) -> None:
    connection.execute("HOLD FAST")


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [(_fills_up, NoSpace), (_writes_into_what_may_be_read_only, Unavailable), (_speaks_nonsense, Unavailable)],
    ids=["full", "read-only", "nonsense"],
)
def test_errors_are_translated(trouble: Callable[[sqlite3.Connection], None], expected: type[StorageError]) -> None:
    """No error of SQLite's own leaves the store."""
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(expected) as caught, sqlite_errors():
        trouble(connection)

    assert isinstance(caught.value.__cause__, sqlite3.Error)


async def test_a_damaged_file_is_corrupted(path: Path) -> None:
    """Pages that are no longer what they were are told from a store that does not answer."""
    store = SqliteMetadataStore(str(path))
    records = [new_upload(metadata="kelp" * 500) for _ in range(50)]
    await asyncio.gather(*(store_upload(store, record) for record in records))
    await store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xee" * (size - 4096))
    with pytest.raises(Corrupted):
        await _read_all(path, [record.ref for record in records])


async def _read_all(path: Path, refs: list[Ref]) -> None:
    store = SqliteMetadataStore(str(path))
    try:
        for ref in refs:
            await store.get(ref)
    finally:
        await store.close()


def _deleted(path: Path) -> None:
    for found in path.parent.iterdir():
        found.unlink()


def _replaced(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"")


async def _creates(store: SqliteMetadataStore, _known: UploadRecord) -> None:
    await store_upload(store, new_upload())


async def _replaces(store: SqliteMetadataStore, known: UploadRecord) -> None:
    await replace_upload(store, known, changed(known, offset=4))


async def _gets(store: SqliteMetadataStore, known: UploadRecord) -> None:
    await store.get(known.ref)


async def _looks_for_what_is_due(store: SqliteMetadataStore, _known: UploadRecord) -> None:
    await store.due(NOW, 10)


async def _pings(store: SqliteMetadataStore, _known: UploadRecord) -> None:
    await store.ping()


@pytest.mark.parametrize("trouble", [_deleted, _replaced], ids=["deleted", "replaced"])
@pytest.mark.parametrize("verb", [_creates, _replaces, _gets, _looks_for_what_is_due, _pings])
async def test_a_file_that_is_no_longer_there(
    path: Path,
    store: SqliteMetadataStore,
    trouble: Callable[[Path], None],
    verb: Callable[[SqliteMetadataStore, UploadRecord], Awaitable[None]],
) -> None:
    """Nothing is acknowledged, or read, in a file that was deleted or replaced: nobody else would ever see it."""
    known = new_upload()
    await store_upload(store, known)
    trouble(path)

    with pytest.raises(Unavailable):
        await verb(store, known)
    assert not path.exists() or not path.read_bytes()


async def test_a_file_that_is_put_back(path: Path, store: SqliteMetadataStore) -> None:
    """When the file is where it was, the store goes on with it."""
    known = new_upload()
    await store_upload(store, known)
    aside = path.rename(path.with_suffix(".old"))
    with pytest.raises(Unavailable):
        await store.get(known.ref)
    aside.rename(path)

    assert known == await store.get(known.ref)


async def test_no_room_keeps_what_was_acknowledged(path: Path, room: Room) -> None:
    """A record that finds no room is refused, and those before it are kept."""
    async with worker("create_until_full", path, room.limit, under=room.under) as writer:
        error, some, whole = (await writer.line()).split(" ")

    # SQLite tells a full disk from other trouble, but not a limit on the size of files.
    assert ("Unavailable" if room.limit else "NoSpace", "True", "True") == (error, some, whole)
