"""
How parts become an object, once or again, before their time, and when the record or the bucket is not as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.records import State, UploadRecord
from holdfast.storage.s3.errors import MultipartGone
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.buffers import Portion
from tests.servers.fixtures import Bucket
from tests.storage.backends import changed, claimed, content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, counted, names_in, opened, raw, state_of, uploads_in

pytestmark = pytest.mark.timeout(60)

ALL = content(2 * PART + 3000)
OTHER = content(2 * PART + 3000, seed=2)


@pytest.fixture
async def store(swift_place: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store in a real server."""
    async with opened(swift_place) as store:
        yield store


async def come(store: S3ByteStore, course: str) -> tuple[UploadRecord, bytes]:
    """Return an upload whose content came as *course* says, and its content."""
    match course:
        case "object":
            return await appended(store, new_upload(length=3000), ALL[:3000]), ALL[:3000]
        case "parts":
            return await appended(store, new_upload(), ALL[: 2 * PART]), ALL[: 2 * PART]
        case "known":
            return await appended(store, new_upload(length=len(ALL)), ALL), ALL
        case "parts-piece":
            return await appended(store, new_upload(), ALL), ALL
        case "parts-pieces":
            record = await appended(store, new_upload(), ALL[: 2 * PART + 1000])
            return await appended(store, record, ALL[2 * PART + 1000 :]), ALL
        case "piece":
            return await appended(store, new_upload(), ALL[:3000]), ALL[:3000]
        case _:
            record = await appended(store, new_upload(), ALL[:1000])
            return await appended(store, record, ALL[1000:3000]), ALL[:3000]


EVERY = ("object", "parts", "known", "parts-piece", "parts-pieces", "piece", "pieces")
WITH_PARTS = ("parts", "known", "parts-piece", "parts-pieces")


@pytest.mark.parametrize("course", EVERY)
async def test_complete_again(store: S3ByteStore, course: str) -> None:
    """However the content came, it is published any number of times, and what it was made of is deleted."""
    record, expected = await come(store, course)
    for state in (State.OPEN, State.RECEIVED, State.COMPLETE):
        await store.complete(changed(record, state=state))
        assert expected == await content_of(store, changed(record, state=state))

    assert 1 == len(await names_in(store.bucket, store.names.content_prefix(record.key)))
    assert [] == await names_in(store.bucket, store.names.tail_prefix(record.key))
    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))


@pytest.mark.parametrize("course", EVERY)
async def test_complete_by_a_newcomer(store: S3ByteStore, course: str) -> None:
    """Who passed a holder over publishes, again and again, and is then passed over itself; each reads the same."""
    record, expected = await come(store, course)
    for _ in range(2):
        record = claimed(record)
        await store.complete(record)
        assert expected == await content_of(store, record)
    assert expected == await content_of(store, claimed(changed(record, state=State.COMPLETE)))


@pytest.mark.parametrize("course", EVERY)
async def test_bytes_are_read_before_their_time(store: S3ByteStore, course: str) -> None:
    """Every byte of an open upload is read: whole parts, the tail, and across the edge between them."""
    record, expected = await come(store, course)
    edges = [0, 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 2 * PART + 1000, len(expected)]
    for start, stop in zip(edges, edges[3:], strict=False):
        if stop <= len(expected):
            assert expected[start:stop] == await content_of(store, record, start, stop)
    assert expected == await content_of(store, record)


@pytest.mark.parametrize("course", WITH_PARTS)
async def test_sealed_and_completed(store: S3ByteStore, course: str) -> None:
    """An upload whose parts were read is completed, again and again, in the same place."""
    record, expected = await come(store, course)
    await content_of(store, record, 0, 10)
    for _ in range(2):
        await store.complete(record)
        assert expected == await content_of(store, record)

    assert 1 == len(await names_in(store.bucket, store.names.content_prefix(record.key)))
    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))


@pytest.mark.parametrize("announced", [True, False], ids=["known", "unknown"])
async def test_sealed_and_gone_on(store: S3ByteStore, announced: bool) -> None:
    """An upload whose parts were read goes on, in another place; the first one stays as long as its record may come back."""
    record = new_upload(length=len(ALL) if announced else None)
    record = await appended(store, record, ALL[: PART + 1000])
    assert ALL[PART - 5 : PART + 5] == await content_of(store, record, PART - 5, PART + 5)
    before = state_of(record)
    record = await appended(store, record, ALL[PART + 1000 :])
    after = state_of(record)
    await store.complete(record)

    assert before.name != after.name
    assert before.parts[0] == after.parts[0]
    assert [before.name, before.pieces[0].name] == [each.name for each in after.superseded]
    assert ALL == await content_of(store, record)
    there = sorted(store.names.of(record.key, name) for name in (before.name, after.name))
    assert there == await names_in(store.bucket, store.names.content_prefix(record.key))
    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))


async def test_reading_in_blocks_seals_once(store: S3ByteStore) -> None:
    """Who compares a repeated range block by block has the parts completed once."""
    record, expected = await come(store, "parts-piece")
    calls = counted(store)
    for at in range(0, 4 * 1024 * 1024, 1024 * 1024):
        assert expected[at : at + 1024 * 1024] == await content_of(store, record, at, at + 1024 * 1024)

    assert {"CompleteMultipartUpload": 1, "GetObject": 5} == calls


@pytest.mark.parametrize("rest", [ALL, OTHER], ids=["same", "other"])
@pytest.mark.parametrize("completed", [False, True], ids=["open", "completed"])
@pytest.mark.parametrize("back", [1000, PART, PART + 1000, 2 * PART], ids=str)
async def test_a_record_is_taken_back(store: S3ByteStore, back: int, completed: bool, rest: bytes) -> None:
    """A failover that forgets the last revision loses no byte that the older one promises, whatever comes after them."""
    older = await appended(store, new_upload(), ALL[:1000])
    if back > 1000:
        older = await appended(store, older, ALL[1000:back])
    newer = await appended(store, older, ALL[back:])
    if completed:
        await store.complete(newer)
        assert ALL[:back] == await content_of(store, older)
    record = await appended(store, older, rest[back:])

    assert ALL[:back] + rest[back:] == await content_of(store, record)
    await store.complete(record)
    assert ALL[:back] + rest[back:] == await content_of(store, record)


async def test_a_record_is_taken_back_at_every_step(store: S3ByteStore) -> None:
    """In a long row of interruptions, any revision can be the one that is gone on from, though the next one was recorded."""
    record = new_upload()
    step = 600_000
    for at in range(0, PART + 2 * step, step):
        await appended(store, record, OTHER[at : at + step])  # forgotten
        record = await appended(store, record, ALL[at : at + step])
    done = record.offset

    assert ALL[:done] == await content_of(store, record)
    await store.complete(record)
    assert ALL[:done] == await content_of(store, record)


async def abort_all(store: S3ByteStore, record: UploadRecord) -> None:
    """Abort the multipart uploads of an upload, as a rule of the bucket does."""
    async for pending in store.bucket.uploads(store.names.content_prefix(record.key)):
        await store.bucket.abort(pending.name, pending.upload)


@pytest.mark.parametrize("course", WITH_PARTS)
async def test_aborted_from_outside(store: S3ByteStore, course: str) -> None:
    """What somebody else aborted is lost: it is neither complete, nor gone on with, nor begun again in silence."""
    record, _ = await come(store, course)
    await abort_all(store, record)

    with pytest.raises(Corrupted, match="abort"):
        await store.complete(record)
    if course != "known":
        with pytest.raises(Corrupted, match="abort"):
            await appended(store, record, OTHER)
    with pytest.raises(NotFound):
        await content_of(store, record, 0, 10)


async def test_a_part_was_changed_from_outside(store: S3ByteStore, swift_place: Bucket) -> None:
    """Parts that are not the recorded ones are not published."""
    record, _ = await come(store, "known")
    state = state_of(record)
    name = store.names.of(record.key, state.name)
    with raw(swift_place) as client:
        client.upload_part(Bucket=swift_place.name, Key=name, UploadId=state.upload, PartNumber=1, Body=OTHER[:PART])

    with pytest.raises(Corrupted):
        await store.complete(record)


@pytest.mark.parametrize("course", ["parts", "known", "parts-piece", "parts-pieces", "pieces", "piece"])
async def test_published_with_other_bytes(store: S3ByteStore, swift_place: Bucket, course: str) -> None:
    """An object of the right size and other bytes is no success."""
    record, expected = await come(store, course)
    await store.complete(record)
    for piece in await names_in(store.bucket, store.names.tail_prefix(record.key)):
        await store.bucket.remove(piece)  # a busy server may have refused it the first time, and nobody insists
    with raw(swift_place) as client:
        name = store.names.of(record.key, state_of(record).name)
        client.put_object(Bucket=swift_place.name, Key=name, Body=OTHER[: len(expected)])

    with pytest.raises(Corrupted):
        await store.complete(record)


async def test_pieces_are_missing(store: S3ByteStore) -> None:
    """What cannot be found is told, by whoever needs it; nothing is made up."""
    record, _ = await come(store, "pieces")
    for name in await names_in(store.bucket, store.names.tail_prefix(record.key)):
        await store.bucket.remove(name)

    with pytest.raises(Corrupted):
        await store.complete(record)
    with pytest.raises(Corrupted):
        await appended(store, record, ALL[3000:])
    with suppress(NotFound):
        await content_of(store, record)


@pytest.mark.parametrize("other", [None, b"shorter"], ids=["deleted", "replaced"])
async def test_another_object_was_made(store: S3ByteStore, monkeypatch: pytest.MonkeyPatch, other: bytes | None) -> None:
    """Content that is there no more when the server says that its parts are an object, or is of another size, is no success."""
    record, _ = await come(store, "known")
    finish = store.bucket.finish

    async def finish_in_vain(name: str, *arguments: Any) -> str:  # noqa: ANN401 - those of a bucket
        await finish(name, *arguments)
        if other is None:
            await store.bucket.remove(name)
        else:
            await store.bucket.put(name, Portion(lambda: other))
        return "another"

    monkeypatch.setattr(store.bucket, "finish", finish_in_vain)
    with pytest.raises(Corrupted):
        await store.complete(record)


async def test_published_with_more_bytes(store: S3ByteStore) -> None:
    """An object that begins with the content, and goes on, is not the content."""
    older = await appended(store, new_upload(), ALL[: 2 * PART])
    newer = await appended(store, older, ALL[2 * PART :])
    await store.complete(newer)
    with pytest.raises(MultipartGone):
        await store.complete(older)

    assert ALL == await content_of(store, newer)
