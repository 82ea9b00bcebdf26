"""One append: content is compared or stored, and its offset is recorded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Callable

from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import Authorised
from holdfast.service.core.commands import Append
from holdfast.service.core.content.content import NOTHING, Content
from holdfast.service.core.errors import AlreadyComplete, ContentConflict, LengthMismatch, OutOfSpace
from holdfast.service.core.limits import Limits
from holdfast.service.core.uploads import admission
from holdfast.service.core.uploads.admission import Admitted
from holdfast.service.core.uploads.journal import Held, UploadJournal
from holdfast.service.core.uploads.observer import Report
from holdfast.storage.errors import NoSpace
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import Receipt, State, UploadRecord

BLOCK = 1024 * 1024


class AppendProgress:
    """The progress of one append: `record` has everything durable, `stored` is the recorded part.  The caller holds the lease."""

    def __init__(
        self,
        store: ByteStore,
        journal: UploadJournal,
        admitted: Admitted,
        limits: Limits,
        clock: Callable[[], float],
        report: Report | None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._room = admitted.room
        self._overlap = admitted.overlap
        self._limits = limits
        self._clock = clock
        self._report = report
        self._counted = 0
        self.stored = admitted.stored
        self.record = admitted.record

    async def receive(self, asked: Authorised[Append], content: Content, held: Held) -> UploadRecord:
        """
        Store content, up to the room; record the offset now and then, and at the end.

        :raises UploadError: see `holdfast.service.core.errors`; what became durable is recorded.
        """
        if self._report is not None:
            self._report.advanced(self.stored)
        if self._overlap:
            if self.stored.state is State.OPEN and (parts := self._store.exposed(self.stored)) != self.stored.parts:
                self.stored = await self._journal.replace(self.stored, dataclasses.replace(self.stored, parts=parts))
                self.record = dataclasses.replace(self.record, parts=parts, revision=self.stored.revision)
            if not await self._repeats(asked.command, content):
                return self.stored
        if self._room and not content.ended:
            before = self.record.offset
            await self._append(content)
            self._room -= self.record.offset - before
        if not self._room:
            await self._receive_end(content)
        recorded = await self._record_end(asked, content, held)
        if self._report is not None:
            self._report.advanced(recorded)
        return recorded

    def _advance(self, receipt: Receipt) -> None:
        """Add what became durable since the last receipt."""
        since = dataclasses.replace(receipt, received=receipt.received - self._counted)
        self._counted = receipt.received
        self.record = rules.advance(self.record, since, self._limits, self._clock())

    async def _checkpoint(self, receipt: Receipt) -> None:
        """Record what became durable."""
        self._advance(receipt)
        if self.record != self.stored:
            await self._record()

    async def _record(self) -> None:
        self.stored = self.record = await self._journal.replace(self.stored, self.record)
        if self._report is not None:
            self._report.advanced(self.stored)

    async def _append(self, content: Content) -> None:
        """Store content up to the room; if the disk is full, record what became durable."""
        try:
            if content.is_awaited:
                await self._store.expect(self.record)
            blocks = blocks_of(content, self._room, self._limits)
            self._advance(await self._store.append(self.record, blocks, self._checkpoint))
        except NoSpace as error:
            if error.receipt is not None:
                await self._checkpoint(error.receipt)
            raise OutOfSpace("there is no room for more", self.stored) from error

    async def _receive_end(self, content: Content) -> None:
        """Wait until content that has used up its room ends."""
        while not content.ended:
            # Also for stopped content: bytes beyond the length have come, whatever happened to the connection.
            if await content.read(1):
                admission.refuse_overrun(self.stored, self.record, self._limits)
            if content.stopped is not None:
                break
            if self.record != self.stored and not content.ended:
                await self._record()  # only the end of the coding is missing, and late

    async def _record_end(self, asked: Authorised[Append], content: Content, held: Held) -> UploadRecord:
        """Record the final offset, and in the same revision whether the upload has all its bytes."""
        record = self.record
        try:
            if rules.is_filled(record, asked.command.completes, ended=content.ended):
                record = rules.fill(record, self._limits, self._clock())
        except LengthMismatch as error:
            error.record = await self._journal.replace(self.stored, record)
            raise
        if record == self.stored:
            return record
        if record.state is State.OPEN:
            return await self._journal.settle(held, self.stored, record, asked.by)
        return await self._journal.replace(self.stored, record, asked.by)

    async def _repeats(self, command: Append, content: Content) -> bool:
        """Compare content with the stored bytes that it repeats; return whether it goes on after them."""
        at = command.offset
        end = at + self._overlap
        while at < end:
            block = await content.read(min(end - at, BLOCK))
            if not block and (content.ended or content.stopped is not None):
                return False
            compared = 0
            async for known in self._store.read(self.stored, at, at + len(block)):
                if block[compared : compared + len(known)] != known:
                    if self.stored.state is State.COMPLETE:
                        raise AlreadyComplete("the upload is complete, with other bytes", self.stored)
                    raise ContentConflict(f"bytes from {at + compared} on differ from the stored ones", self.stored)
                compared += len(known)
            at += len(block)
        return True


async def blocks_of(content: Content, room: int, limits: Limits) -> AsyncIterator[memoryview]:
    """Yield up to *room* bytes of content; an empty block, now and then and when the content pauses, asks for a checkpoint."""
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
