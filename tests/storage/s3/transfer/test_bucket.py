"""
What is asked of an S3 server, to the letter.
"""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.request import urlopen

import pytest

from holdfast.storage.errors import Corrupted, NoSpace, NotFound, Unavailable
from holdfast.storage.s3.options import Checksum, S3Options
from holdfast.storage.s3.parts.state import Sums
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.buffers import Portion
from tests.servers.faulty_proxy import Fault, FaultyProxy, edited, lost, refused, silent
from tests.servers.fixtures import Bucket
from tests.storage.backends import changed, claimed, content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, counted, opened, state_of

pytestmark = pytest.mark.timeout(60)

ALL = content(PART + 1000)


def text_of(content: bytes) -> str:
    """Return the CRC-32 of *content* as S3 writes it."""
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


@pytest.fixture
async def proxy(moto_place: Bucket) -> AsyncIterator[FaultyProxy]:
    """Return a proxy in front of a server that keeps sums."""
    async with FaultyProxy(moto_place.account.endpoint) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: FaultyProxy, moto_place: Bucket) -> Bucket:
    """Return the bucket as it is seen through the proxy."""
    return Bucket(account=replace(moto_place.account, endpoint=proxy.endpoint), name=moto_place.name)


@pytest.fixture
async def store(behind: Bucket) -> AsyncIterator[S3ByteStore]:
    """Return a store behind the proxy."""
    async with opened(behind, patience=8) as store:
        yield store


async def test_sums_of_the_whole(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """A server that keeps sums of content is told that of each part, and of all of it, and how long it is."""
    record = await appended(store, new_upload(length=len(ALL)), ALL)
    part = proxy.last["UploadPart"].head.decode()
    await store.complete(record)
    asked = proxy.last["CompleteMultipartUpload"]

    assert any(text_of(each) in part for each in (ALL[:PART], ALL[PART:]))
    assert f"x-amz-checksum-crc32: {text_of(ALL)}" in asked.head.decode()
    assert "x-amz-checksum-type: FULL_OBJECT" in asked.head.decode()
    assert f"x-amz-mp-object-size: {len(ALL)}" in asked.head.decode()
    for each in (ALL[:PART], ALL[PART:]):
        assert text_of(each) in asked.content.decode()
    assert Sums.WHOLE is state_of(record).sums


async def test_sums_of_the_parts_only(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """A server that keeps sums of parts, as all did once, is told those, and nothing that it would take for another sum."""
    proxy.add("CreateMultipartUpload", edited(b"x-amz-checksum-type: FULL_OBJECT\r\n", b""))
    record = await appended(store, new_upload(length=len(ALL)), ALL)
    await store.complete(record)
    asked = proxy.last["CompleteMultipartUpload"]

    assert Sums.PARTS is state_of(record).sums
    assert "x-amz-checksum-crc32" not in asked.head.decode()
    assert text_of(ALL[PART:]) in asked.content.decode()


async def test_sums_of_sealed_parts(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """Where parts are completed before the tail is there, the sum is that of the parts."""
    record = await appended(store, new_upload(), ALL)
    await content_of(store, record, 0, 10)
    sealed = proxy.last["CompleteMultipartUpload"].head.decode()
    record = await appended(store, record, ALL)
    await store.complete(record)

    assert f"x-amz-checksum-crc32: {text_of(ALL[:PART])}" in sealed
    assert ALL + ALL == await content_of(store, record)


async def test_sums_of_moved_parts(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """So it is where a newcomer takes the parts out of the reach of a sleeper."""
    record = claimed(await appended(store, new_upload(), ALL))
    record = await appended(store, record, ALL)
    moved = proxy.last["CompleteMultipartUpload"].head.decode()
    await store.complete(record)

    assert f"x-amz-checksum-crc32: {text_of(ALL[:PART])}" in moved
    assert ALL + ALL == await content_of(store, record)


async def test_no_sums(behind: Bucket, proxy: FaultyProxy) -> None:
    """Without sums nothing is summed, nor signed."""
    async with opened(behind, checksum=Checksum.NONE) as store:
        record = await appended(store, new_upload(length=len(ALL)), ALL)
        await store.complete(record)
        small = await appended(store, new_upload(length=3), b"abc")
    said = b"".join(proxy.last[asked].head for asked in ("UploadPart", "PutObject")).decode().lower()

    assert Sums.NONE is state_of(record).sums
    assert small.offset
    assert "crc32" not in said
    assert 2 == said.count("x-amz-content-sha256: unsigned-payload")


async def test_what_is_superseded_is_not_waited_for(behind: Bucket, proxy: FaultyProxy) -> None:
    """Content is complete, whether the pieces that it was made of can be deleted now or not."""
    async with opened(behind, patience=1) as store:
        record = await appended(store, new_upload(), b"holdfast")
        calls = counted(store)
        proxy.add("DeleteObject", lost(), times=1000)
        await store.complete(record)

        assert 4 == calls["DeleteObject"]
        with pytest.raises(Unavailable):
            await store.delete(record)


async def test_delete_leaves_nothing(store: S3ByteStore) -> None:
    """With an upload goes also what no record knows of: of appends whose receipts were lost."""
    record = await appended(store, new_upload(), ALL)
    await appended(store, record, ALL)
    await appended(store, new_upload(key=record.key), b"another")
    await appended(store, new_upload(key=record.key, length=3), b"abc")
    await store.delete(record)
    prefixes = (store.names.content_prefix(record.key), store.names.tail_prefix(record.key))

    assert [] == [found.name for prefix in prefixes async for found in store.bucket.objects(prefix)]
    assert [] == [pending.name async for pending in store.bucket.uploads(prefixes[0])]


async def test_delete_leaves_others_alone(store: S3ByteStore) -> None:
    """What other uploads have sent stays, recorded or not."""
    record, other = [await appended(store, new_upload(length=2 * PART), ALL[:PART]) for _ in range(2)]
    await store.delete(record)
    other = await appended(store, other, ALL[:PART])
    await store.complete(other)

    assert ALL[:PART] * 2 == await content_of(store, other)


async def test_delete_of_what_cannot_be_understood(store: S3ByteStore) -> None:
    """Damaged facts are no reason to keep bytes."""
    record = await appended(store, new_upload(), b"holdfast")
    damaged = changed(record, parts="damaged")
    with pytest.raises(Corrupted):
        await store.complete(damaged)
    await store.delete(damaged)

    with pytest.raises(NotFound):
        await content_of(store, record)


async def test_links(swift_place: Bucket) -> None:
    """Who has a link downloads from the server itself, under the name and type that the link says."""
    async with opened(swift_place) as store:
        record = await appended(store, new_upload(length=8), b"holdfast")
        await store.complete(record)
        link = store.link(record, 60, disposition='attachment; filename="kelp"', content_type="text/plain")
        with urlopen(link) as answer:
            content, fields = answer.read(), answer.headers

    assert b"holdfast" == content
    assert ('attachment; filename="kelp"', "text/plain") == (fields["Content-Disposition"], fields["Content-Type"])


async def test_ping(store: S3ByteStore, proxy: FaultyProxy) -> None:
    """A server that does not do what is asked is told of at once."""
    await store.ping()
    proxy.add("HeadBucket", refused(403, ""), times=1000)
    with pytest.raises(Unavailable, match="AWS_ACCESS_KEY_ID"):
        await store.ping()
    proxy.mend()
    proxy.add("HeadBucket", refused(503, ""), times=1000)
    with pytest.raises(Unavailable):
        await store.ping()


async def test_ping_writes(behind: Bucket, proxy: FaultyProxy) -> None:
    """A bucket that can be seen, and takes nothing, is told of at once; one that does is not written to each time."""
    async with opened(behind) as store:
        proxy.add("PutObject", refused(507, ""), times=1)
        with pytest.raises(NoSpace):
            await store.ping()
        proxy.mend()
        await store.ping()
        proxy.add("PutObject", refused(507, ""), times=1)
        await store.ping()


@pytest.mark.parametrize("fault", [silent(), lost()], ids=["silent", "lost"])
async def test_ping_waits_for_nobody(behind: Bucket, proxy: FaultyProxy, fault: Fault) -> None:
    """Whether a server is there is known soon, however patient the store is with everything else."""
    async with opened(behind, patience=60) as store:
        proxy.add("HeadBucket", fault, times=1000)
        begin = time.monotonic()
        with pytest.raises(Unavailable):
            await store.ping()
        took = time.monotonic() - begin
        proxy.mend()
        await store.ping()

    assert took < 5


async def test_the_size_of_what_is_there(store: S3ByteStore) -> None:
    """An object that ends before the range that is asked for is not what it should be."""
    await store.bucket.put("short", Portion(lambda: b"abc"))

    with pytest.raises(Corrupted):
        await store.bucket.open("short", 0, 4)
    with pytest.raises(Corrupted):
        await store.bucket.open("short", 3, 4)
    with pytest.raises(NotFound):
        await store.bucket.open("nothing", 0, 4)


def test_options() -> None:
    """The options of parts are those of the server."""
    limits = S3Options(bucket="b", part_size=9, max_parts=7, equal_parts=True).limits

    assert (9, 7, True) == (limits.size, limits.most, limits.alike)
