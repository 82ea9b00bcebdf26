"""
What a byte store says of content that somebody else took a part of: how much can be gone on from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.storage import keys
from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NotFound, Unavailable
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.records import UploadRecord
from tests.storage.backends import content_of, new_upload
from tests.storage.s3.stores import in_blocks, on

KELP = b"holdfast grips the rock"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalByteStore]:
    """Return a local store."""
    store = LocalByteStore(str(tmp_path / "data"), Durability.NONE, threads=2)
    yield store
    await store.close()


def path_of(store: LocalByteStore, record: UploadRecord, folder: str = "uploads") -> Path:
    """Return where the content of an upload is."""
    name = f"{record.key}.{record.generation}" if record.generation else record.key
    return Path(store.root, folder, keys.shard(record.key), name)


async def half(store: LocalByteStore) -> UploadRecord:
    """Return an upload with some of its bytes."""
    record = new_upload(length=len(KELP))
    return on(record, await store.append(record, in_blocks(KELP[:8])))


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9])
async def test_a_file_that_was_cut(store: LocalByteStore, left: int) -> None:
    """What is left of a file is gone on from; what is beyond the offset is nobody's."""
    record = await half(store)
    os.truncate(path_of(store, record), left)

    assert Remains(offset=min(left, 8), parts=record.parts) == await store.salvage(record)

    record = replace(record, offset=min(left, 8))
    record = on(record, await store.append(record, in_blocks(KELP[record.offset :])))
    await store.complete(record)
    assert KELP == await content_of(store, record)


async def test_a_file_that_is_missing(store: LocalByteStore) -> None:
    """Of a file that is not there nothing is left."""
    record = await half(store)
    path_of(store, record).unlink()

    assert 0 == (await store.salvage(record)).offset


async def test_the_newest_generation_counts(store: LocalByteStore) -> None:
    """Where the generation of the record has no file yet, its bytes are in the one before."""
    record = await half(store)

    assert 8 == (await store.salvage(replace(record, generation=2))).offset


async def test_a_file_system_that_is_not_mounted(store: LocalByteStore) -> None:
    """An empty mount point has lost nothing: the trouble passes when it is mounted again."""
    record = await half(store)
    os.rename(path_of(store, record).parent.parent, Path(store.root, "elsewhere"))
    with pytest.raises(Unavailable):
        await store.salvage(record)
    with pytest.raises(Unavailable):
        await content_of(store, record)
    with pytest.raises(Unavailable):
        await store.append(record, in_blocks(KELP[8:]))


async def test_published_content_that_was_cut(store: LocalByteStore) -> None:
    """A published file that is too short is not opened; one that is missing is not found."""
    record = new_upload(length=len(KELP))
    record = on(record, await store.append(record, in_blocks(KELP)))
    await store.complete(record)
    os.truncate(path_of(store, record, "attachments"), 3)
    with pytest.raises(Corrupted):
        async with store.file(record):
            pass
    shutil.rmtree(path_of(store, record, "attachments").parent)
    with pytest.raises(NotFound):
        async with store.file(record):
            pass
