"""
Somebody who goes on writing whatever happens, and knows what was acknowledged; and how one sees that a store lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from holdfast.storage.errors import PreconditionFailed, StorageError, Unavailable
from holdfast.storage.objects import Event
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Tenant, UploadRecord
from holdfast.storage.redis.stores import RedisStores, open_redis
from tests.storage.backends import NOW, TENANT, changed, new_upload, replace_upload, settle_upload, store_upload
from tests.storage.ports.test_metadata_store_objects import new_event

LONG = 10.0  # seconds


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStores]:
    """Open the stores at *url*, and close them."""
    stores = open_redis(url)
    yield stores
    await stores.leases.close()
    await stores.metadata.close()


async def lives(stores: RedisStores, tenant: Tenant = TENANT) -> None:
    """Do some of everything, until it works; that has to be soon."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                await stores.metadata.ping()
                await stores.leases.ping()
                break
            except StorageError:
                await asyncio.sleep(0.05)
    record = new_upload(tenant=tenant, expires_at=NOW)
    await store_upload(stores.metadata, record)
    asked = asyncio.Event()
    hold = await stores.leased_uploads.hold(record.ref, lambda _record: None, asked.set, LONG)
    second = asyncio.create_task(stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG))
    async with asyncio.timeout(LONG):
        await asked.wait()
    await settle_upload(stores.metadata, hold, record, changed(record, offset=1))
    newer = await second
    await stores.leases.release(newer.lease)

    assert record.key in {due.key for due in await stores.metadata.due(NOW, 10_000)}
    assert (1, False) == (newer.record.offset, newer.lease.forced)


@dataclass(slots=True)
class Writer:
    """Replaces one record again and again, each time with an event that tells the new revision."""

    metadata: MetadataStore
    record: UploadRecord
    acknowledged: int = 0
    highest: int = 0
    """The highest revision that was acknowledged."""
    failures: list[Exception] = field(default_factory=list)

    @classmethod
    async def begin(cls, metadata: MetadataStore, tenant: Tenant = TENANT) -> Writer:
        """Return a writer whose record is there."""
        record = new_upload(tenant=tenant)
        await store_upload(metadata, record)
        return cls(metadata, record)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write while the block runs."""
        over = asyncio.Event()
        task = asyncio.create_task(self._write(over))
        try:
            yield
        finally:
            over.set()
            await task

    async def goes_on(self) -> None:
        """Wait until some more was acknowledged."""
        at = self.acknowledged
        async with asyncio.timeout(LONG):
            while self.acknowledged < at + 10:
                await asyncio.sleep(0.01)

    async def _write(self, over: asyncio.Event) -> None:
        while not over.is_set():
            new = changed(self.record, offset=self.record.offset + 1)
            event = new_event(tenant=new.tenant, attachment=new.key, data=str(new.revision))
            try:
                await replace_upload(self.metadata, self.record, new, [event])
                self.acknowledged += 1
                self.highest = new.revision
                self.record = new
            except (Unavailable, PreconditionFailed) as error:
                self.failures.append(error)
                await self._read()
            await asyncio.sleep(0)

    async def _read(self) -> None:
        """Find out where the record is, as everybody has to after an error."""
        try:
            self.record = await self.metadata.get(self.record.ref)
        except Unavailable as error:
            self.failures.append(error)

    async def check(self, *, may_lose: bool) -> None:
        """Make sure that each revision has one event, and that none that was acknowledged is missing, unless it may be."""
        record = await self.metadata.get(self.record.ref)
        events = await self._events()

        assert [str(number + 1) for number in range(record.revision)] == [event.data for event in events]
        assert record.revision == record.offset
        if not may_lose:
            assert record.revision >= self.highest

    async def _events(self) -> list[Event]:
        found: list[Event] = []
        position = ""
        while page := await self.metadata.events(self.record.tenant, position, 1000, self.record.key):
            found += [logged.event for logged in page]
            position = page[-1].position
        return found
