"""
What is left of an upload in a bucket, when a part of it was deleted or aborted from outside; and that it goes on from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from holdfast.storage.errors import Corrupted
from holdfast.storage.records import UploadRecord
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.buffers import Portion
from tests.servers.fixtures import Bucket
from tests.storage.backends import content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, opened, state_of

pytestmark = pytest.mark.timeout(60)

ALL = content(3 * PART + 1000)
HERE = 2 * PART + 500


@pytest.fixture
async def store(swift_place: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store on a real server."""
    async with opened(swift_place) as store:
        yield store


async def begun(store: S3ByteStore, *ends: int) -> UploadRecord:
    """Return an upload that came in appends with these ends."""
    record, start = new_upload(length=len(ALL)), 0
    for end in ends:
        record, start = await appended(store, record, ALL[start:end]), end
    return record


async def abort(store: S3ByteStore, record: UploadRecord) -> None:
    """Abort the multipart upload, as a rule of a bucket does."""
    state = state_of(record)
    await store.bucket.abort(store.names.of(record.key, state.name), state.upload)


async def remove(store: S3ByteStore, record: UploadRecord, piece: int) -> None:
    """Delete a piece of the tail."""
    await store.bucket.remove(store.names.of(record.key, state_of(record).pieces[piece].name))


async def finished(store: S3ByteStore, record: UploadRecord) -> bytes:
    """Return the content after what is left was gone on from."""
    left = await store.salvage(record)
    record = replace(record, offset=left.offset, parts=left.parts)
    record = await appended(store, record, ALL[left.offset :])
    await store.complete(record)
    return await content_of(store, record)


async def test_all_is_there(store: S3ByteStore) -> None:
    """Of an upload that nobody touched everything is left."""
    record = await begun(store, HERE)
    left = await store.salvage(record)

    assert HERE == left.offset
    assert ALL == await finished(store, record)


async def test_the_multipart_upload_was_aborted(store: S3ByteStore) -> None:
    """Without its parts nothing is left; the upload begins again."""
    record = await begun(store, HERE)
    await abort(store, record)
    with pytest.raises(Corrupted):
        await store.append(record, _nothing_but(ALL[HERE:]))

    assert 0 == (await store.salvage(record)).offset
    assert ALL == await finished(store, record)


async def test_a_part_with_other_bytes(store: S3ByteStore) -> None:
    """What comes in front of a part that somebody replaced is left."""
    record = await begun(store, 2 * PART)
    state = state_of(record)
    portion = Portion(lambda: ALL[:PART])
    await store.bucket.send(store.names.of(record.key, state.name), state.upload, 2, portion)

    assert PART == (await store.salvage(record)).offset
    assert ALL == await finished(store, record)


async def test_a_piece_of_the_tail_is_missing(store: S3ByteStore) -> None:
    """What comes in front of it is left."""
    record = await begun(store, PART + 500, PART + 800)
    await remove(store, record, 1)

    assert PART + 500 == (await store.salvage(record)).offset

    await remove(store, record, 0)

    assert PART == (await store.salvage(record)).offset
    assert ALL == await finished(store, record)


async def test_a_piece_with_other_bytes(store: S3ByteStore) -> None:
    """A piece that is not what was stored is none."""
    record = await begun(store, 500)
    name = store.names.of(record.key, state_of(record).pieces[0].name)
    other = await appended(store, new_upload(length=len(ALL)), ALL[500:1000])
    await store.bucket.copy(store.names.of(other.key, state_of(other).pieces[0].name), name)

    assert 0 == (await store.salvage(record)).offset
    assert ALL == await finished(store, record)


async def test_the_object_is_gone(store: S3ByteStore) -> None:
    """Of small content that is an object already nothing is left when that was deleted."""
    small = ALL[:500]
    record = await appended(store, new_upload(length=len(small)), small)
    await store.bucket.remove(store.names.of(record.key, state_of(record).name))
    left = await store.salvage(record)
    again = await appended(store, replace(record, offset=left.offset, parts=left.parts), small)
    await store.complete(again)

    assert 0 == left.offset
    assert small == await content_of(store, again)


async def test_parts_that_were_sealed(store: S3ByteStore) -> None:
    """Parts that became an object, because somebody read them, are all there."""
    record = await begun(store, 2 * PART)
    record = replace(record, parts=store.exposed(record))
    assert ALL[: 2 * PART] == await content_of(store, record)

    assert 2 * PART == (await store.salvage(record)).offset
    assert ALL == await finished(store, record)


async def _nothing_but(data: bytes) -> AsyncIterator[memoryview]:
    yield memoryview(data)
