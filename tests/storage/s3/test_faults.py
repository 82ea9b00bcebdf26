"""
What becomes of appends and completions when the server or the network does not do what it should.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.storage.errors import Corrupted, NoSpace, Unavailable
from holdfast.storage.records import Receipt, UploadRecord
from holdfast.storage.s3.store import S3ByteStore
from servers.stores.swift import SwiftServer, folder_with_attributes
from tests.servers.faulty_proxy import Fault, FaultyProxy, answer_lost, cut_off, forged, held, lost, refused, silent
from tests.servers.fixtures import Bucket
from tests.storage.backends import content_of, new_upload
from tests.storage.s3.stores import PART, Course, appended, content, in_blocks, on, opened, uploads_in

pytestmark = pytest.mark.timeout(60)

ALL = content(3 * PART + 1000)
OTHER = content(3 * PART + 1000, seed=2)


@pytest.fixture
async def store(behind: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store behind the proxy."""
    async with opened(behind, timeout=30, patience=8) as store:
        yield store


PASSING: dict[str, Callable[[], Fault]] = {
    "503": lambda: refused(503, "SlowDown"),
    "500": lambda: refused(500, "InternalError"),
    "429": lambda: refused(429, "TooManyRequests"),
    "lost": lost,
    "answer-lost": answer_lost,
    "damaged": lambda: refused(400, "BadDigest"),
}


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
async def test_parts_through_trouble(store: S3ByteStore, proxy: FaultyProxy, operation: str, fault: str) -> None:
    """Trouble that passes within seconds is not noticed by whoever uploads."""
    proxy.add(operation, PASSING[fault]())
    record = await appended(store, new_upload(length=2 * PART), ALL[: 2 * PART])
    await store.complete(record)

    assert ALL[: 2 * PART] == await content_of(store, record)


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "CopyObject", "DeleteObject"])
async def test_pieces_through_trouble(store: S3ByteStore, proxy: FaultyProxy, operation: str, fault: str) -> None:
    """So it is with small content."""
    proxy.add(operation, PASSING[fault]())
    record = await appended(store, new_upload(), b"holdfast")

    assert b"holdfast" == await content_of(store, record)
    await store.complete(record)
    assert b"holdfast" == await content_of(store, record)
    await store.delete(record)


async def test_trouble_that_stays_a_while(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """What botocore gives up is tried again, for the bytes of the part are still there."""
    proxy.add("UploadPart", refused(500, "InternalError"), times=9, part=1)
    record = await appended(store, new_upload(length=2 * PART), ALL[: 2 * PART])
    await store.complete(record)

    assert ALL[: 2 * PART] == await content_of(store, record)
    assert 11 == proxy.asked["UploadPart"]


@pytest.mark.parametrize("done", [True, False], ids=["done", "not-done"])
@pytest.mark.parametrize("tail", [0, 1000], ids=["parts", "parts-piece"])
async def test_an_error_in_a_successful_answer(store: S3ByteStore, proxy: FaultyProxy, tail: int, done: bool) -> None:
    """A completion that answers 200 and then says that it failed is believed only if the object says so."""
    record = await appended(store, new_upload(), ALL[: PART + tail])
    proxy.add("CompleteMultipartUpload", forged("InternalError", done=done), times=2)
    await store.complete(record)

    assert ALL[: PART + tail] == await content_of(store, record)


async def test_a_copy_that_fails_in_its_answer(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """So it is with the copy of a piece."""
    record = await appended(store, new_upload(), b"holdfast")
    proxy.add("CopyObject", forged("InternalError", done=False))
    await store.complete(record)
    for name in [found.name async for found in store.bucket.objects(store.names.tail_prefix(record.key))]:
        await store.bucket.remove(name)

    assert b"holdfast" == await content_of(store, record)


async def test_a_completion_that_never_gets_through(behind: Bucket, proxy: FaultyProxy) -> None:
    """A completion that is refused for long is no success, and can be done later."""
    async with opened(behind, patience=1) as store:
        record = await appended(store, new_upload(length=2 * PART), ALL[: 2 * PART])
        proxy.add("CompleteMultipartUpload", refused(500, "InternalError"), times=1000)
        with pytest.raises(Unavailable):
            await store.complete(record)
        proxy.mend()
        await store.complete(record)

        assert ALL[: 2 * PART] == await content_of(store, record)


async def test_a_silent_completion(behind: Bucket, proxy: FaultyProxy) -> None:
    """A completion whose answer never comes is found to have happened, or done again."""
    async with opened(behind, timeout=0.5, patience=1) as store:
        record = await appended(store, new_upload(length=2 * PART), ALL[: 2 * PART])
        proxy.add("CompleteMultipartUpload", silent(), times=1)
        await store.complete(record)

        assert ALL[: 2 * PART] == await content_of(store, record)


@pytest.mark.parametrize("after", [0, 200, 300_000, 2_000_000])
async def test_a_download_is_cut(store: S3ByteStore, proxy: FaultyProxy, after: int) -> None:
    """A connection that is lost while content is read is another one from there on."""
    record = await appended(store, new_upload(length=PART), ALL[:PART])
    proxy.add("GetObject", cut_off(after), times=2)

    assert ALL[:PART] == await content_of(store, record)
    assert 3 <= proxy.asked["GetObject"]


FULL = [(507, "InsufficientStorage"), (403, "QuotaExceeded"), (413, "EntityTooLarge"), (507, "XMinioStorageFull"), (507, "")]


@pytest.mark.parametrize(("status", "code"), FULL)
async def test_the_bucket_is_full(store: S3ByteStore, proxy: FaultyProxy, status: int, code: str) -> None:
    """When there is no room for a part, the parts before it are kept, and the upload goes on when there is room."""
    proxy.add("UploadPart", refused(status, code), times=1000, part=3)
    record = new_upload(length=len(ALL))
    with pytest.raises(NoSpace) as caught:
        await store.append(record, in_blocks(ALL))
    proxy.mend()
    receipt = caught.value.receipt

    assert receipt is not None
    assert 2 * PART == receipt.received
    record = await appended(store, on(record, receipt), ALL[2 * PART :])
    await store.complete(record)
    assert ALL == await content_of(store, record)


async def test_the_bucket_is_full_at_the_tail(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """When there is no room for a piece, the parts before it are kept."""
    proxy.add("PutObject", refused(507, "InsufficientStorage"), times=1000)
    with pytest.raises(NoSpace) as caught:
        await store.append(new_upload(), in_blocks(ALL))

    assert caught.value.receipt is not None
    assert 3 * PART == caught.value.receipt.received


async def test_a_part_that_never_gets_through(behind: Bucket, proxy: FaultyProxy) -> None:
    """The row of parts in front of it is recorded, whatever came behind it; the append is repeated from there."""
    async with opened(behind, patience=1) as store:
        proxy.add("UploadPart", refused(500, "InternalError"), times=1000, part=2)
        course = Course(new_upload(length=len(ALL)))
        with pytest.raises(Unavailable):
            await store.append(course.record, in_blocks(ALL), course.checkpoint)
        proxy.mend()

        assert PART == course.record.offset
        record = await appended(store, course.record, ALL[PART:])
        await store.complete(record)
        assert ALL == await content_of(store, record)


async def test_parts_arrive_in_any_order(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """While an early part is on its way, nothing behind it counts."""
    fault = proxy.add("UploadPart", held(), part=1)
    course = Course(new_upload(length=len(ALL)))
    append = asyncio.create_task(store.append(course.record, in_blocks(ALL), course.checkpoint))
    await fault.met.wait()
    await asyncio.sleep(1)
    told = list(course.told)
    if fault.until is not None:
        fault.until.set()
    record = on(course.began, await append)
    await store.complete(record)

    assert [] == told
    assert ALL == await content_of(store, record)


async def test_nothing_is_in_flight_after_a_cancellation(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """An append that is cancelled ends when its last call has ended, so that the lease can be let go."""
    fault = proxy.add("UploadPart", held(), part=1)
    record = new_upload(length=len(ALL))
    append = asyncio.create_task(store.append(record, in_blocks(ALL)))
    await fault.met.wait()
    append.cancel()
    _, pending = await asyncio.wait([append], timeout=0.5)
    if fault.until is not None:
        fault.until.set()
    with pytest.raises(asyncio.CancelledError):
        await append
    asked = dict(proxy.asked)
    await asyncio.sleep(0.3)

    assert {append} == pending
    assert asked == dict(proxy.asked)
    assert [] == await uploads_in(store.bucket, store.names.content_prefix(record.key))


async def test_an_upload_is_aborted_before_its_first_part(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """Where nothing has arrived yet, another multipart upload is begun."""
    proxy.add("UploadPart", refused(404, "NoSuchUpload"))
    record = await appended(store, new_upload(), ALL[:PART])
    await store.complete(record)

    assert 2 == proxy.asked["CreateMultipartUpload"]
    assert ALL[:PART] == await content_of(store, record)


async def test_an_upload_is_aborted_while_parts_arrive(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """Where a part has arrived, and one before it finds nothing to arrive at, the append is to be repeated."""
    fault = proxy.add("UploadPart", refused(404, "NoSuchUpload"), part=1)
    fault.until = asyncio.Event()
    record = new_upload(length=len(ALL))
    append = asyncio.create_task(appended(store, record, ALL))
    while proxy.asked["UploadPart"] < 4:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    fault.until.set()
    with pytest.raises(Unavailable):
        await append
    record = await appended(store, record, ALL)
    await store.complete(record)

    assert ALL == await content_of(store, record)


async def test_the_server_restarts(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server that is killed and comes back in the middle of an append loses nothing, and is waited for."""
    with SwiftServer(folder_with_attributes(tmp_path, tmp_path_factory.mktemp("other"))) as server:
        bucket = Bucket(account=server.account, name=server.account.make_bucket())

        async def blocks() -> AsyncIterator[memoryview]:
            async for block in in_blocks(ALL[: 2 * PART]):
                yield block
            await asyncio.to_thread(server.kill)
            asyncio.get_running_loop().call_later(1.5, server.start)
            async for block in in_blocks(ALL[2 * PART :]):
                yield block

        async with opened(bucket, patience=20) as store:
            record = new_upload(length=len(ALL))
            record = on(record, await store.append(record, blocks()))
            await store.complete(record)

            assert ALL == await content_of(store, record)


async def refused_by(store: S3ByteStore) -> list[str]:
    """Return what is said by whatever is asked of a store."""

    async def record_nothing(_receipt: Receipt) -> None:
        pass

    said = []
    for work in (
        store.ping(),
        store.append(new_upload(length=3), in_blocks(b"abc"), record_nothing),
        store.complete(new_upload(length=0)),
    ):
        with pytest.raises(Unavailable) as caught:
            await work
        said.append(str(caught.value))
    return said


async def test_wrong_credentials(swift_place: Bucket) -> None:
    """Whoever set a wrong secret is told what to set."""
    wrong = replace(swift_place, account=replace(swift_place.account, secret="wrong"))
    async with opened(wrong) as store:
        for said in await refused_by(store):
            assert "AWS_SECRET_ACCESS_KEY" in said


async def test_no_such_bucket(swift_place: Bucket) -> None:
    """Whoever forgot the bucket is told that it is not there."""
    async with opened(replace(swift_place, name="no-such-bucket")) as store:
        for said in await refused_by(store):
            assert "no such bucket" in said


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")])
async def test_another_region(store: S3ByteStore, proxy: FaultyProxy, status: int, code: str) -> None:
    """Whoever set another region than that of the bucket is told so."""
    proxy.add("PutObject", refused(status, code), times=1000)
    with pytest.raises(Unavailable, match="AWS_DEFAULT_REGION"):
        await store.complete(new_upload(length=0))
    proxy.add("HeadBucket", refused(400, ""))
    with pytest.raises(Unavailable, match="AWS_DEFAULT_REGION"):
        await store.ping()


async def test_nobody_answers(behind: Bucket) -> None:
    """A server that is not there is told of in time."""
    nobody = replace(behind, account=replace(behind.account, endpoint="http://127.0.0.1:9"))
    async with opened(nobody, patience=0.5) as store:
        for said in await refused_by(store):
            assert "127.0.0.1:9" in said


async def test_missing_is_not_passed_over_behind_trouble(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """An upload that is gone while its completion meets trouble is not taken for complete."""
    record: UploadRecord = await appended(store, new_upload(length=2 * PART), ALL[: 2 * PART])
    proxy.add("CompleteMultipartUpload", refused(404, "NoSuchUpload"))
    with pytest.raises(Corrupted, match="abort"):
        await store.complete(record)
