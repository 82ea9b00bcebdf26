"""The objects in a bucket, and which of them are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.ports.inventory import Stored
from holdfast.storage.records import KEPT, State, UploadRecord
from holdfast.storage.s3.errors import MultipartGone
from holdfast.storage.s3.options import ObjectNames
from holdfast.storage.s3.parts.state import PartState
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.bucket import Bucket

# Between the name and the id of a multipart upload; no object name of this store contains it.
UPLOAD = "?uploadId="


class S3Inventory:
    """A `holdfast.storage.ports.inventory.Inventory` of the bucket of *store*."""

    def __init__(self, store: S3ByteStore) -> None:
        self._store = store
        self._bucket: Bucket = store.bucket
        self._names: ObjectNames = store.names

    async def stored(self) -> AsyncIterator[Stored]:
        for prefix in self._names.prefixes:
            async for found in self._bucket.objects(prefix):
                if (key := self._names.key_of(found.name)) is not None:
                    yield Stored(name=found.name, key=key, size=found.size, changed_at=found.changed_at)
        async for pending in self._bucket.uploads(self._names.prefixes[0]):
            if (key := self._names.key_of(pending.name)) is not None:
                name = f"{pending.name}{UPLOAD}{pending.upload}"
                yield Stored(name=name, key=key, size=None, changed_at=pending.changed_at)

    def needed(self, record: UploadRecord) -> frozenset[str]:
        if record.state not in KEPT:
            return frozenset()
        state = self._store.state(record, promised=False)
        content = self._names.of(record.key, state.name)
        if record.state is State.COMPLETE:
            return frozenset({content})
        ends = (*(piece.name for piece in state.pieces), *(each.name for each in state.superseded))
        return frozenset({content, f"{content}{UPLOAD}{state.upload}", *(self._names.of(record.key, end) for end in ends)})

    async def examine(self, record: UploadRecord) -> None:
        if record.state not in KEPT or (not record.offset and record.state is not State.COMPLETE):
            return
        state = self._store.state(record, promised=False)
        found = await self._bucket.head(self._names.of(record.key, state.name))
        if found is None and record.state is not State.COMPLETE and (state.upload or state.pieces):
            await self._examine_open(record, state)
        elif found is None:
            raise NotFound(f"{self._names.of(record.key, state.name)} is missing")
        elif found.size != record.offset and (record.state is State.COMPLETE or state.published):
            raise Corrupted(f"{found.name} has {found.size} bytes instead of {record.offset}")
        elif found.size != record.offset:
            # Sealed: the parts are in the object, and the tail is where it was.
            await self._examine_tail(record, state)
            if found.size < state.whole:
                raise Corrupted(f"{found.name} has {found.size} bytes instead of {state.whole}")

    async def remove(self, stored: Stored) -> None:
        name, _, upload = stored.name.partition(UPLOAD)
        if upload:
            await self._bucket.abort(name, upload)
        else:
            await self._bucket.remove(name)

    async def close(self) -> None:
        """Do nothing: threads and connections belong to the store."""

    async def _examine_open(self, record: UploadRecord, state: PartState) -> None:
        await self._examine_tail(record, state)
        if not state.parts:
            return
        name = self._names.of(record.key, state.name)
        try:
            there = {number: (etag, size) async for number, etag, size in self._bucket.parts(name, state.upload)}
        except MultipartGone as error:
            raise NotFound(f"the multipart upload {name} is gone") from error
        extents = (extent for extent, _ in zip(state.extents(), state.parts, strict=False))
        for number, extent in enumerate(extents, 1):
            if there.get(number) != (extent.etag, extent.size):
                raise Corrupted(f"part {number} of {name} is missing or different")

    async def _examine_tail(self, record: UploadRecord, state: PartState) -> None:
        if state.offset != record.offset:
            raise Corrupted(f"the record has {record.offset} bytes, but its parts have {state.offset}")
        for piece in state.pieces:
            found = await self._bucket.head(self._names.of(record.key, piece.name))
            if found is None:
                raise NotFound(f"{self._names.of(record.key, piece.name)} is missing")
            if found.size != piece.size:
                raise Corrupted(f"{found.name} has {found.size} bytes instead of {piece.size}")
