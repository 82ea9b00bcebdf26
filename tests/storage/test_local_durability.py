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
from tests.storage.backends import appended, new_upload


@pytest.mark.parametrize("before", [Durability.NONE, Durability.COMPLETE])
async def test_durability_that_was_raised(tmp_path: Path, before: Durability, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended under a smaller promise is on the disk when the larger one completes it."""
    synced: list[int] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    async with closing_store(LocalByteStore(str(tmp_path), before)) as store:
        record = await appended(store, new_upload(length=4), b"kelp")
    monkeypatch.setattr(os, "fsync", watched)
    async with closing_store(LocalByteStore(str(tmp_path), Durability.ACKNOWLEDGED)) as store:
        await store.complete(record)
        async with store.file(record) as descriptor:
            assert descriptor is not None
            assert os.fstat(descriptor).st_ino in synced


@asynccontextmanager
async def closing_store(store: LocalByteStore) -> AsyncIterator[LocalByteStore]:
    """Have a store for a while."""
    try:
        yield store
    finally:
        await store.close()
