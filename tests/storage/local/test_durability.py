"""
What the local byte store has on the disk, and when.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.records import Key, Receipt
from tests.storage.backends import appended, blocks, claimed, new_upload


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


@pytest.mark.parametrize("durability", Durability)
async def test_content_is_synced_before_it_is_acknowledged(
    tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a checkpoint tells, and what an append returns, was on the disk before that, where that was promised."""
    lengths = watched_content(monkeypatch)
    acknowledged: list[tuple[int, int]] = []

    async def checkpoint(receipt: Receipt) -> None:
        acknowledged.append((receipt.received, max(lengths, default=0)))

    async with closing_store(LocalByteStore(str(tmp_path), durability, unrecorded=1)) as store:
        receipt = await store.append(new_upload(), blocks(b"hold", b"", b"fast"), checkpoint)
        acknowledged.append((receipt.received, max(lengths, default=0)))

    promised = durability is Durability.ACKNOWLEDGED
    assert [(4, 4 if promised else 0), (8, 8 if promised else 0)] == acknowledged


async def test_a_name_is_synced_without_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append to which nothing came has made a file, and its name is on the disk."""
    synced = watched(monkeypatch)
    async with closing_store(LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)) as store:
        record = await appended(store, new_upload(length=8))
        folder = (tmp_path / store.open_names(record)[0]).parent

    assert 0 == record.offset
    assert {path.stat().st_ino for path in (folder, tmp_path / "uploads")} <= set(synced)


async def test_a_copy_is_synced_before_what_it_was_made_of_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of an upload that passed its holder over are on the disk before the file of the earlier generation is removed."""
    removed_early: list[str] = []
    unlink = os.unlink

    async with closing_store(LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)) as store:
        record = await appended(store, new_upload(length=8), b"hold")
        claim = claimed(record)
        newer, older = (tmp_path / name for name in store.open_names(claim))
        synced = watched(monkeypatch)

        def remove(path: str) -> None:
            if Path(path) == older and newer.stat().st_ino not in synced:
                removed_early.append(path)
            unlink(path)

        monkeypatch.setattr(os, "unlink", remove)
        await appended(store, claim)

    assert not older.exists()
    assert [] == removed_early


@pytest.mark.parametrize("durability", Durability)
async def test_published_names_are_synced(tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a complete upload the content, its name and that of a new folder are on the disk, where that was promised."""
    synced = watched(monkeypatch)
    async with closing_store(LocalByteStore(str(tmp_path), durability)) as store:
        record = await appended(store, new_upload(length=4), b"kelp")
        synced.clear()
        await store.complete(record)
        published = tmp_path / store.published_name(record)

    inodes = {path.stat().st_ino for path in (published, published.parent, tmp_path / "attachments")}
    assert (set() if durability is Durability.NONE else inodes) == inodes & set(synced)


def watched_content(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what will have the length of every file whose content is synced."""
    lengths: list[int] = []
    sync = os.fdatasync

    def watch(descriptor: int) -> None:
        sync(descriptor)
        lengths.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", watch)
    return lengths


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
