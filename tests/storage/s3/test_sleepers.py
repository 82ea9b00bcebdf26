"""
Whoever was passed over, and wakes up in the middle of a call, with other bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from holdfast.storage.errors import StorageError
from holdfast.storage.s3.store import S3ByteStore
from tests.servers.faulty_proxy import FaultyProxy, held
from tests.servers.fixtures import Bucket
from tests.storage.backends import claimed, content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, in_blocks, opened

pytestmark = pytest.mark.timeout(60)

ALL = content(3 * PART + 1000)
OTHER = content(3 * PART + 1000, seed=2)


@pytest.fixture
async def store(behind: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store behind the proxy."""
    async with opened(behind, timeout=30, patience=8) as store:
        yield store


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("begins", [0, PART, PART + 1000], ids=str)
async def test_a_sleeper_in_the_middle_of_a_part(store: S3ByteStore, proxy: FaultyProxy, begins: int, when: str) -> None:
    """Who was passed over in the middle of a part, and wakes up with other bytes, reaches nothing."""
    record = new_upload(length=len(ALL))
    if begins:
        record = await appended(store, record, ALL[:begins])
    fault = proxy.add("UploadPart", held(), part=begins // PART + 1)
    sleeper = asyncio.create_task(store.append(record, in_blocks(OTHER[begins:])))
    await fault.met.wait()
    mine = await appended(store, claimed(record), ALL[begins:])
    if when == "after":
        await store.complete(mine)
    assert fault.until is not None
    fault.until.set()
    await asyncio.wait([sleeper])
    await store.complete(mine)

    assert ALL == await content_of(store, mine)
    with suppress(StorageError):
        await store.append(record, in_blocks(OTHER[begins:]))
    assert ALL == await content_of(store, mine)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_sleeper_while_the_newcomer_only_completes(store: S3ByteStore, proxy: FaultyProxy, when: str) -> None:
    """A newcomer that finds all bytes there publishes them, whatever a sleeper sends in the place of the last part."""
    record = await appended(store, new_upload(), ALL[: PART + 1000])
    fault = proxy.add("UploadPart", held(), part=2)
    sleeper = asyncio.create_task(store.append(record, in_blocks(OTHER[PART + 1000 :])))
    await fault.met.wait()
    mine = claimed(record)
    if when == "after":
        await store.complete(mine)
    assert fault.until is not None
    fault.until.set()
    await asyncio.wait([sleeper])
    await store.complete(mine)

    assert ALL[: PART + 1000] == await content_of(store, mine)


async def test_a_sleeper_with_all_of_it(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """A small upload whose first holder wakes up afterwards is the newcomer's."""
    record = new_upload(length=8)
    fault = proxy.add("PutObject", held())
    sleeper = asyncio.create_task(appended(store, record, b"SLEEPERS"))
    await fault.met.wait()
    mine = await appended(store, claimed(record), b"holdfast")
    await store.complete(mine)
    assert fault.until is not None
    fault.until.set()
    await sleeper

    assert b"holdfast" == await content_of(store, mine)
