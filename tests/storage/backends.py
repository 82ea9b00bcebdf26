"""
Every backend that the conformance suites run over, and what the suites speak with.

A store of your own conforms when the suites pass with one more line here.  What can differ is tried: durability is full here, and
what is synced with less of it is counted in tests of its own; Swift, and a Redis that is a cluster or watched by sentinels, are
tried with some tests of each family (`on_swift_too`, `on_every_topology`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from holdfast.storage.durability import Durability
from holdfast.storage.keys import new_key
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.local.inventory import LocalInventory
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.objects import Event
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.inventory import Inventory
from holdfast.storage.ports.leases import Hold, LeasedUploads, Leases
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import Tenant, UploadRecord
from holdfast.storage.s3.inventory import S3Inventory
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.sqlite.leases import SqliteLeases
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.servers.fixtures import Bucket
from tests.storage.places import Place
from tests.storage.redis.stores import SERVERS, redis_desk, redis_leases, redis_metadata
from tests.storage.s3.stores import s3_store

MiB = 1024 * 1024
TENANT = Tenant("1")
OTHER_TENANT = Tenant("2")
NOW = 1_700_000_000.0
SPOILED = 0xEE
TOPOLOGIES = ("redis-cluster", "redis-sentinel")


def local(durability: Durability, place: Place) -> ByteStore:
    """Return a local store below the folder."""
    return LocalByteStore(str(place.folder / "data"), durability, threads=4)


def s3(server: str, place: Place) -> S3ByteStore:
    """Return a store in the bucket that a test shares with others, under a prefix that it has for itself."""
    bucket: Bucket = place.ask(f"{server}_place")
    return s3_store(bucket, memory=4 * MiB, spool_folder=str(place.folder))


def s3_inventory(server: str, place: Place) -> tuple[ByteStore, Inventory]:
    """Return such a store, and its inventory."""
    store = s3(server, place)
    return store, S3Inventory(store)


def twice(store: MemoryByteStore) -> tuple[ByteStore, Inventory]:
    """Return a store that has its inventory in itself."""
    return store, store


def local_inventory(place: Place) -> tuple[ByteStore, Inventory]:
    """Return a local store below the folder, and its inventory."""
    store = LocalByteStore(str(place.folder / "data"), Durability.NONE, threads=4)
    return store, LocalInventory(store)


def sqlite(durability: Durability, place: Place) -> MetadataStore:
    """Return a store in a file below the folder."""
    return SqliteMetadataStore(str(place.folder / "facts" / "holdfast.sqlite"), durability)


def memory_doors(_place: Place) -> Sequence[Leases]:
    """Return one object twice: memory has no other process."""
    leases = MemoryLeases()
    return leases, leases


def sqlite_doors(place: Place) -> Sequence[Leases]:
    """Return one object twice: the claimants are in the same process."""
    leases = SqliteLeases(str(place.folder / "leases"))
    return leases, leases


def sqlite_far_doors(place: Place) -> Sequence[Leases]:
    """Return two objects that know each other by the folder only, as those of two processes do."""
    return SqliteLeases(str(place.folder / "leases")), SqliteLeases(str(place.folder / "leases"))


def redis_doors(fixture: str, place: Place) -> Sequence[Leases]:
    """Return one object twice: the claimants are in the same process."""
    leases = redis_leases(fixture, place)
    return leases, leases


def redis_far_doors(fixture: str, place: Place) -> Sequence[Leases]:
    """Return two objects that know each other by the Redis only, as those of two processes do."""
    return redis_leases(fixture, place), redis_leases(fixture, place)


BYTE_STORES: dict[str, Callable[[Place], ByteStore]] = {
    "memory": lambda _place: MemoryByteStore(),
    "local": partial(local, Durability.ACKNOWLEDGED),
    "s3-moto": partial(s3, "moto"),
    "s3-swift": partial(s3, "swift"),
}

# Each makes a byte store, and its inventory.
INVENTORIES: dict[str, Callable[[Place], tuple[ByteStore, Inventory]]] = {
    "memory": lambda _place: twice(MemoryByteStore()),
    "local": local_inventory,
    "s3-moto": partial(s3_inventory, "moto"),
    "s3-swift": partial(s3_inventory, "swift"),
}

METADATA_STORES: dict[str, Callable[[Place], MetadataStore]] = {
    "memory": lambda _place: MemoryMetadataStore(),
    "sqlite": partial(sqlite, Durability.ACKNOWLEDGED),
    **{name: partial(redis_metadata, fixture) for name, fixture in SERVERS.items()},
}

# Each makes the two doors through which two claimants come.
LEASES: dict[str, Callable[[Place], Sequence[Leases]]] = {
    "memory": memory_doors,
    "sqlite": sqlite_doors,
    "sqlite-far": sqlite_far_doors,
    **{name: partial(redis_doors, fixture) for name, fixture in SERVERS.items()},
    **{f"{name}-far": partial(redis_far_doors, fixture) for name, fixture in SERVERS.items()},
}

# Each makes a desk, and what keeps its facts and its leases.
DESKS: dict[str, Callable[[Place], tuple[LeasedUploads, MetadataStore, Leases]]] = {
    "memory": lambda _place: separate(MemoryMetadataStore(), MemoryLeases()),
    "sqlite": lambda place: separate(sqlite(Durability.NONE, place), SqliteLeases(str(place.folder / "leases"))),
    **{name: partial(redis_desk, fixture) for name, fixture in SERVERS.items()},
}


def usual(backends: Mapping[str, object]) -> Sequence[str]:
    """Return those that every test runs over."""
    return [name for name in backends if name != "s3-swift" and not name.startswith(TOPOLOGIES)]


def everything(backends: Mapping[str, object]) -> Sequence[ParameterSet]:
    """Return all of them; ``-m topology`` chooses the Redis that are more than one server."""
    marked = {True: [pytest.mark.topology], False: []}
    return [pytest.param(name, marks=marked[name.startswith(TOPOLOGIES)]) for name in backends]


def separate(metadata: MetadataStore, leases: Leases) -> tuple[LeasedUploads, MetadataStore, Leases]:
    """Return a desk over two that know nothing of each other, and these two."""
    return SeparateLeasedUploads(metadata, leases), metadata, leases


on_swift_too = pytest.mark.parametrize("store", BYTE_STORES, indirect=True)
on_every_topology = pytest.mark.parametrize("metadata", everything(METADATA_STORES), indirect=True)
leased_on_every_topology = pytest.mark.parametrize("doors", everything(LEASES), indirect=True)


def new_upload(**facts: Any) -> UploadRecord:  # noqa: ANN401  # every field has a type of its own
    """Return the record of an upload that nobody else has."""
    return UploadRecord(**{"tenant": TENANT, "key": new_key(), "created_at": NOW, **facts})


def changed(record: UploadRecord, **facts: Any) -> UploadRecord:  # noqa: ANN401  # see new_upload
    """Return the next revision of *record*."""
    return dataclasses.replace(record, revision=record.revision + 1, **facts)


async def store_upload(store: MetadataStore, record: UploadRecord, events: Sequence[Event] = ()) -> None:
    """Store a new upload."""
    await store.commit([Change(old=None, new=record)], events=events)


async def replace_upload(store: MetadataStore, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
    """Store *new* in the place of *old*."""
    await store.commit([Change(old=old, new=new)], events=events)


async def settle_upload(
    store: MetadataStore, hold: Hold, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()
) -> None:
    """Store *new* in the place of *old*, and let go of the lease in the same step."""
    await store.commit([Change(old=old, new=new)], events=events, release=hold.lease)


def claimed(record: UploadRecord) -> UploadRecord:
    """Return *record* as somebody stores it who passed its holder over."""
    return changed(record, generation=record.generation + 1)


async def blocks(*parts: bytes, trouble: BaseException | None = None) -> AsyncIterator[memoryview]:
    """Yield *parts* in one buffer that is spoiled as soon as the next is asked for; then raise *trouble*."""
    buffer = bytearray(max(map(len, parts), default=0))
    for part in parts:
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]
        buffer[:] = bytes([SPOILED]) * len(buffer)
    if trouble is not None:
        raise trouble


async def appended(store: ByteStore, record: UploadRecord, *parts: bytes) -> UploadRecord:
    """Append *parts*, and return the record that tells of it."""
    receipt = await store.append(record, blocks(*parts))
    return changed(record, offset=record.offset + receipt.received, parts=receipt.parts)


async def content_of(store: ByteStore, record: UploadRecord, start: int = 0, stop: int | None = None) -> bytes:
    """Return the bytes from *start* up to *stop*, or else up to the recorded offset."""
    return b"".join([bytes(block) async for block in store.read(record, start, record.offset if stop is None else stop)])


def cuts(content: bytes) -> Sequence[tuple[bytes, ...]]:
    """Return every way to cut *content* into one, two or three blocks."""
    places = range(1, len(content))
    two = [(content[:at], content[at:]) for at in places]
    three = [(content[:one], content[one:other], content[other:]) for one in places for other in range(one + 1, len(content))]
    return [(content,), *two, *three]


class Held:
    """Content that yields *before*, says that it is waiting, and yields *after* when it may go on."""

    def __init__(self, before: bytes, after: bytes) -> None:
        self._parts = (before, after)
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def blocks(self) -> AsyncIterator[memoryview]:
        before, after = self._parts
        if before:
            yield memoryview(before)
        self.waiting.set()
        await self.go_on.wait()
        yield memoryview(after)
