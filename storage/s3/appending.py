"""One append: content is cut into parts, which are sent while the next ones are received."""

# Theory of operation
# -------------------
#
# Blocks are copied into the buffer of a part.  A task sends each full buffer while the next one fills; with `IN_FLIGHT` of them
# on their way, reading pauses.  Parts arrive in any order; what counts is the run of parts without gaps.  Whenever that grows,
# the checkpoint is called; while a call lasts, one more follows, however many parts arrive.
#
# When the content ends, the rest, less than a part, becomes the last part if the upload is complete then, and otherwise one
# more piece of the tail.  If it is the whole upload, it becomes the object itself, by one call.  (Not if its beginning is in
# pieces: then `complete` joins them, under the name that every record of this upload knows.)
#
# A part that cannot be sent ends the append: the parts before it count, the others are dropped, and the next append sends them
# again under the same numbers.  Nothing is in flight any more when `run` returns or raises.

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from holdfast.storage.errors import NoSpace, StorageError, Unavailable
from holdfast.storage.ports.content import Checkpoint
from holdfast.storage.records import UNKNOWN, Receipt, UploadRecord
from holdfast.storage.s3.errors import MultipartGone
from holdfast.storage.s3.options import ObjectNames
from holdfast.storage.s3.parts.plan import TooManyParts
from holdfast.storage.s3.parts.state import Part, PartState, Piece, Sums
from holdfast.storage.s3.publishing import Publishing
from holdfast.storage.s3.reading import Reading
from holdfast.storage.s3.transfer.bucket import Bucket
from holdfast.storage.s3.transfer.buffers import Buffer, PartBuffers
from holdfast.storage.threads import ended, together

IN_FLIGHT = 4
MOST_PIECES = 8
RENEWALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all appends of a store share."""

    bucket: Bucket
    names: ObjectNames
    buffers: PartBuffers
    reading: Reading
    publishing: Publishing
    summed: bool
    """Whether parts get a CRC-32."""
    clock: Callable[[], float]
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A part that is being filled: its number, its offset in the content, and its buffer."""

    number: int
    start: int
    buffer: Buffer


class Appending:
    """One append to the upload of *record*, from its recorded *state*."""

    def __init__(self, tools: Tools, record: UploadRecord, state: PartState, checkpoint: Checkpoint) -> None:
        self._tools = tools
        self._record = record
        self._base = state
        self._outdated = state.outdated(tools.clock())
        self._state = state.without(self._outdated)
        # Whether it is certain that no process completed the multipart upload without recording it.
        self._sure = not state.name or state.failover_epoch == record.failover_epoch != UNKNOWN
        self._summed = state.parts[0].crc is not None if state.parts else tools.summed
        self._position = record.offset
        self._filling: Filled | None = None
        self._flying: dict[asyncio.Task[None], int] = {}
        # By number: how the state changes once all parts before have arrived, and the multipart upload that the part was sent
        # to.
        self._early: dict[int, tuple[Callable[[PartState], PartState], str]] = {}
        self._failed: tuple[int, StorageError] | None = None
        self._lock = asyncio.Lock()
        self._begun: list[PartState] = []
        self._checkpoint = checkpoint
        self._recorded = state.offset
        self._recording: asyncio.Task[None] | None = None
        self._ending = False

    async def run(self, content: AsyncIterator[memoryview]) -> Receipt:
        """Store *content*, and return what is durable; see `holdfast.storage.ports.ByteStore.append`."""
        try:
            await self._receive(content)
            await self._end()
        except BaseException:
            await ended(self._flying if self._recording is None else [*self._flying, self._recording])
            raise
        finally:
            if self._filling is not None:
                self._filling.buffer.release()
            await self._forget_the_unused()
        return self._receipt()

    def _receipt(self) -> Receipt:
        received = self._state.offset - self._base.offset
        state = dataclasses.replace(self._state, failover_epoch=self._record.failover_epoch) if self._sure else self._state
        return Receipt(received=received, parts=state.to_parts() if received else self._record.parts)

    # Receiving.

    async def _receive(self, content: AsyncIterator[memoryview]) -> None:
        async for block in content:
            if self._is_over():
                return
            if not block and self._filling is not None:
                await self._filling.buffer.relax()
            room = self._room
            rest = block if room is None else block[:room]
            while rest and not self._is_over():
                try:
                    rest = rest[await self._take(rest) :]
                except StorageError as error:
                    self._fail(self._state.plan.most + 1, error)

    async def _take(self, block: memoryview) -> int:
        """Copy as much of *block* as fits into the part; send the part once it is full."""
        filling = self._filling = self._filling or await self._next()
        taken = await filling.buffer.add(block)
        self._position += taken
        if filling.buffer.is_full and self._room != 0:
            while len(self._flying) >= IN_FLIGHT:
                await self._land()
            self._filling = None
            self._fly(self._send_part, filling)
        return taken

    @property
    def _room(self) -> int | None:
        """Bytes that may still come; None while the length is unknown."""
        return None if self._record.length is None else max(0, self._record.length - self._position)

    async def _next(self) -> Filled:
        """Return the part at the current position; in memory, unless no memory is free and nothing is in flight to free some."""
        plan, buffers = self._state.plan, self._tools.buffers
        try:
            number = plan.number_at(self._position)
        except TooManyParts as error:
            raise NoSpace(str(error)) from error
        start, size = plan.start_of(number), plan.size_of(number)
        front = self._position - start
        if self._room is not None:
            size = min(size, front + self._room)
        while (buffer := buffers.in_memory(size, front)) is None and self._flying:
            await self._land()
        return Filled(number=number, start=start, buffer=buffer or buffers.in_spool(size, front))

    async def _end(self) -> None:
        """Send the rest, wait for everything in flight, and raise the first error."""
        moved = bool(self._base.upload) and self._base.upload != self._state.upload
        self._ending = not moved  # after a move, record once more than needed before anything is deleted
        last = self._filling
        if self._failed is None and last is not None:
            self._filling = None
            if self._room != 0:
                self._fly(self._send_piece, last)
            elif last.number > 1:
                self._fly(self._send_part, last)
            else:
                self._fly(self._send_piece if self._record.offset else self._send_all, last)
        outdated = self._outdated if self._position > self._record.offset else ()
        await together(self._land_all(), self._tools.publishing.remove(self._record.key, outdated))
        if self._recording is not None:
            await self._recording
        if self._failed is not None:
            await self._fall_short(self._failed[1])

    async def _fall_short(self, error: StorageError) -> None:
        if isinstance(error, NoSpace):
            raise NoSpace(str(error), self._receipt()) from error
        if self._state.offset > self._recorded:
            await self._checkpoint(self._receipt())
        raise error

    # In flight.

    def _fly(self, work: Callable[[Filled], Awaitable[None]], filled: Filled) -> None:
        async def carry() -> None:
            try:
                await work(filled)
            except StorageError as error:
                self._fail(filled.number, error)

        task = asyncio.create_task(carry())
        task.add_done_callback(lambda _: filled.buffer.release())
        self._flying[task] = filled.number

    async def _land(self) -> None:
        """Wait until at least one part has arrived."""
        done, _ = await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._flying[task]
            if not task.cancelled():
                task.result()

    async def _land_all(self) -> None:
        while self._flying:
            await self._land()

    def _fail(self, number: int, error: StorageError) -> None:
        """Give up the parts after one that cannot be sent."""
        if self._failed is None or number < self._failed[0]:
            self._failed = number, error
            for task, other in self._flying.items():
                if other > number:
                    task.cancel()

    def _is_over(self) -> bool:
        """Say whether the append has failed; raise an error of the checkpoint."""
        if self._recording is not None and self._recording.done():
            self._recording.result()
        return self._failed is not None

    async def _send_part(self, filled: Filled) -> None:
        part, upload = await self._send(filled)
        size = filled.buffer.filled
        self._arrive(filled.number, lambda state: self._without_tail(state).with_part(part, size), upload)

    async def _send(self, filled: Filled) -> tuple[Part, str]:
        """Put the pieces before a part into it, and send it to the multipart upload, or to a new one if that is gone."""
        if filled.buffer.front:
            await self._tools.reading.fill(self._record.key, self._base, filled.buffer)
        portion = filled.buffer.portion(0, summed=self._summed)
        gone = ""
        for _ in range(RENEWALS):
            current = await self._upload(gone)
            name = self._tools.names.of(self._record.key, current.name)
            try:
                part = await self._tools.bucket.send(name, current.upload, filled.number, portion)
            except MultipartGone:
                gone = current.upload
                continue
            if current.upload == self._state.upload:
                return part, current.upload
        raise Unavailable(f"the multipart upload of {self._record.key} ended {RENEWALS} times: does another program abort it?")

    async def _send_all(self, filled: Filled) -> None:
        end, size = self._tools.names.new_content(), filled.buffer.filled
        part = await self._tools.bucket.put(
            self._tools.names.of(self._record.key, end), filled.buffer.portion(0, summed=self._summed)
        )
        begun = dataclasses.replace(self._state, generation=self._record.generation, name=end, upload="")
        self._arrive(filled.number, lambda _: begun.with_part(part, size))

    async def _send_piece(self, filled: Filled) -> None:
        buffer = filled.buffer
        merged = bool(buffer.front) and len(self._base.pieces) >= MOST_PIECES
        if merged:
            await self._tools.reading.fill(self._record.key, self._base, buffer)
        start = 0 if merged else buffer.front
        end = self._tools.names.new_piece(filled.start + start)
        part = await self._tools.bucket.put(
            self._tools.names.of(self._record.key, end), buffer.portion(start, summed=self._summed)
        )
        piece = Piece(name=end, size=buffer.filled - start, etag=part.etag, crc=part.crc)
        before = self._without_tail if merged else self._named
        self._arrive(filled.number, lambda state: before(state).with_piece(piece))

    def _without_tail(self, state: PartState) -> PartState:
        return state.without_tail(self._tools.clock())

    def _named(self, state: PartState) -> PartState:
        """Return *state* with a name to publish the content under."""
        if state.name:
            return state
        return dataclasses.replace(state, generation=self._record.generation, name=self._tools.names.new_content())

    def _arrive(self, number: int, change: Callable[[PartState], PartState], upload: str = "") -> None:
        self._early[number] = change, upload
        while (arrived := self._early.pop(len(self._state.parts) + 1, None)) is not None:
            self._state = arrived[0](self._state)
            self._record_soon()

    # The multipart upload.

    async def _upload(self, gone: str) -> PartState:
        """Return the state with a multipart upload of its generation that is not *gone*."""
        async with self._lock:
            state = self._state
            is_mine = state.generation == self._record.generation and not await self._is_published(state)
            if is_mine and state.upload not in {"", gone}:
                return state
            if not state.parts:
                begun = await self._begin(state, state.name if is_mine else "")
                if state.name and not is_mine:
                    begun = begun.superseding([state.name], self._tools.clock())
            else:
                begun = await self._tools.publishing.move(self._record.key, state, self._record.generation)
                begun = begun.superseding([state.name], self._tools.clock())
            self._begun.append(begun)
            if any(upload for _, upload in self._early.values()) or len(self._state.parts) != len(state.parts):
                # Parts arrived in the upload that is gone, and are lost.
                raise Unavailable(f"another process ended the multipart upload of {self._record.key}: try again")
            self._state, self._sure = begun, True
            return begun

    async def _is_published(self, state: PartState) -> bool:
        """
        Say whether the multipart upload became an object: its parts were sealed, or its record taken back.

        Sending a part would not show it: Swift accepts parts of a completed upload, and damages the object by that.
        """
        if self._sure:
            return False
        published = await self._tools.bucket.head(self._tools.names.of(self._record.key, state.name)) is not None
        self._sure = not published
        return published

    async def _begin(self, state: PartState, end: str) -> PartState:
        end = end or self._tools.names.new_content()
        upload, sums = await self._tools.bucket.begin(self._tools.names.of(self._record.key, end), summed=self._summed)
        return dataclasses.replace(state, generation=self._record.generation, name=end, upload=upload, sums=sums)

    async def _forget_the_unused(self) -> None:
        """Abort the multipart uploads that this append began and does not use."""
        used = self._state.upload if self._state.parts and self._state.offset > self._base.offset else ""
        for begun in self._begun:
            if begun.upload != used:
                await self._tools.publishing.forget_upload(self._record.key, begun.name, begun.upload)
                if self._state.upload == begun.upload:
                    self._state = dataclasses.replace(self._state, upload="", sums=Sums.NONE)

    # The checkpoint.

    def _record_soon(self) -> None:
        if not self._ending and (self._recording is None or (self._recording.done() and not self._recording.exception())):
            self._recording = asyncio.create_task(self._record_progress())

    async def _record_progress(self) -> None:
        while self._state.offset > self._recorded and not self._ending:
            offset = self._state.offset
            await self._checkpoint(self._receipt())
            self._recorded = offset
