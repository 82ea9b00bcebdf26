"""
The room that is kept for deletions: how much of it there is, who may use it, and when it is made again.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import NoSpace, Unavailable
from holdfast.storage.probe import Probe
from holdfast.storage.records import State
from holdfast.storage.reserve import LEFT, PART, PIECE, Reserve
from holdfast.storage.sqlite.commits import SqliteCommit
from holdfast.storage.sqlite.database import Database
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.storage.backends import changed, claimed, new_upload, replace_upload, store_upload

MiB = 1024 * 1024
SCHEMA = ("CREATE TABLE fronds (name TEXT PRIMARY KEY) WITHOUT ROWID;",)


def held(path: Path) -> int:
    """Return how much room a file takes."""
    return path.stat().st_blocks * 512


def small(monkeypatch: pytest.MonkeyPatch, size: int, free: int) -> None:
    """Have every disk be of *size* bytes, of which *free* are."""
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_blocks=size, f_bavail=free, f_frsize=1))


def test_a_reserve_takes_room(tmp_path: Path) -> None:
    """It is a file with blocks of its own, given back piece by piece, and made again."""
    path = tmp_path / "reserve"
    reserve = Reserve(str(path), MiB)
    reserve.keep()
    sizes = [held(path)]
    while reserve.give_back():
        sizes.append(held(path))
    was_short = reserve.is_short
    reserve.keep()

    assert [*range(MiB, -1, -PIECE)] == sizes
    assert (True, False, MiB) == (was_short, reserve.is_short, held(path))


@pytest.mark.parametrize(
    ("size", "free", "expected"),
    [(1 << 40, 1 << 39, MiB), (PART * 64 * 1024, 1 << 39, 64 * 1024), (1 << 40, LEFT + PIECE, PIECE)],
)
def test_a_reserve_is_modest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, free: int, expected: int) -> None:
    """Of a small disk it takes a part, and of little room what others leave."""
    small(monkeypatch, size, free)
    reserve = Reserve(str(tmp_path / "reserve"), MiB)
    reserve.keep()

    assert expected == held(tmp_path / "reserve")
    assert (expected == PIECE) is reserve.is_short


@pytest.mark.parametrize("free", [0, LEFT])
def test_no_room_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """On a full disk there is nothing to keep, and nothing to give back."""
    small(monkeypatch, 1 << 40, free)
    reserve = Reserve(str(tmp_path / "reserve"), MiB)
    reserve.keep()

    assert (True, False) == (reserve.is_short, reserve.give_back())


@pytest.mark.parametrize("frees", [False, True])
async def test_only_what_frees_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frees: bool) -> None:
    """A commit that finds no room is made again when some of the reserve was given back, if it makes room itself."""
    path = tmp_path / "kelp.sqlite"
    reserve = tmp_path / "kelp.sqlite.reserve"
    database = Database(str(path), SCHEMA, "FULL", reserve=MiB)
    small(monkeypatch, 1 << 40, 0)  # it is not made again meanwhile

    def make(connection: sqlite3.Connection) -> None:
        if held(reserve) > MiB - 2 * PIECE:
            raise NoSpace("full")
        connection.execute("INSERT INTO fronds VALUES ('kelp')")

    outcome: object = "made"
    try:
        await database.commit(SqliteCommit(make=make, frees=frees))
    except NoSpace:
        outcome = "refused"
    left = held(reserve)
    await database.close()

    assert ("made", MiB - 2 * PIECE) == (outcome, left) if frees else ("refused", MiB) == (outcome, left)


ENDS = [
    ({"state": State.CANCELLED}, True),
    ({"state": State.EXPIRED}, True),
    ({"state": State.PURGED}, True),
    ({"state": State.RECEIVED}, False),
    ({"offset": 4}, False),
]


@pytest.mark.parametrize(("facts", "expected"), ENDS, ids=str)
async def test_what_frees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, object], expected: bool) -> None:
    """The end of an upload may use the reserve, and the fence before it; a creation and an offset may not."""
    store = SqliteMetadataStore(str(tmp_path / "kelp.sqlite"), Durability.NONE)
    found: list[bool] = []
    commit = Database.commit

    async def watch(database: Database, made: SqliteCommit) -> None:
        found.append(made.frees)
        await commit(database, made)

    monkeypatch.setattr(Database, "commit", watch)
    record = new_upload()
    await store_upload(store, record)
    fenced = claimed(record)
    await replace_upload(store, record, fenced)
    await replace_upload(store, fenced, changed(fenced, **facts))
    await store.close()

    assert [False, True, expected] == found[:3]


async def test_a_probe_is_bounded() -> None:
    """However often somebody asks, one write that went well is believed for a while, until something is seen to fail."""
    made: list[str] = []
    trouble: list[Exception] = []

    async def write() -> None:
        made.append("write")
        if trouble:
            raise trouble.pop()

    probe = Probe(write)
    for _ in range(100):
        await probe.make()
    first = len(made)
    probe.doubt()
    trouble.append(Unavailable("no"))
    with pytest.raises(Unavailable):
        await probe.make()
    for _ in range(100):
        await probe.make()

    assert (1, 3) == (first, len(made))
