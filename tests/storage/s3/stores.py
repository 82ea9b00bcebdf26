"""
S3 byte stores for tests, the calls that they make, and what is in their buckets.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from random import Random
from typing import Any

import boto3

from holdfast.storage.records import Receipt, UploadRecord
from holdfast.storage.s3.options import S3Options
from holdfast.storage.s3.parts.state import PartState
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.bucket import Bucket as S3Bucket
from tests.servers.fixtures import Bucket

MiB = 1024 * 1024
PART = 5 * MiB
BLOCK = 1 * MiB


@functools.cache
def session(key: str, secret: str, region: str) -> boto3.session.Session:
    """Return a session that opens servers; to make one takes a while."""
    return boto3.session.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=region)


def s3_store(
    bucket: Bucket,
    *,
    clock: Callable[[], float] = time.time,
    **options: Any,  # noqa: ANN401  # every option has a type of its own
) -> S3ByteStore:
    """Return a store that has its names in *bucket* for itself, and does not wait long for what does not answer."""
    given = {"prefix": f"{secrets.token_hex(6)}/", "endpoint_url": bucket.account.endpoint, "threads": 8, "patience": 5.0}
    given |= {"part_size": PART}
    opens = session(bucket.account.key, bucket.account.secret, bucket.account.region)
    return S3ByteStore(S3Options(bucket=bucket.name, **{**given, **options}), opens, clock)


@asynccontextmanager
async def opened(
    bucket: Bucket,
    *,
    clock: Callable[[], float] = time.time,
    **options: Any,  # noqa: ANN401  # see s3_store
) -> AsyncIterator[S3ByteStore]:
    """Have a store for a while."""
    store = s3_store(bucket, clock=clock, **options)
    try:
        yield store
    finally:
        await store.close()


def counted(store: S3ByteStore) -> Counter[str]:
    """Return the requests that the store sends from now on, by operation."""
    counts: Counter[str] = Counter()

    def count(event_name: str, **_facts: Any) -> None:  # noqa: ANN401
        counts[event_name.rpartition(".")[2]] += 1

    store.bucket._client.meta.events.register("before-send.s3", count)
    return counts


def content(size: int, seed: int = 1) -> bytes:
    """Return bytes that are nowhere the same twice."""
    return Random(seed).randbytes(size)


async def in_blocks(*contents: bytes, size: int = BLOCK, pause: float = 0.0) -> AsyncIterator[memoryview]:
    """Yield contents in blocks that are spoiled afterwards; after each content comes a pause, and an empty block."""
    buffer = bytearray(size)
    for each in contents:
        for at in range(0, len(each), size):
            block = each[at : at + size]
            buffer[: len(block)] = block
            yield memoryview(buffer)[: len(block)]
            buffer[:] = bytes(size)
        await asyncio.sleep(pause)
        yield memoryview(b"")


async def appended(store: S3ByteStore, record: UploadRecord, *contents: bytes) -> UploadRecord:
    """Append *contents*, and return the record that tells of it."""
    return on(record, await store.append(record, in_blocks(*contents)))


def state_of(record: UploadRecord) -> PartState:
    """Return what is remembered of an upload."""
    return PartState.from_parts(record.parts)


def on(record: UploadRecord, receipt: Receipt) -> UploadRecord:
    """Return the next revision of *record*, that tells of what became durable."""
    offset = record.offset + receipt.received
    return replace(record, revision=record.revision + 1, offset=offset, parts=receipt.parts)


class Course:
    """A record that is changed by checkpoints, as the core does it."""

    def __init__(self, record: UploadRecord) -> None:
        self.began = self.record = record
        self.told: list[UploadRecord] = []

    async def checkpoint(self, receipt: Receipt) -> None:
        """Record what became durable."""
        self.record = replace(on(self.began, receipt), revision=self.record.revision + 1)
        self.told.append(self.record)


async def names_in(bucket: S3Bucket, prefix: str = "") -> Sequence[str]:
    """Return the names of all objects."""
    return [found.name async for found in bucket.objects(prefix)]


async def uploads_in(bucket: S3Bucket, prefix: str = "") -> Sequence[str]:
    """Return the names of all multipart uploads that are neither completed nor aborted."""
    return [pending.name async for pending in bucket.uploads(prefix)]


def raw(bucket: Bucket) -> Any:  # noqa: ANN401  # a client, closed in the end
    """Have a client, to do what a store would not."""
    return closing(bucket.account.client())
