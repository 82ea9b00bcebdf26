"""Reads the bytes of an upload, in whichever objects they are."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.records import Key
from holdfast.storage.s3.options import ObjectNames
from holdfast.storage.s3.parts.state import PartState
from holdfast.storage.s3.transfer.bucket import Bucket
from holdfast.storage.s3.transfer.buffers import Buffer
from holdfast.storage.s3.transfer.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A range of the content, *start* to *stop*, at *offset* of an object; with its CRC-32 if that is known."""

    name: str
    offset: int
    start: int
    stop: int
    crc: int | None = None


class Reading:
    """Reads content from its object, and tails from their pieces."""

    def __init__(self, bucket: Bucket, names: ObjectNames) -> None:
        self._bucket = bucket
        self._names = names

    async def content(self, key: Key, state: PartState, start: int, stop: int) -> Stream:
        """
        Return a range, of at least one byte, of the object that has the content.

        :raises NotFound: the object does not exist.
        """
        return await self._bucket.open(self._names.of(key, state.name), start, stop)

    async def tail(self, key: Key, state: PartState, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """
        Yield a range of the tail.  A deletion does not disturb a reader that has begun.

        :raises NotFound: a piece is missing.
        :raises Corrupted: a piece differs from what was stored.
        """
        streams: list[tuple[Stream, Source]] = []
        try:
            for source in self._pieces(key, state, start, stop):
                streams.append((await self._open(key, state, source), source))  # noqa: PERF401 - each waits
            for stream, source in streams:
                crc = 0
                async with aclosing(stream.blocks()) as blocks:
                    async for block in blocks:
                        if source.crc is not None:
                            crc = zlib.crc32(block, crc)
                        yield block
                if source.crc is not None and source.crc != crc:
                    raise Corrupted(f"{source.name} differs from what was stored")
        finally:
            for stream, _ in streams:
                stream.close()

    async def fill(self, key: Key, state: PartState, buffer: Buffer) -> None:
        """
        Put the whole tail at the beginning of *buffer*.

        :raises Corrupted: a piece is missing.
        """
        at = 0
        try:
            async with aclosing(self.tail(key, state, state.whole, state.offset)) as blocks:
                async for block in blocks:
                    await buffer.write(at, block)
                    at += len(block)
            buffer.filled = max(buffer.filled, at)
        except NotFound as error:
            raise Corrupted(f"the last bytes of {key} are missing: {error}") from error

    def _pieces(self, key: Key, state: PartState, start: int, stop: int) -> Iterator[Source]:
        at = state.whole
        for piece in state.pieces:
            first, last = max(start, at), min(stop, at + piece.size)
            if first < last:
                crc = piece.crc if last - first == piece.size else None
                yield Source(name=self._names.of(key, piece.name), offset=first - at, start=first, stop=last, crc=crc)
            at += piece.size

    async def _open(self, key: Key, state: PartState, source: Source) -> Stream:
        """Return the bytes of a piece, or of the published content, which contains them once the piece is deleted."""
        try:
            return await self._bucket.open(source.name, source.offset, source.offset + source.stop - source.start)
        except NotFound:
            return await self.content(key, state, source.start, source.stop)
