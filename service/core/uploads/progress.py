"""
How far an append is while it goes on, and when that is recorded.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Callable

from holdfast.service.core import upload as rules
from holdfast.service.core.content.content import NOTHING, Content
from holdfast.service.core.errors import OutOfSpace
from holdfast.service.core.limits import Limits
from holdfast.service.core.uploads.journal import UploadJournal
from holdfast.storage.errors import NoSpace
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import Receipt, UploadRecord

BLOCK = 1024 * 1024


class AppendProgress:
    """
    How far one append is: the record with all that is durable, and what is stored of it.
    """

    def __init__(
        self, journal: UploadJournal, stored: UploadRecord, record: UploadRecord, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._counted = 0
        self.stored = stored
        self.record = record

    def advance(self, receipt: Receipt) -> UploadRecord:
        """
        Return the record with everything that became durable since the append began.
        """
        since = dataclasses.replace(receipt, received=receipt.received - self._counted)
        self._counted = receipt.received
        self.record = rules.advance(self.record, since, self._limits, self._clock())
        return self.record

    async def checkpoint(self, receipt: Receipt) -> None:
        """
        Record what became durable.
        """
        if self.advance(receipt) != self.stored:
            self.stored = self.record = await self._journal.replace(self.stored, self.record)

    async def store(self, store: ByteStore, content: Content, room: int) -> tuple[UploadRecord, UploadRecord]:
        """
        Store up to *room* bytes of content; return the record as it is stored, and as it is with all that is durable.

        :raises OutOfSpace: there is no room for more; what did become durable is recorded.
        """
        try:
            if content.is_awaited:
                await store.expect(self.record)
            receipt = await store.append(self.record, blocks_of(content, room, self._limits), self.checkpoint)
        except NoSpace as error:
            if error.receipt is not None:
                await self.checkpoint(error.receipt)
            raise OutOfSpace("there is no room for more", self.stored) from error
        return self.stored, self.advance(receipt)


async def blocks_of(content: Content, room: int, limits: Limits) -> AsyncIterator[memoryview]:
    """
    Yield up to *room* bytes of content; an empty block now and then, and when it pauses, asks to have them recorded.
    """
    passed = asked = 0
    until = time.monotonic() + limits.checkpoint_seconds
    paused = False
    while passed < room and not content.ended:
        if paused or passed - asked >= limits.checkpoint_bytes or time.monotonic() >= until:
            asked, until = passed, time.monotonic() + limits.checkpoint_seconds
            yield NOTHING
        block = await content.read(min(room - passed, BLOCK))
        paused = not block
        if block:
            passed += len(block)
            yield block
        elif content.stopped is not None:
            return
