"""
What each verb of an upload costs over Redis and S3: calls of the S3 server, and round trips to Redis.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.content.content import Stop
from holdfast.service.core.limits import Limits
from holdfast.service.core.policies import Policies
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Intent, SlotRef, UploadRecord
from holdfast.storage.redis.stores import open_redis
from holdfast.storage.s3.store import S3ByteStore
from servers.stores.redis import RedisServer
from tests.core.access.callers import AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.servers.fixtures import Bucket
from tests.storage.backends import TENANT
from tests.storage.redis.stores import prefix_of, url_of
from tests.storage.redis.test_leased_uploads import round_trips
from tests.storage.s3.stores import content, counted, s3_store

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(120)

MiB = 1024 * 1024
PART = 5 * MiB
LENGTH = 3 * PART + 1000
CONTENT = content(LENGTH)
AT_LENGTH = Completes.AT_LENGTH


@dataclass(frozen=True, slots=True)
class Counted:
    """The verbs of uploads, and what they cost."""

    uploads: AskedUploads
    bytes: S3ByteStore
    calls: Counter[str]
    redis: RedisServer
    metadata: MetadataStore

    async def create(self, sent: FakeContent, length: int) -> UploadRecord:
        """Create an upload with *sent*."""
        command = Create(tenant=TENANT, completes=AT_LENGTH, length=length, content_length=sent.length)
        return (await self.uploads.create(command, sent)).record

    async def append(self, record: UploadRecord, sent: FakeContent) -> UploadRecord:
        """Append *sent* where the upload is."""
        command = Append(ref=record.ref, offset=record.offset, completes=AT_LENGTH, content_length=sent.length)
        return (await self.uploads.append(command, sent)).record

    def cost(self) -> tuple[dict[str, int], int]:
        """Return the calls of S3 and the round trips to Redis since the last time."""
        calls = dict(self.calls)
        self.calls.clear()
        return calls, round_trips(self.redis)


@pytest.fixture
async def counts(
    redis_server: RedisServer, swift_place: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Counted]:
    """Return the verbs over stores that have done everything once, so that the server knows their scripts."""
    stores = open_redis(url_of(redis_server), prefix_of(tmp_path_factory.mktemp("counts")))
    bytes_: S3ByteStore = s3_store(swift_place, part_size=PART)
    uploads = AskedUploads(Uploads(bytes_, stores.metadata, stores.leased_uploads, Limits()))
    counts = Counted(uploads, bytes_, counted(bytes_), redis_server, stores.metadata)
    await counts.append(await counts.create(FakeContent(), 4), FakeContent(b"kelp"))
    await uploads.offset(GetOffset(ref=(await counts.create(FakeContent(), 4)).ref, completes=AT_LENGTH))
    counts.cost()
    yield counts
    await bytes_.close()
    await stores.leases.close()
    await stores.metadata.close()


async def test_small_uploads(counts: Counted) -> None:
    """1 KiB that comes with its creation is one call of S3, and so complete."""
    record = await counts.create(FakeContent(CONTENT[:1024]), 1024)
    calls, _ = counts.cost()

    assert ("complete", {"PutObject": 1}) == (record.state, calls)


async def test_offsets(counts: Counted) -> None:
    """Telling an offset is no call of S3 and one round trip, whatever the upload has."""
    record = await counts.create(FakeContent(CONTENT[: PART + 1], length=LENGTH, cut=Stop.DISCONNECTED), LENGTH)
    counts.cost()
    outcome = await counts.uploads.offset(GetOffset(ref=record.ref, completes=AT_LENGTH))

    assert PART + 1 == outcome.record.offset
    assert ({}, 1) == counts.cost()


async def test_a_small_append(counts: Counted) -> None:
    """An append of less than a part is one call of S3 and two round trips."""
    record = await counts.create(FakeContent(), LENGTH)
    counts.cost()
    record = await counts.append(record, FakeContent(CONTENT[:1024]))
    first = counts.cost()
    record = await counts.append(record, FakeContent(CONTENT[1024:2048]))

    assert 2048 == record.offset
    assert ({"PutObject": 1}, 2) == first == counts.cost()


async def test_nothing_before_the_first_byte(counts: Counted) -> None:
    """An append that is cut off before its first byte asks S3 nothing, however far the upload is."""
    record = await counts.create(FakeContent(CONTENT[: PART + 1], length=LENGTH, cut=Stop.DISCONNECTED), LENGTH)
    counts.cost()
    await counts.append(record, FakeContent(b"", length=LENGTH - record.offset, cut=Stop.DISCONNECTED))
    calls, _ = counts.cost()

    assert {} == calls


async def test_an_append_of_parts(counts: Counted) -> None:
    """One call for each part, one for the tail; besides, one to begin and, at the end of the upload, one to complete."""
    record = await counts.create(FakeContent(), LENGTH)
    counts.cost()
    record = await counts.append(record, FakeContent(CONTENT[: 2 * PART + 1]))
    first, _ = counts.cost()
    record = await counts.append(record, FakeContent(CONTENT[2 * PART + 1 :]))
    second, _ = counts.cost()

    assert "complete" == record.state
    assert {"CreateMultipartUpload": 1, "UploadPart": 2, "PutObject": 1} == first
    # The tail is read, to be in front of the part that contains it, and removed.
    assert {"GetObject": 1, "UploadPart": 2, "CompleteMultipartUpload": 1, "DeleteObject": 1} == second


async def test_appends_of_whole_parts(counts: Counted) -> None:
    """Who sends a part with each request pays one call for each; the first begins the upload besides, the last completes it."""
    record, costs = await counts.create(FakeContent(), 3 * PART), []
    counts.cost()
    for at in range(0, 3 * PART, PART):
        record = await counts.append(record, FakeContent(CONTENT[at : at + PART]))
        costs.append(counts.cost())

    assert "complete" == record.state
    first, second, last = costs
    assert ({"CreateMultipartUpload": 1, "UploadPart": 1}, 2) == first
    assert ({"UploadPart": 1}, 2) == second
    # That all has been received is recorded before the upload is completed: whoever succeeds a dead process knows of it.
    assert ({"UploadPart": 1, "CompleteMultipartUpload": 1}, 3) == last


async def test_appends_of_parts_and_tails(counts: Counted) -> None:
    """However a client cuts its content: a call for each part, and one for what is left, which is read before."""
    step, record, costs = PART + PART // 4, await counts.create(FakeContent(), LENGTH), []
    counts.cost()
    for at in range(0, LENGTH, step):
        record = await counts.append(record, FakeContent(CONTENT[at : min(at + step, LENGTH)]))
        costs.append(counts.cost())

    assert "complete" == record.state
    assert ({"CreateMultipartUpload": 1, "UploadPart": 1, "PutObject": 1}, 2) == costs[0]
    assert ({"GetObject": 1, "UploadPart": 1, "PutObject": 1}, 2) == costs[1]
    assert {"GetObject": 1, "UploadPart": 2, "CompleteMultipartUpload": 1, "DeleteObject": 2} == costs[2][0]


async def test_a_failover(counts: Counted) -> None:
    """After Redis may have lost commits, an upload is looked after once before it gets more parts."""
    record, costs = await counts.create(FakeContent(), LENGTH), []
    for at in range(0, 3 * PART, PART):
        if at == PART:
            counts.redis.ask("REPLICAOF", "127.0.0.1", "1")
            counts.redis.ask("REPLICAOF", "NO", "ONE")
        counts.cost()
        record = await counts.append(record, FakeContent(CONTENT[at : at + PART]))
        costs.append(counts.cost())

    assert ({"HeadObject": 1, "UploadPart": 1}, 2) == costs[1]
    assert ({"UploadPart": 1}, 2) == costs[2]


async def test_repeated_bytes(counts: Counted) -> None:
    """Whoever sends again what is there has it compared; that ends the multipart upload, and the next one knows of it."""
    record = await counts.create(FakeContent(), LENGTH)
    record = await counts.append(record, FakeContent(CONTENT[: PART + 1000]))
    sent = FakeContent(CONTENT[PART - 10 :])
    command = Append(ref=record.ref, offset=PART - 10, completes=AT_LENGTH, content_length=sent.length, compares=True)
    again = (await counts.uploads.append(command, sent)).record

    assert ("complete", LENGTH) == (again.state, again.offset)
    content_ = b"".join([bytes(block) async for block in counts.bytes.read(again, 0, LENGTH)])
    assert CONTENT == content_


async def test_an_association(counts: Counted) -> None:
    """The append that completes an upload for a slot looks at the first bytes once: to verify the type, and for the slot."""
    slot = SlotRef(tenant=TENANT, kind="user", id="kelp", slot="ProfilePhoto")
    await AskedObjects(counts.metadata, Policies(), time.time).register(slot.object)
    command = Create(
        tenant=TENANT,
        completes=AT_LENGTH,
        length=len(PNG),
        content_length=0,
        content_type="image/png",
        verify_type=True,
        intent=Intent(slot=slot),
    )
    record = (await counts.uploads.create(command, FakeContent())).record
    counts.cost()
    record = await counts.append(record, FakeContent(PNG))
    calls, _ = counts.cost()

    assert (slot,) == record.attached
    assert {"PutObject": 1, "GetObject": 1} == calls
