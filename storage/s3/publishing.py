"""How parts and pieces become an object, and how a lost answer is resolved."""

# Theory of operation
# -------------------
#
# A multipart upload is completed with the recorded ETags, so what other processes sent to it is refused or left out.  If the
# answer is lost, or the upload is gone, only the object itself can tell: it must have the size, and the ETag (for an upload,
# the MD5 of the MD5s of its parts) or the CRC-32 that follow from the record; otherwise it is read back.  An upload that is
# gone never counts as success by itself.
#
# *Sealing* completes an upload before its content has come, because its parts cannot be read before.  What follows the sealed
# parts then needs another multipart upload, whose first parts the server copies from the sealed object:
#
# * an append *moves* the parts to a new name, which its receipt records;
# * `publish` has no receipt, so it replaces the sealed object by the whole.
#
# The fence does the same.  A new holder that fences an unresponsive one off must not go on in its multipart upload: the old
# holder may be sending a part right now, and some servers accept it even while the upload is being completed.  The recorded
# parts are safe, since no process sends a recorded part again.

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import zlib
from collections.abc import Sequence
from contextlib import aclosing, suppress

from holdfast.storage.errors import Corrupted, NotFound, StorageError
from holdfast.storage.records import Key
from holdfast.storage.s3.errors import MultipartGone, PartsDiffer, Passing
from holdfast.storage.s3.options import ObjectNames
from holdfast.storage.s3.parts.state import Extent, Part, PartState, Sums, is_md5
from holdfast.storage.s3.reading import Reading
from holdfast.storage.s3.transfer.bucket import Bucket, StoredObject
from holdfast.storage.s3.transfer.buffers import NOTHING, Buffer, PartBuffers
from holdfast.storage.threads import together

COPIES_AT_ONCE = 4
ROUNDS = 3


class Publishing:
    """Makes objects of what is durable."""

    def __init__(self, bucket: Bucket, names: ObjectNames, reading: Reading, buffers: PartBuffers) -> None:
        self._bucket = bucket
        self._names = names
        self._reading = reading
        self._buffers = buffers

    async def publish(self, key: Key, state: PartState, generation: int) -> None:
        """
        Make an object of all parts and pieces under the name of *state*, for a record of that *generation*.

        :raises Corrupted: something is missing.
        """
        if not state.offset:
            await self._bucket.put(self._names.of(key, ""), NOTHING)
        elif state.published:
            pass
        elif not state.parts:
            await self._publish_tail(key, state)
        elif not state.pieces:
            await self.seal(key, state)
        else:
            await self._publish_both(key, state, generation)

    async def seal(self, key: Key, state: PartState) -> None:
        """
        Make an object of the parts.

        :raises Corrupted: they are missing.
        """
        state = dataclasses.replace(state, pieces=())
        name = self._names.of(key, state.name)
        try:
            etag = await self._finish(name, state)
        except (MultipartGone, PartsDiffer, Passing) as error:
            await self._refuse_other(key, state, error)
            return
        if etag != _etag_of(state.parts):
            found = await self._bucket.head(name)
            if found is None or found.size != state.whole or (None not in (found.crc, state.crc) and found.crc != state.crc):
                raise Corrupted(f"the server made a different object of the parts of {key}")

    async def move(self, key: Key, state: PartState, generation: int) -> PartState:
        """
        Copy the parts to a new multipart upload under a new name; the source stays.

        :raises Corrupted: they are missing.
        """
        name = self._names.of(key, state.name)
        # A later state, which the record lost, may have completed it: that begins with the recorded parts, or the copies
        # differ.
        with suppress(MultipartGone, Passing):
            await self._finish(name, dataclasses.replace(state, pieces=()))
        found = await self._bucket.head(name)
        if found is None or found.size < state.whole:
            raise Corrupted(_lost(key))
        end = self._names.new_content()
        upload, sums = await self._bucket.begin(self._names.of(key, end), summed=state.parts[0].crc is not None)
        try:
            parts = await self._copy_parts(key, state, self._names.of(key, end), upload)
        except BaseException:
            await self.forget_upload(key, end, upload)
            raise
        return dataclasses.replace(
            state,
            generation=generation,
            name=end,
            upload=upload,
            sums=sums,
            parts=parts,
        )

    async def has_parts(self, key: Key, state: PartState) -> bool:
        """
        Say whether an object under the name of *state* begins with its parts.

        :raises Unavailable: the server does not answer.
        """
        parts = dataclasses.replace(state, pieces=())
        found = await self._bucket.head(self._names.of(key, state.name))
        try:
            if found is None or found.size < parts.whole:
                return False
            if found.size == parts.whole:
                return await self._is_same(key, parts, found)
            return all([await self._is_stored(key, parts, extent) for extent in parts.extents()])
        except (NotFound, Corrupted):
            return False

    async def remove(self, key: Key, ends: Sequence[str]) -> None:
        """Delete objects that are no longer needed; the sweeper finds those that cannot be deleted now."""

        async def one(end: str) -> None:
            with suppress(StorageError):
                await self._bucket.remove(self._names.of(key, end), insist=False)

        await together(*map(one, ends))

    async def forget_upload(self, key: Key, end: str, upload: str) -> None:
        """Abort a multipart upload of which nothing is recorded."""
        with suppress(StorageError):
            await self._bucket.abort(self._names.of(key, end), upload, insist=False)

    async def _finish(self, name: str, state: PartState) -> str:
        crc = state.crc if state.sums is Sums.WHOLE else None
        return await self._bucket.finish(name, state.upload, state.parts, state.whole, state.sums, crc)

    async def _publish_tail(self, key: Key, state: PartState) -> None:
        name = self._names.of(key, state.name)
        if len(state.pieces) == 1:
            try:
                await self._bucket.copy(self._names.of(key, state.pieces[0].name), name)
            except NotFound as error:
                await self._refuse_other(key, state, error)
            return
        buffer = await self._gather(key, state)
        try:
            await self._bucket.put(name, buffer.portion(0, summed=state.crc is not None))
        finally:
            buffer.release()

    async def _publish_both(self, key: Key, state: PartState, generation: int) -> None:
        """Publish parts and tail: in the multipart upload of the parts if it is unharmed, else in place of the sealed parts."""
        name = self._names.of(key, state.name)
        found = await self._bucket.head(name)
        if found is None and generation == state.generation:
            with suppress(MultipartGone, NotFound):
                last = await self._send_tail(key, state, state.upload)
                await self.seal(key, last)
                return
        for _ in range(ROUNDS):
            if found is not None and found.size == state.offset and await self._is_same(key, state, found):
                return
            with suppress(MultipartGone):
                await self.seal(key, state)
                break
            found = await self._bucket.head(name)
        upload, sums = await self._bucket.begin(name, summed=state.parts[0].crc is not None)
        try:
            parts = await self._copy_parts(key, state, name, upload)
            again = dataclasses.replace(state, upload=upload, sums=sums, parts=parts)
            await self.seal(key, await self._send_tail(key, again, upload))
        except BaseException:
            await self.forget_upload(key, state.name, upload)
            raise

    async def _send_tail(self, key: Key, state: PartState, upload: str) -> PartState:
        """Make the tail the last part of a multipart upload."""
        name, number, size = self._names.of(key, state.name), len(state.parts) + 1, state.offset - state.whole
        whole = dataclasses.replace(state, pieces=())
        if len(state.pieces) == 1:
            piece = state.pieces[0]
            extent = Extent(start=0, size=size, etag=piece.etag, crc=piece.crc)
            etag = await self._bucket.copy_part(self._names.of(key, piece.name), extent, name, upload, number)
            return whole.with_part(Part(etag=etag, crc=piece.crc), size)
        buffer = await self._gather(key, state)
        try:
            summed = state.parts[0].crc is not None
            return whole.with_part(await self._bucket.send(name, upload, number, buffer.portion(0, summed=summed)), size)
        finally:
            buffer.release()

    async def _gather(self, key: Key, state: PartState) -> Buffer:
        """Return the whole tail."""
        size = state.offset - state.whole
        buffer = self._buffers.in_memory(size, 0) or self._buffers.in_spool(size, 0)
        try:
            await self._reading.fill(key, state, buffer)
        except BaseException:
            buffer.release()
            raise
        return buffer

    async def _copy_parts(self, key: Key, state: PartState, name: str, upload: str) -> tuple[Part, ...]:
        source = self._names.of(key, state.name)
        gate = asyncio.Semaphore(COPIES_AT_ONCE)

        async def one(number: int, extent: Extent) -> Part:
            async with gate:
                try:
                    etag = await self._bucket.copy_part(source, extent, name, upload, number)
                except NotFound as error:
                    raise Corrupted(_lost(key)) from error
                if etag != extent.etag and not await self._is_stored(key, state, extent):
                    raise Corrupted(f"part {number} of {key} is not what was stored")
                return Part(etag=etag, crc=extent.crc)

        extents = dataclasses.replace(state, pieces=()).extents()
        return tuple(await together(*(one(number, extent) for number, extent in enumerate(extents, 1))))

    async def _refuse_other(self, key: Key, state: PartState, error: StorageError) -> None:
        """Return if the object has exactly the bytes of *state*; else raise why it does not, or *error*."""
        found = await self._bucket.head(self._names.of(key, state.name))
        if found is None:
            raise Corrupted(_lost(key)) if isinstance(error, MultipartGone | NotFound) else error
        if found.size != state.offset:
            raise MultipartGone(f"{key} was published with {found.size} bytes, not {state.offset}") from error
        if not await self._is_same(key, state, found):
            raise Corrupted(f"{key} was published with different bytes") from error

    async def _is_same(self, key: Key, state: PartState, found: StoredObject) -> bool:
        if not state.pieces and found.etag == _etag_of(state.parts):
            return True
        if found.crc is not None and state.crc is not None:
            return found.crc == state.crc
        for extent in state.extents():
            if not await self._is_stored(key, state, extent):
                return False
        return True

    async def _is_stored(self, key: Key, state: PartState, extent: Extent) -> bool:
        """Read a part or a piece back from the object, and compare it with its record."""
        crc, md5 = 0, hashlib.md5(usedforsecurity=False)
        stream = await self._reading.content(key, state, extent.start, extent.start + extent.size)
        async with aclosing(stream.blocks()) as blocks:
            async for block in blocks:
                if extent.crc is not None:
                    crc = zlib.crc32(block, crc)
                else:
                    md5.update(block)
        return crc == extent.crc if extent.crc is not None else md5.hexdigest() == extent.etag


def _lost(key: Key) -> str:
    return f"the multipart upload of {key} and its object are missing: did another program or a bucket rule abort or delete them?"


def _etag_of(parts: Sequence[Part]) -> str | None:
    """Return the ETag that a server whose ETags are MD5s gives an object made of *parts*; None for other servers."""
    if not all(is_md5(part.etag) for part in parts):
        return None
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
