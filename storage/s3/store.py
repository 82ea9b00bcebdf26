"""Content in a bucket of any S3 server."""

# Theory of operation
# -------------------
#
#     <prefix>attachments/<shard>/<key>-<random>    the content, and the multipart upload that becomes it
#     <prefix>tail/<key>/<offset>-<random>          a piece of the tail: bytes behind the last whole part
#
# There is nothing else in the bucket: the record of the upload keeps the rest (`holdfast.storage.s3.parts.state`), so asking
# for the offset, and beginning to append, call no server.  The modules of this folder, from the inside out: `parts` (the
# arithmetic), `state` (what records keep), `options` (and names), `errors` (a table), `bucket` (calls), `stream` and `reading`,
# `spool` and `buffers`, `publishing` (parts become an object), `appending`, `salvaging`; `inventory` is for `holdfast check`.

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from dataclasses import replace

import boto3

from holdfast.storage.errors import Corrupted, NoSpace, NotFound
from holdfast.storage.ports.content import Checkpoint, unrecorded
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.probe import Probe
from holdfast.storage.records import NO_PARTS, UNKNOWN, Parts, Receipt, State, UploadRecord
from holdfast.storage.s3.appending import Appending, Tools
from holdfast.storage.s3.errors import s3_errors
from holdfast.storage.s3.options import Checksum, ObjectNames, S3Options
from holdfast.storage.s3.parts.plan import TooManyParts, plan_parts
from holdfast.storage.s3.parts.state import PartState
from holdfast.storage.s3.publishing import Publishing
from holdfast.storage.s3.reading import Reading
from holdfast.storage.s3.salvaging import Salvaging
from holdfast.storage.s3.transfer.bucket import Bucket
from holdfast.storage.s3.transfer.buffers import PartBuffers, Portion
from holdfast.storage.s3.transfer.spool import Spool
from holdfast.storage.s3.transfer.stream import Stream
from holdfast.storage.threads import together

SECONDS = 1.0
ANSWER = 2 * SECONDS
# Each write is billed.
WRITE_EVERY = 30 * SECONDS


class S3ByteStore:
    """
    A `holdfast.storage.ports.ByteStore` on S3, for any number of processes.

    `read` of an open upload may have to complete the recorded parts, which cannot be read before.  So its caller holds the
    lease, has recorded what `exposed` returns, and reads by that record.
    """

    def __init__(
        self,
        options: S3Options,
        session: boto3.session.Session | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without a *session*, credentials come from where boto3 finds them."""
        self._limits = options.limits
        with s3_errors("the S3 client could not be made"):
            session = session or boto3.session.Session()
        self.bucket = Bucket(options, session)
        # A ping wants an answer now: it is not repeated, and keeps no thread for long.
        self._asked = Bucket(replace(options, timeout=ANSWER, tries=1, threads=1, patience=0), session)
        self._probe = Probe(self._write, WRITE_EVERY)
        self.names = ObjectNames(options.prefix)
        self.buffers = PartBuffers(options.memory, Spool(options.spool_folder))
        self._reading = Reading(self.bucket, self.names)
        self._publishing = Publishing(self.bucket, self.names, self._reading, self.buffers)
        self._salvaging = Salvaging(self.bucket, self.names, self._reading, self._publishing)
        self._tools = Tools(
            bucket=self.bucket,
            names=self.names,
            buffers=self.buffers,
            reading=self._reading,
            publishing=self._publishing,
            summed=options.checksum == Checksum.CRC32,
            clock=clock,
        )

    async def expect(self, record: UploadRecord) -> None:
        pass  # a bucket does not reveal its free space

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        return await Appending(self._tools, record, self.state(record), checkpoint).run(content)

    async def complete(self, record: UploadRecord) -> None:
        state = self.state(record)
        await self._publishing.publish(record.key, state, record.generation)
        if spare := state.spare(self._tools.clock()):
            await self._publishing.remove(record.key, spare)

    def exposed(self, record: UploadRecord) -> Parts:
        state = self.state(record)
        return replace(state, failover_epoch=UNKNOWN).to_parts() if state.upload else record.parts

    async def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        state = self.state(record)
        if start < stop and stop > state.offset:
            await self._refuse_beyond(record, state, stop)
        published = state.published or record.state is State.COMPLETE
        parts_end = stop if published else min(stop, state.whole)
        if start < parts_end:
            stream = await self._open_parts(record, state, start, parts_end, published=published)
            async with aclosing(stream.blocks()) as blocks:
                async for block in blocks:
                    yield block
        if max(start, parts_end) < stop:
            async with aclosing(self._reading.tail(record.key, state, max(start, parts_end), stop)) as blocks:
                async for block in blocks:
                    yield block

    def file(self, _record: UploadRecord) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def salvage(self, record: UploadRecord) -> Remains:
        state = await self._salvaging.remains(record.key, self.state(record, promised=False))
        return Remains(offset=state.offset, parts=state.to_parts() if state.offset else NO_PARTS)

    async def delete(self, record: UploadRecord) -> None:
        state, key = self.state(record, promised=False), record.key
        remove, abort = self.bucket.remove, self.bucket.abort
        if state.upload:
            await abort(self.names.of(key, state.name), state.upload)
        ends = {"", state.name, *(piece.name for piece in state.pieces), *(each.name for each in state.superseded)}
        await together(*(remove(self.names.of(key, end)) for end in ends))
        # Leftovers of appends whose receipts were never recorded.
        async for pending in self.bucket.uploads(self.names.content_prefix(key)):
            await abort(pending.name, pending.upload)
        for prefix in (self.names.content_prefix(key), self.names.tail_prefix(key)):
            async for found in self.bucket.objects(prefix):
                await remove(found.name)

    async def ping(self) -> None:
        await self._asked.ping()
        await self._probe.make()

    async def close(self) -> None:
        self.bucket.close()
        self._asked.close()
        self.buffers.close()

    async def _write(self) -> None:
        await self._asked.put(self.names.ping, Portion(lambda: b"pong"))

    # Beyond the port.

    def link(self, record: UploadRecord, seconds: int, *, disposition: str | None, content_type: str | None) -> str:
        """Return a URL for downloading complete content from the bucket itself, valid for that many *seconds* for its bearer."""
        return self.bucket.link(
            self.names.of(record.key, self.state(record).name), seconds, disposition, content_type, record.content_encoding
        )

    def state(self, record: UploadRecord, *, promised: bool = True) -> PartState:
        """
        Return the state of an upload; *promised* says that it must have the bytes that the record promises.

        :raises Corrupted: it has not.
        :raises NoSpace: the upload is longer than all parts together.
        """
        try:
            if not record.parts:
                state = PartState(plan=plan_parts(record.length, self._limits), generation=record.generation)
            else:
                state = PartState.from_parts(record.parts)
        except TooManyParts as error:
            if promised:
                raise NoSpace(str(error)) from error
            state = PartState(plan=plan_parts(None, self._limits))
        except Corrupted:
            if promised:
                raise
            state = PartState(plan=plan_parts(None, self._limits))
        if promised and state.offset != record.offset:
            raise Corrupted(f"{record.key} has {state.offset} bytes, not {record.offset}")
        return state

    async def _open_parts(self, record: UploadRecord, state: PartState, start: int, stop: int, *, published: bool) -> Stream:
        try:
            return await self._reading.content(record.key, state, start, stop)
        except NotFound:
            if published:
                raise
        # If it was published meanwhile, or is missing, the read below says so.
        with suppress(Corrupted):
            await self._publishing.seal(record.key, state)
        return await self._reading.content(record.key, state, start, stop)

    async def _refuse_beyond(self, record: UploadRecord, state: PartState, stop: int) -> None:
        if not state.offset and await self.bucket.head(self.names.of(record.key, state.name)) is None:
            raise NotFound(f"there is no content of {record.key}")
        raise Corrupted(f"{record.key} ends at {state.offset}, not at {stop}")
