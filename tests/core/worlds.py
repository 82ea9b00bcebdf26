"""
Everything that `holdfast.service.core.uploads.uploads` needs, over memory and over files, and stores that misbehave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.service.core.access.authorised import Access
from holdfast.service.core.commands import Append, Completes, Create, GetAttachment, GetOffset, Outcome
from holdfast.service.core.limits import Limits
from holdfast.service.core.policies import Policies
from holdfast.service.core.principals import ANYBODY
from holdfast.service.core.timekeeper import Times
from holdfast.service.core.uploads.observer import Observer
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.durability import Durability
from holdfast.storage.errors import LeaseLost, NoSpace, StorageError, Unavailable
from holdfast.storage.keys import new_key
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.content import ByteStore, Checkpoint, unrecorded
from holdfast.storage.ports.leases import Lease, Leases
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.records import Key, Parts, Receipt, Ref, State, Tenant, UploadRecord
from holdfast.storage.sqlite.leases import SqliteLeases
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.core.access.callers import AskedUploads
from tests.core.contents import FakeContent
from tests.storage.backends import NOW, TENANT, content_of

LIMITS = Limits(eviction_wait=5, finish_retry=60, idle_expiry=1000, final_expiry=5000, max_size=1_000_000)
ANYTHING = Access(Policies())


class Clock:
    """The time of a test."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class FaultyByteStore:
    """
    A byte store that is told which of its verbs fail, how often and how, and that can hold appends up.
    """

    def __init__(self, inner: ByteStore) -> None:
        self._inner = self.inner = inner
        self._faults: dict[str, list[StorageError]] = {}
        self.room: int | None = None
        """Bytes that still fit; None for no bound."""
        self.before_append = asyncio.Event()
        """Not set: appends wait before they begin, and say so by *waiting*."""
        self.before_append.set()
        self.waiting = asyncio.Event()

    def fail(self, verb: str, *, times: int = 1, error: StorageError | None = None) -> None:
        """Let the next calls of *verb* fail."""
        self._faults[verb] = [error or Unavailable(f"{verb} is out of order")] * times

    def _try(self, verb: str) -> None:
        faults = self._faults.get(verb)
        if faults:
            raise faults.pop()

    async def expect(self, record: UploadRecord) -> None:
        self._try("expect")
        await self._inner.expect(record)

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        self._try("append")
        if not self.before_append.is_set():
            self.waiting.set()
            await self.before_append.wait()
        if self.room is None:
            return await self._inner.append(record, content, checkpoint)
        receipt = await self._inner.append(record, _at_most(content, self.room), checkpoint)
        self.room -= receipt.received
        if not self.room:
            raise NoSpace("no room is left", receipt)
        return receipt

    def exposed(self, record: UploadRecord) -> Parts:
        return self._inner.exposed(record)

    def file(self, record: UploadRecord) -> AbstractAsyncContextManager[int | None]:
        self._try("file")
        return self._inner.file(record)

    async def complete(self, record: UploadRecord) -> None:
        self._try("complete")
        await self._inner.complete(record)

    def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        self._try("read")
        return self._inner.read(record, start, stop)

    async def salvage(self, record: UploadRecord) -> Remains:
        self._try("salvage")
        return await self._inner.salvage(record)

    async def delete(self, record: UploadRecord) -> None:
        self._try("delete")
        await self._inner.delete(record)

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


class LosingLeases:
    """
    Leases that somebody else always has, and that a newer request always takes first.
    """

    def __init__(self, inner: Leases) -> None:
        self._inner = inner

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        raise LeaseLost(f"a newer request took {ref.key}")

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        await self._inner.release(lease, fenced=fenced)

    async def held(self, ref: Ref) -> bool:
        return True

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


class FrozenLeases:
    """
    The leases of a process that was frozen: nobody in it hears that a newcomer came.
    """

    def __init__(self, inner: Leases) -> None:
        self._inner = inner

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        return await self._inner.acquire(ref, lambda: None, wait)

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        await self._inner.release(lease, fenced=fenced)

    async def held(self, ref: Ref) -> bool:
        return await self._inner.held(ref)

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


async def _at_most(content: AsyncIterator[memoryview], room: int) -> AsyncIterator[memoryview]:
    async for block in content:
        yield block[:room]
        room -= min(len(block), room)
        if not room:
            return


@dataclass(slots=True, kw_only=True)
class World:
    """One set of stores, and the commands of the tests."""

    content: FaultyByteStore
    metadata: MetadataStore
    leases: Leases
    clock: Clock = field(default_factory=Clock)
    times: Times | None = None
    """What says what has expired; None: the clock."""

    def uploads(self, limits: Limits = LIMITS, keys: Callable[[], Key] = new_key) -> AskedUploads:
        """Return the verbs over these stores."""
        leased_uploads = SeparateLeasedUploads(self.metadata, self.leases)
        uploads = Uploads(self.content, self.metadata, leased_uploads, limits, clock=self.clock, times=self.times, keys=keys)
        return AskedUploads(uploads)

    def views(self) -> UploadViews:
        """Return what callers see over these stores."""
        return UploadViews(self.content, self.metadata, lambda **_facts: "", link_life=60, clock=self.clock, times=self.times)

    async def seen(self, ref: Ref) -> UploadRecord:
        """Return an upload as a caller sees it that may see everything."""
        return (await self.views().get(ANYTHING(ANYBODY, GetAttachment(ref=ref)))).record

    def frozen(self) -> World:
        """Return the same world, as a process that was stopped in the middle of its next append sees it."""
        return replace(self, leases=FrozenLeases(self.leases))

    async def create(
        self,
        content: FakeContent,
        completes: Completes = Completes.AT_LENGTH,
        length: int | None = None,
        *,
        tenant: Tenant = TENANT,
        name: str | None = None,
        content_type: str | None = None,
        verify_type: bool = False,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Create an upload with *content*."""
        command = Create(
            tenant=tenant,
            completes=completes,
            length=length,
            content_length=content.length,
            name=name,
            content_type=content_type,
            verify_type=verify_type,
            idempotency_key=idempotency_key,
        )
        return await self.uploads().create(command, content)

    async def empty(self, completes: Completes = Completes.AT_LENGTH, length: int | None = None) -> UploadRecord:
        """Create an upload that nothing came for yet, and whose content may still come."""
        begins = Completes.LATER if completes is Completes.AT_END else completes
        return (await self.create(FakeContent(), begins, length)).record

    async def append(
        self,
        record: UploadRecord,
        content: FakeContent,
        completes: Completes = Completes.AT_LENGTH,
        *,
        offset: int | None = None,
        length: int | None = None,
        compares: bool = False,
        limits: Limits = LIMITS,
        observer: Observer | None = None,
    ) -> Outcome:
        """Append *content* at *offset*, or else where *record* is."""
        command = Append(
            ref=record.ref,
            offset=record.offset if offset is None else offset,
            completes=completes,
            content_length=content.length,
            length=length,
            compares=compares,
        )
        return await self.uploads(limits).append(command, content, observer=observer)

    async def offset(
        self, record: UploadRecord, completes: Completes = Completes.AT_LENGTH, limits: Limits = LIMITS
    ) -> UploadRecord:
        """Ask how far an upload is."""
        return (await self.uploads(limits).offset(GetOffset(ref=record.ref, completes=completes))).record

    async def stored(self, record: UploadRecord) -> UploadRecord:
        """Return the newest facts, whatever they are."""
        return await self.metadata.get(record.ref)

    async def facts(self, record: UploadRecord) -> tuple[State, int]:
        """Return state and offset, as they are stored."""
        found = await self.stored(record)
        return found.state, found.offset

    async def bytes_of(self, record: UploadRecord) -> bytes:
        """Return the content up to the recorded offset."""
        return await content_of(self.content, await self.stored(record))

    async def close(self) -> None:
        """Close the stores."""
        for store in (self.content, self.metadata, self.leases):
            await store.close()


def memory_world(_folder: Path) -> World:
    """Return a world that forgets everything."""
    return World(content=FaultyByteStore(MemoryByteStore()), metadata=MemoryMetadataStore(), leases=MemoryLeases())


def file_world(folder: Path) -> World:
    """Return a world of local files and SQLite."""
    return World(
        content=FaultyByteStore(LocalByteStore(str(folder / "data"), Durability.NONE, threads=4, unrecorded=1)),
        metadata=SqliteMetadataStore(str(folder / "holdfast.sqlite"), Durability.NONE),
        leases=SqliteLeases(str(folder / "leases")),
    )


WORLDS: dict[str, Callable[[Path], World]] = {"memory": memory_world, "files": file_world}


def ref_of(record: UploadRecord, tenant: Tenant) -> Ref:
    """Return how *tenant* would ask for *record*."""
    return Ref(tenant=tenant, key=record.key)
