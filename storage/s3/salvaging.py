"""Finds what is left of an upload whose bytes another program deleted."""

from __future__ import annotations

import dataclasses

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.records import UNKNOWN, Key
from holdfast.storage.s3.errors import MultipartGone
from holdfast.storage.s3.options import ObjectNames
from holdfast.storage.s3.parts.state import PartState, Sums
from holdfast.storage.s3.publishing import Publishing
from holdfast.storage.s3.reading import Reading
from holdfast.storage.s3.transfer.bucket import Bucket


class Salvaging:
    """Compares the recorded state of an upload with the bucket."""

    def __init__(self, bucket: Bucket, names: ObjectNames, reading: Reading, publishing: Publishing) -> None:
        self._bucket = bucket
        self._names = names
        self._reading = reading
        self._publishing = publishing

    async def remains(self, key: Key, state: PartState) -> PartState:
        """
        Return *state* up to the first part or piece that is missing or different.

        :raises Unavailable: the server does not answer.
        """
        count = await self._parts(key, state)
        if not count and state.parts:
            # The multipart upload is gone, or has none of the parts: the next append begins another one.
            name, upload, sums = "", "", Sums.NONE
            return dataclasses.replace(
                state, name=name, upload=upload, sums=sums, parts=(), short=0, pieces=(), failover_epoch=UNKNOWN
            )
        if count < len(state.parts):
            return dataclasses.replace(state, parts=state.parts[:count], short=0, pieces=())
        return dataclasses.replace(state, pieces=state.pieces[: await self._pieces(key, state)])

    async def _parts(self, key: Key, state: PartState) -> int:
        """Return how many of the recorded parts are there without a gap."""
        if not state.parts:
            return 0
        name = self._names.of(key, state.name)
        if await self._bucket.head(name) is not None:  # published, or sealed
            return len(state.parts) if await self._publishing.has_parts(key, state) else 0
        if not state.upload:
            return 0
        try:
            there = {number: (etag, size) async for number, etag, size in self._bucket.parts(name, state.upload)}
        except (MultipartGone, NotFound):  # RGW answers NotFound for an upload that is gone
            return 0
        count = 0
        for number, (extent, _) in enumerate(zip(state.extents(), state.parts, strict=False), 1):
            if there.get(number) != (extent.etag, extent.size):
                break
            count = number
        return count

    async def _pieces(self, key: Key, state: PartState) -> int:
        """Return how many pieces of the tail are there without a gap, with the bytes that were stored."""
        start = state.whole
        for count, piece in enumerate(state.pieces):
            try:
                async for _ in self._reading.tail(key, state, start, start + piece.size):
                    pass
            except (NotFound, Corrupted):
                return count
            start += piece.size
        return len(state.pieces)
