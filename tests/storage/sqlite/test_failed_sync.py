"""
After a sync that failed the system forgets what it did not write, and the next sync succeeds: that proves nothing.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NoSpace, Unavailable
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.sqlite.commits import SqliteCommit
from holdfast.storage.sqlite.database import Database
from tests.storage.backends import appended, changed, content_of, new_upload

SCHEMA = ("CREATE TABLE fronds (name TEXT PRIMARY KEY) WITHOUT ROWID;",)


class Disk:
    """
    What files have on the disk: a sync that fails loses what was written since the one before, and the next one does not say so.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trouble: list[int] = []
        """The errors of the next syncs of files."""
        self.folder_trouble: list[int] = []
        self.synced: list[str] = []
        self._fsync = os.fsync
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._sync)

    def _sync(self, descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        trouble = self.folder_trouble if os.path.isdir(name) else self.trouble
        if trouble:
            number = trouble.pop()
            raise OSError(number, os.strerror(number))
        self.synced.append(name)
        self._fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a disk that may fail."""
    return Disk(monkeypatch)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
async def test_what_was_never_synced_is_lost(tmp_path: Path, disk: Disk, number: int) -> None:
    """Where content is synced when it is complete, and that fails, it is received again, and never called complete."""
    store = LocalByteStore(str(tmp_path), Durability.COMPLETE)
    record = await appended(store, new_upload(length=8), b"holdfast")
    disk.trouble.append(number)
    with pytest.raises(Corrupted):
        await store.complete(record)
    with pytest.raises(Corrupted):
        await store.complete(record)  # the disk says that all is well; another process may ask as well
    remains = await store.salvage(record)
    again = await appended(store, changed(record, offset=remains.offset, parts=remains.parts), b"holdfast")
    await store.complete(again)

    assert 0 == remains.offset
    assert b"holdfast" == await content_of(store, again)
    await store.close()


async def test_what_was_acknowledged_stays(tmp_path: Path, disk: Disk) -> None:
    """Bytes that a sync had confirmed are not given up because a later one fails, and can be published then."""
    store = LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)
    record = await appended(store, new_upload(length=8), b"holdfast")
    disk.trouble.append(errno.EIO)
    with pytest.raises(Unavailable):
        await store.complete(record)
    await store.complete(record)

    assert b"holdfast" == await content_of(store, record)
    await store.close()


@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, Unavailable), (errno.ENOSPC, NoSpace)])
async def test_what_was_not_acknowledged_is_written_again(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    """An append whose sync failed acknowledges nothing; the next one writes the same bytes again before it syncs."""
    store = LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)
    record = await appended(store, new_upload(length=8), b"hold")
    disk.trouble.append(number)
    with pytest.raises(expected):
        await appended(store, record, b"fast")
    written: list[tuple[bytes, int]] = []
    write = os.pwrite

    def watch(descriptor: int, block: memoryview, offset: int) -> int:
        written.append((bytes(block), offset))
        return write(descriptor, block, offset)

    monkeypatch.setattr(os, "pwrite", watch)
    await appended(store, record, b"fast")
    await store.close()

    assert [(b"fast", 4)] == written


async def test_a_name_is_written_again(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose sync failed is changed before it is synced again, so that what it has is written."""
    store = LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)
    record = new_upload(length=8)
    folder = tmp_path / "uploads" / record.key[:2]
    disk.folder_trouble.append(errno.EIO)
    with pytest.raises(Unavailable):
        await appended(store, record, b"hold")
    before = folder.stat().st_mtime_ns
    await appended(store, record, b"hold")
    after = folder.stat().st_mtime_ns
    await appended(store, new_upload(key=type(record.key)(record.key[:2] + "00000000")), b"hold")
    await store.close()

    assert before < after
    assert {record.key, record.key[:2] + "00000000"} == {path.name for path in folder.iterdir()}


def grows(connection: sqlite3.Connection) -> None:
    """Add a row."""
    connection.execute("INSERT INTO fronds VALUES ('bull')")


def fails_once(code: int) -> Callable[[sqlite3.Connection], None]:
    """Return statements that fail the first time as a sync in the middle of them would."""
    trouble = [sqlite3.OperationalError("disk I/O error")]
    trouble[0].sqlite_errorcode = code

    def make(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO fronds VALUES ('kelp')")
        if trouble:
            raise trouble.pop()

    return make


@pytest.mark.parametrize(
    ("code", "expected"), [(sqlite3.SQLITE_IOERR_FSYNC, True), (sqlite3.SQLITE_IOERR_READ, False)], ids=["sync", "read"]
)
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
async def test_a_log_is_written_again(tmp_path: Path, disk: Disk, code: int, expected: bool, synchronous: str) -> None:
    """After a sync of SQLite's log failed, all of the log is written and synced again before the next commit is made."""
    path = tmp_path / "kelp.sqlite"
    database = Database(str(path), SCHEMA, synchronous)
    await database.commit(SqliteCommit(make=grows))
    await database.commit(SqliteCommit(make=fails_once(code)))
    rows = await database.call(lambda connection: connection.execute("SELECT count(*) FROM fronds").fetchone()[0])
    await database.close()

    assert 2 == rows
    assert expected is (f"{path}-wal" in disk.synced)


async def test_nothing_is_believed_before_the_log_is_written_again(tmp_path: Path, disk: Disk) -> None:
    """As long as that fails, commits are refused; then they are made again."""
    path = tmp_path / "kelp.sqlite"
    database = Database(str(path), SCHEMA, "NORMAL")
    disk.trouble += [errno.EIO, errno.EIO]
    with pytest.raises(Unavailable):
        await database.commit(SqliteCommit(make=fails_once(sqlite3.SQLITE_IOERR_FSYNC)))
    with pytest.raises(Unavailable):
        await database.commit(SqliteCommit(make=lambda connection: None, synced=True))
    await database.commit(SqliteCommit(make=lambda connection: None, synced=True))
    await database.close()

    assert [f"{path}-wal"] == disk.synced
