"""
What the processes of the tests do: ``python -m tests.storage.workers <name> <arguments>``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from holdfast.storage.durability import Durability
from holdfast.storage.errors import NoSpace, PreconditionFailed, StorageError
from holdfast.storage.keys import new_key
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.ports.leases import Leases
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, Ref, UploadRecord
from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.metadata import RedisMetadataStore
from holdfast.storage.redis.names import RedisNames
from holdfast.storage.sqlite.leases import SqliteLeases
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.storage.backends import TENANT, blocks, changed, content_of, new_upload, replace_upload, store_upload

BLOCK = b"holdfast" * 8192  # 64 KiB


def say(*words: object) -> None:
    """Write a line to whoever started this process."""
    print(*words, flush=True)


async def told() -> str | None:
    """Return the next line of whoever started this process; None when there will be no more."""
    redis_client = await asyncio.to_thread(sys.stdin.readline)
    return redis_client.rstrip("\n") if redis_client else None


def to_text(record: UploadRecord) -> str:
    """Return *record* as one argument of a command."""
    return json.dumps(record.to_mapping())


def from_text(text: str) -> UploadRecord:
    """Return the record that `to_text` made *text* of."""
    return UploadRecord.from_mapping(json.loads(text))


def limit_files(limit: str) -> None:
    """Let no file become longer than *limit* bytes; 0 for none."""
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))


async def append(root: str, text: str) -> None:
    """Append each line as a block, and say when the next one is asked for."""

    async def content() -> AsyncIterator[memoryview]:
        say("asks")
        while (redis_client := await told()) is not None:
            yield memoryview(redis_client.encode())
            say("asks")

    store = LocalByteStore(root, Durability.NONE)
    try:
        receipt = await store.append(from_text(text), content())
        say("received", receipt.received)
    except StorageError as error:
        say(type(error).__name__)


async def append_until_full(root: str, limit: str) -> None:
    """Append blocks until there is no room for more; say how much became durable, and whether it is there."""
    limit_files(limit)
    store = LocalByteStore(root, threads=2)
    record = new_upload()
    while True:
        try:
            receipt = await store.append(record, blocks(*[BLOCK] * 3))
        except NoSpace as error:
            record = changed(record, offset=record.offset + (error.receipt.received if error.receipt else 0))
            content = await content_of(store, record)
            expected = (BLOCK * (len(content) // len(BLOCK) + 1))[: len(content)]
            say(record.offset, "whole" if content == expected else "broken")
            return
        record = changed(record, offset=record.offset + receipt.received)


async def announce_too_much(root: str, limit: str, length: str) -> None:
    """Begin an upload of a length that there is no room for; then one that fits."""
    limit_files(limit)
    store = LocalByteStore(root, threads=2)
    try:
        await store.append(new_upload(length=int(length)), blocks(b"abc"))
    except NoSpace:
        receipt = await store.append(new_upload(length=3), blocks(b"abc"))
        say("NoSpace", receipt.received)


def metadata_at(where: str, durability: Durability = Durability.ACKNOWLEDGED) -> MetadataStore:
    """Return the store in a file, or in the Redis of a URL behind which a prefix stands."""
    url, is_url, prefix = where.partition("#")
    return RedisMetadataStore(RedisClient(url), RedisNames(prefix)) if is_url else SqliteMetadataStore(where, durability)


def leases_at(where: str) -> Leases:
    """Return the leases in a folder, or in the Redis of a URL behind which a prefix stands."""
    url, is_url, prefix = where.partition("#")
    return RedisLeases(RedisClient(url), RedisNames(prefix)) if is_url else SqliteLeases(where)


async def increment(where: str, key: str, count: str) -> None:
    """Add one to the offset of a record, *count* times, by compare-and-set."""
    store = metadata_at(where, Durability.NONE)
    ref = Ref(tenant=TENANT, key=Key(key))
    say("ready")
    await told()
    for _ in range(int(count)):
        while True:
            record = await store.get(ref)
            try:
                await replace_upload(store, record, changed(record, offset=record.offset + 1))
                break
            except PreconditionFailed:
                continue
    await store.close()


async def create(where: str) -> None:
    """Create records until killed; say the key of each when it is durable."""
    store = metadata_at(where)
    while True:
        key = new_key()
        await store_upload(store, new_upload(key=key, metadata="kelp" * 200))
        say(key)


async def create_until_full(path: str, limit: str) -> None:
    """Create records until there is no room; say whether some were acknowledged, and whether all of them are there."""
    limit_files(limit)
    store = SqliteMetadataStore(path)
    records: list[UploadRecord] = []
    while True:
        record = new_upload(metadata="kelp" * 200)
        try:
            await store_upload(store, record)
        except StorageError as error:
            found = [await store.get(record.ref) for record in records]
            say(type(error).__name__, bool(records), found == records)
            return
        records.append(record)


async def open_stores(_nothing: str) -> None:
    """Open the store in each file that is named, and say what came of it."""
    say("ready")
    while (path := await told()) is not None:
        try:
            store = SqliteMetadataStore(path)
            await store.ping()
            await store.close()
            say("opened")
        except StorageError as error:
            say(type(error).__name__, error)


async def hold(where: str, key: str, manners: str) -> None:
    """Take a lease; when asked for it, let go of it if *manners* are polite, or say that it is at work if they are busy."""
    leases = leases_at(where)
    asked = asyncio.Event()

    def evicted() -> bool:
        asked.set()
        return manners == "busy"

    lease = await leases.acquire(Ref(tenant=TENANT, key=Key(key)), evicted, 10)
    say("acquired", lease.epoch, lease.forced)
    await asked.wait()
    say("asked")
    if manners == "polite":
        await leases.release(lease)
        say("released")
    await told()
    await leases.close()


WORKERS: dict[str, Callable[..., Awaitable[None]]] = {
    function.__name__: function
    for function in (append, append_until_full, announce_too_much, increment, create, create_until_full, open_stores, hold)
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    asyncio.run(WORKERS[name](*arguments))  # type: ignore[arg-type]  # each of them is a coroutine function
