"""
What is in a bucket besides whole objects: multipart uploads, their parts, and what was sealed or moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.ports.inventory import Stored
from holdfast.storage.records import State, UploadRecord
from holdfast.storage.s3.inventory import S3Inventory
from holdfast.storage.s3.store import S3ByteStore
from tests.servers.fixtures import Bucket
from tests.storage.backends import changed, content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, opened, raw, state_of

pytestmark = pytest.mark.timeout(60)

ALL = content(PART + 1000)


@pytest.fixture
async def store(swift_place: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store in a real server."""
    async with opened(swift_place) as store:
        yield store


async def unneeded(store: S3ByteStore, *records: UploadRecord) -> list[Stored]:
    """Return what none of *records* needs."""
    inventory = S3Inventory(store)
    needed = frozenset().union(*(inventory.needed(record) for record in records))
    return [stored async for stored in inventory.stored() if stored.name not in needed]


async def test_an_open_upload(store: S3ByteStore) -> None:
    """A multipart upload and a piece are needed while the upload is open; both are there, and have a time."""
    record = await appended(store, new_upload(), ALL)
    await S3Inventory(store).examine(record)
    stored = [each async for each in S3Inventory(store).stored()]

    assert [] == await unneeded(store, record)
    assert {(record.key, None), (record.key, 1000)} == {(each.key, each.size) for each in stored}
    assert all(each.changed_at > 1.7e9 for each in stored)


async def test_a_sealed_upload(store: S3ByteStore) -> None:
    """Parts that were completed to be read are there, and so is what they were before an append moved them."""
    record = await appended(store, new_upload(), ALL)
    await content_of(store, record, 0, 10)
    await S3Inventory(store).examine(record)
    sealed = await unneeded(store, record)
    record = await appended(store, record, ALL)
    await S3Inventory(store).examine(record)

    assert [] == sealed
    assert [] == await unneeded(store, record)


@pytest.mark.parametrize("state", [State.RECEIVED, State.COMPLETE])
async def test_published(store: S3ByteStore, state: State) -> None:
    """A published upload is there, whether its record knows it already or not."""
    record = await appended(store, new_upload(), ALL)
    await store.complete(record)
    record = changed(record, state=state)
    await S3Inventory(store).examine(record)

    assert [] == await unneeded(store, record)


async def test_what_was_left_behind(store: S3ByteStore) -> None:
    """Parts and pieces of appends that were never recorded are found, and can be removed without harm."""
    record = await appended(store, new_upload(), ALL)
    await appended(store, new_upload(key=record.key), ALL)
    found = await unneeded(store, record)
    for each in found:
        await S3Inventory(store).remove(each)
        await S3Inventory(store).remove(each)

    assert 2 == len(found)
    assert [] == await unneeded(store, record)
    await store.complete(record)
    assert ALL == await content_of(store, record)


async def test_an_aborted_upload(store: S3ByteStore) -> None:
    """A multipart upload that somebody aborted is missing."""
    record = await appended(store, new_upload(), ALL)
    state = state_of(record)
    await store.bucket.abort(store.names.of(record.key, state.name), state.upload)

    with pytest.raises(NotFound):
        await S3Inventory(store).examine(record)


async def test_another_part(store: S3ByteStore, swift_place: Bucket) -> None:
    """A part that is not the recorded one is noticed."""
    record = await appended(store, new_upload(), ALL)
    state = state_of(record)
    name = store.names.of(record.key, state.name)
    with raw(swift_place) as client:
        client.upload_part(Bucket=swift_place.name, Key=name, UploadId=state.upload, PartNumber=1, Body=b"x" * PART)

    with pytest.raises(Corrupted, match="part 1"):
        await S3Inventory(store).examine(record)


async def test_a_missing_piece(store: S3ByteStore) -> None:
    """A piece that is not there is missing, and an object that is too short is noticed."""
    record = await appended(store, new_upload(), ALL)
    await store.bucket.remove(store.names.of(record.key, state_of(record).pieces[0].name))

    with pytest.raises(NotFound):
        await S3Inventory(store).examine(record)
    with pytest.raises(NotFound):
        await S3Inventory(store).examine(changed(record, state=State.COMPLETE))
