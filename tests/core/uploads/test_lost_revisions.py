"""
A failover of Redis that takes back what was acknowledged: Sentinels promote a replica that heard nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.errors import StoreFailed
from holdfast.service.core.limits import Limits
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.records import State, UploadRecord
from holdfast.storage.redis.stores import open_redis
from holdfast.storage.s3.store import S3ByteStore
from servers.stores.sentinel import RedisSentinel
from tests.core.access.callers import AskedUploads
from tests.core.contents import FakeContent
from tests.servers.fixtures import Bucket
from tests.storage.backends import TENANT
from tests.storage.redis.stores import url_of
from tests.storage.s3.stores import content, s3_store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KiB = 1024
PART = 5 * 1024 * KiB
STEP = 530 * KiB
LENGTH = 2 * PART + PART // 2
CONTENT = content(LENGTH)
REPLICATED = 3 * STEP
AT_LENGTH = Completes.AT_LENGTH


@dataclass(frozen=True, slots=True)
class Service:
    """The verbs of uploads over a watched Redis and a real S3 server."""

    uploads: AskedUploads
    bytes: S3ByteStore
    redis: RedisSentinel

    async def append(self, record: UploadRecord, stop: int) -> UploadRecord:
        """Append small pieces of the content up to *stop*, a request each."""
        while record.offset < stop:
            sent = FakeContent(CONTENT[record.offset : min(record.offset + STEP, stop)])
            command = Append(ref=record.ref, offset=record.offset, completes=AT_LENGTH, content_length=sent.length)
            record = (await self.uploads.append(command, sent)).record
        return record

    async def offset(self, record: UploadRecord) -> UploadRecord:
        """Return the upload as a client finds it that asks until it is told."""
        while True:
            try:
                return (await self.uploads.offset(GetOffset(ref=record.ref, completes=AT_LENGTH))).record
            except StoreFailed:
                await asyncio.sleep(0.1)


@pytest.fixture
async def service(redis_sentinel: RedisSentinel, swift_place: Bucket) -> AsyncIterator[Service]:
    """Return a service whose Redis this test alone has."""
    stores = open_redis(url_of(redis_sentinel))
    bytes_ = s3_store(swift_place, part_size=PART, patience=20)
    yield Service(AskedUploads(Uploads(bytes_, stores.metadata, stores.leased_uploads, Limits())), bytes_, redis_sentinel)
    await bytes_.close()
    await stores.leases.close()
    await stores.metadata.close()


def cut_off(redis: RedisSentinel) -> None:
    """Have the replica hear nothing more of the primary."""
    redis.primary.ask("WAIT", 1, 5000)
    redis.replica.freeze()
    redis.primary.ask("CLIENT", "KILL", "TYPE", "replica")


def fail_over(redis: RedisSentinel) -> None:
    """Have the replica take the place of the primary, with what it knows."""
    primary, replica = redis.primary, redis.replica
    primary.kill()
    replica.thaw()
    redis.wait_for_failover(primary)


@pytest.mark.parametrize(
    "reached", [REPLICATED + 2 * STEP, 2 * PART + STEP, LENGTH], ids=["in a part", "parts later", "complete"]
)
async def test_what_was_acknowledged_is_taken_back(service: Service, reached: int) -> None:
    """However much is lost of what the record said, the upload goes on from what is left of it, and no byte is another one."""
    created = Create(tenant=TENANT, completes=AT_LENGTH, length=LENGTH, content_length=0)
    record = await service.append((await service.uploads.create(created, FakeContent())).record, REPLICATED)
    await asyncio.to_thread(cut_off, service.redis)
    before = await service.append(record, reached)
    await asyncio.to_thread(fail_over, service.redis)
    back = await service.offset(record)
    after = await service.append(back, LENGTH)

    assert (reached, REPLICATED) == (before.offset, back.offset)
    assert State.COMPLETE is after.state
    assert CONTENT == b"".join([bytes(block) async for block in service.bytes.read(after, 0, LENGTH)])
