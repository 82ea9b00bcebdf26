"""
What the local byte store has on the disk, and when.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.local import Durability, LocalByteStore
from storage.records import Key
from tests.storage.backends import appended, claimed, new_upload


@pytest.mark.parametrize("before", [Durability.NONE, Durability.COMPLETE])
async def test_durability_that_was_raised(tmp_path: Path, before: Durability, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended under a smaller promise is on the disk when the larger one completes it."""
    async with closing_store(LocalByteStore(str(tmp_path), before)) as store:
        record = await appended(store, new_upload(length=4), b"kelp")
    synced = watched(monkeypatch)
    async with closing_store(LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)) as store:
        await store.complete(record)
        async with store.file(record) as descriptor:
            assert descriptor is not None
            assert os.fstat(descriptor).st_ino in synced


@pytest.mark.parametrize("durability", Durability)
async def test_names_are_synced_with_the_first_bytes(
    tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its first acknowledged bytes the name of an upload is on the disk, and that of its folder, where that was promised."""
    async with closing_store(LocalByteStore(str(tmp_path), durability)) as store:
        uploads = [new_upload(length=8), new_upload(length=8, generation=1)]
        synced = watched(monkeypatch)
        begun = [await appended(store, record, b"kelp") for record in uploads]
        folders = [(tmp_path / store.open_names(record)[0]).parent for record in uploads]
        inodes = {path.stat().st_ino for path in (*folders, tmp_path / "uploads")}
        found = inodes & set(synced)
        synced.clear()
        await appended(store, begun[0], b"kelp")

    assert (inodes if durability is Durability.ACKNOWLEDGED else set()) == found
    assert [] == synced


@pytest.mark.parametrize("verb", ["append", "complete"])
async def test_a_folder_that_was_there_is_synced_once(tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made a folder may have been killed before it synced the name: each process does so itself, once."""
    folder = {"append": "uploads", "complete": "attachments"}[verb]
    records = [new_upload(key=Key(f"ab{number:08}"), length=4) for number in range(3)]
    (tmp_path / folder / "ab").mkdir(parents=True)
    synced = watched(monkeypatch)
    found = []
    async with closing_store(LocalByteStore(str(tmp_path))) as store:
        for record in records:
            begun = record if verb == "append" else await appended(store, record, b"kelp")
            synced.clear()
            await (appended(store, begun, b"kelp") if verb == "append" else store.complete(begun))
            found.append([path for path in (tmp_path / folder, tmp_path / folder / "ab") if path.stat().st_ino in synced])

    assert [[tmp_path / folder, tmp_path / folder / "ab"], *2 * [[tmp_path / folder / "ab"]]] == found


async def test_a_generation_that_was_there_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who began a generation may have been killed before its name was on the disk: it is, before its bytes are acknowledged."""
    async with closing_store(LocalByteStore(str(tmp_path), Durability.NONE)) as store:
        record = claimed(await appended(store, new_upload(length=12), b"kelp"))
        record = await appended(store, record, b"kelp")
    synced = watched(monkeypatch)
    async with closing_store(LocalByteStore(str(tmp_path))) as store:
        synced.clear()
        await appended(store, record, b"kelp")
        folder = (tmp_path / store.open_names(record)[0]).parent

    assert folder.stat().st_ino in synced


@pytest.mark.parametrize("durability", Durability)
async def test_the_root_is_synced(tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the data directory is on the disk when a store has opened it, and so are those of its folders."""
    synced = watched(monkeypatch)
    async with closing_store(LocalByteStore(str(tmp_path / "srv" / "data"), durability)):
        folders = [tmp_path, tmp_path / "srv", tmp_path / "srv" / "data"]
        found = {path.stat().st_ino for path in folders} & set(synced)

    assert len(found) == (0 if durability is Durability.NONE else 3)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what will have the inode of everything that is synced with its names."""
    synced: list[int] = []
    sync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    return synced


@asynccontextmanager
async def closing_store(store: LocalByteStore) -> AsyncIterator[LocalByteStore]:
    """Have a store for a while."""
    try:
        yield store
    finally:
        await store.close()
