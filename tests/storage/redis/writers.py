"""
Somebody who goes on writing whatever happens, and knows what was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from storage.errors import PreconditionFailed, Unavailable
from storage.objects import Event
from storage.ports import MetadataStore
from storage.records import UploadRecord
from tests.storage.backends import changed, new_upload
from tests.storage.test_metadata_store_objects import new_event


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
    async def begin(cls, metadata: MetadataStore) -> Writer:
        """Return a writer whose record is there."""
        record = new_upload()
        await metadata.create(record)
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

    async def _write(self, over: asyncio.Event) -> None:
        while not over.is_set():
            new = changed(self.record, offset=self.record.offset + 1)
            event = new_event(attachment=new.key, data=str(new.revision))
            try:
                await self.metadata.replace(self.record, new, [event])
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
