"""
How content becomes parts and pieces, and how many calls that takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.storage.errors import NoSpace, PreconditionFailed
from holdfast.storage.records import Receipt, UploadRecord
from holdfast.storage.s3.options import Checksum
from holdfast.storage.s3.parts.state import Sums
from holdfast.storage.s3.store import S3ByteStore
from tests.servers.fixtures import Bucket
from tests.storage.backends import content_of, new_upload
from tests.storage.s3.stores import PART, Course, appended, content, counted, in_blocks, names_in, opened, state_of, uploads_in

pytestmark = pytest.mark.timeout(60)

KiB = 1024
ALL = content(3 * PART + PART // 2)


@pytest.fixture
async def store(swift_place: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store with little memory in a real server."""
    async with opened(swift_place, memory=3 * PART) as store:
        yield store


async def published(store: S3ByteStore, record: UploadRecord) -> bytes:
    """Complete the upload and return its content, of which nothing else is left."""
    await store.complete(record)
    found = await content_of(store, record)

    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))
    assert 1 == len(await names_in(store.bucket, store.names.content_prefix(record.key)))
    assert [] == await names_in(store.bucket, store.names.tail_prefix(record.key))
    return found


async def test_calls_of_a_known_length(store: S3ByteStore) -> None:
    """Content that comes at once takes one call for each part, one to begin and one to complete."""
    calls = counted(store)
    record = await appended(store, new_upload(length=len(ALL)), ALL)
    sent = dict(calls)
    calls.clear()
    await store.complete(record)

    assert {"CreateMultipartUpload": 1, "UploadPart": 4} == sent
    assert {"CompleteMultipartUpload": 1} == calls
    assert ALL == await published(store, record)


async def test_calls_of_an_unknown_length(store: S3ByteStore) -> None:
    """The end of content that may go on is kept by one call, and becomes the last part without coming back."""
    calls = counted(store)
    record = await appended(store, new_upload(), ALL)
    sent = dict(calls)
    calls.clear()
    await store.complete(record)

    assert {"CreateMultipartUpload": 1, "UploadPart": 3, "PutObject": 1} == sent
    assert {"HeadObject": 1, "UploadPartCopy": 1, "CompleteMultipartUpload": 1, "DeleteObject": 1} == calls
    assert ALL == await published(store, record)


@pytest.mark.parametrize("size", [1, 1 * KiB, PART - 1, PART], ids=str)
async def test_calls_of_small_content(store: S3ByteStore, size: int) -> None:
    """What fits into one part and comes at once takes one call in all."""
    calls = counted(store)
    record = await appended(store, new_upload(length=size), ALL[:size])
    await store.complete(record)
    await store.complete(record)

    assert {"PutObject": 1} == calls
    assert ALL[:size] == await published(store, record)


async def test_no_calls_before_the_first_byte(store: S3ByteStore) -> None:
    """An append without a byte asks the server nothing, and changes nothing, however far the upload is."""
    record = await appended(store, new_upload(), ALL[: PART + 1])
    calls = counted(store)
    receipt = await store.append(record, in_blocks(b"", b""))

    assert (0, record.parts) == (receipt.received, receipt.parts)
    assert {} == calls


@pytest.mark.parametrize("announced", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("at", [1, PART - 1, PART, PART + 1, 2 * PART + PART // 2, len(ALL) - 1], ids=str)
async def test_cut_at_interesting_places(store: S3ByteStore, at: int, announced: bool) -> None:
    """Wherever an upload is interrupted, before or behind the edge of a part, it goes on there."""
    record = await appended(store, new_upload(length=len(ALL) if announced else None), ALL[:at])
    record = await appended(store, record, ALL[at:])

    assert ALL == await content_of(store, record)
    assert ALL == await published(store, record)


async def test_cut_again_and_again(store: S3ByteStore) -> None:
    """An upload that is interrupted all the time is whole, takes few pieces at any time, and leaves none behind."""
    step, end = 530 * KiB, 2 * PART + PART // 2
    record = new_upload()
    pieces = 0
    for at in range(0, end, step):
        record = await appended(store, record, ALL[at : min(at + step, end)])
        pieces = max(pieces, len(state_of(record).pieces))
        there = await names_in(store.bucket, store.names.tail_prefix(record.key))
        state = state_of(record)

        assert len(there) == len(state.pieces) + len(state.superseded)
    assert 8 == pieces
    assert ALL[:end] == await published(store, record)


async def test_calls_for_pieces(store: S3ByteStore) -> None:
    """Each interruption takes one call; the ninth piece puts all in one; a part takes them from where they are."""
    record = await appended(store, new_upload(), *[ALL[:1000]])
    calls = counted(store)
    for at in range(1000, 8000, 1000):
        record = await appended(store, record, ALL[at : at + 1000])
    each = dict(calls)
    calls.clear()
    record = await appended(store, record, ALL[8000:9000])
    merged = dict(calls)
    calls.clear()
    record = await appended(store, record, ALL[9000:PART])

    assert {"PutObject": 7} == each
    assert {"PutObject": 1, "GetObject": 8} == merged
    assert {"HeadObject": 1, "CreateMultipartUpload": 1, "UploadPart": 1, "GetObject": 1} == calls
    assert ALL[:PART] == await published(store, record)


async def test_checkpoints(store: S3ByteStore) -> None:
    """Each time that another row of whole parts is durable, it is told, one at a time, and can be gone on from."""
    at_once = 0

    class Slow(Course):
        async def checkpoint(self, receipt: Receipt) -> None:
            nonlocal at_once
            at_once += 1
            assert 1 == at_once
            await asyncio.sleep(0.02)
            await super().checkpoint(receipt)
            at_once -= 1

    course = Slow(new_upload())
    parts = (ALL[at : at + PART] for at in range(0, len(ALL), PART))
    receipt = await store.append(course.record, in_blocks(*parts, pause=0.3), course.checkpoint)
    offsets = [record.offset for record in course.told]

    assert len(ALL) == receipt.received
    assert offsets
    assert sorted(set(offsets)) == offsets
    assert {0} == {offset % PART for offset in offsets}
    last = course.told[-1]
    record = await appended(store, last, ALL[last.offset :])
    await store.complete(record)
    assert ALL == await content_of(store, record)


async def test_a_refused_checkpoint(store: S3ByteStore) -> None:
    """Where the facts are not taken, the append ends with that error, and nothing is in flight any more."""
    asked = 0

    async def refuse(_receipt: Receipt) -> None:
        nonlocal asked
        asked += 1
        raise PreconditionFailed("somebody else has it")

    calls = counted(store)
    record = new_upload(length=len(ALL))
    with pytest.raises(PreconditionFailed):
        await store.append(record, in_blocks(ALL[: 2 * PART], ALL[2 * PART :], pause=0.5), refuse)
    sent = dict(calls)
    await asyncio.sleep(0.2)

    assert 1 == asked
    assert sent == calls
    record = await appended(store, record, ALL)
    await store.complete(record)
    assert ALL == await content_of(store, record)
    await store.delete(record)
    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))


@pytest.mark.parametrize("memory", [0, PART, 100 * PART], ids=["spool", "little", "much"])
async def test_any_memory(swift_place: Bucket, memory: int) -> None:
    """With however little memory, several uploads at once are whole."""
    async with opened(swift_place, memory=memory) as store:
        records = await asyncio.gather(*(appended(store, new_upload(length=len(ALL)), ALL) for _ in range(3)))
        for record in records:
            assert ALL == await published(store, record)
        store.buffers.in_memory(memory, 0)  # all of it was given back


@pytest.mark.parametrize("checksum", Checksum)
async def test_checksums(moto_place: Bucket, checksum: Checksum) -> None:
    """What is summed is known to a server that keeps sums; what is not is whole all the same."""
    async with opened(moto_place, checksum=checksum) as store:
        record = await appended(store, new_upload(), ALL[: PART + 1])
        record = await appended(store, record, ALL[PART + 1 :])
        state = state_of(record)
        content = await published(store, record)
        found = await store.bucket.head(store.names.of(record.key, state.name))

    assert ALL == content
    assert (checksum is Checksum.CRC32) == (state.sums is Sums.WHOLE) == (state.crc is not None)
    assert found is not None
    assert state.crc is None or found.crc == state.crc


async def test_more_than_was_announced(store: S3ByteStore) -> None:
    """What comes beyond the length is left out."""
    record = await appended(store, new_upload(length=PART + 7), ALL)

    assert PART + 7 == record.offset
    assert ALL[: PART + 7] == await published(store, record)


async def test_too_many_parts(swift_place: Bucket) -> None:
    """When all parts are used up there is no room; what came before is kept."""
    async with opened(swift_place, max_parts=2, equal_parts=True) as store:
        record = new_upload()
        with pytest.raises(NoSpace) as caught:
            await store.append(record, in_blocks(ALL))
        receipt = caught.value.receipt
        with pytest.raises(NoSpace):
            await store.append(new_upload(length=10**18), in_blocks(ALL))

    assert receipt is not None
    assert 2 * PART == receipt.received


async def test_pieces_that_were_never_recorded(store: S3ByteStore) -> None:
    """What an append left whose receipt was lost goes with its upload."""
    record = new_upload()
    await appended(store, record, b"kelp")
    prefix = store.names.tail_prefix(record.key)
    before = await names_in(store.bucket, prefix)
    await store.delete(record)

    assert (1, []) == (len(before), await names_in(store.bucket, prefix))
