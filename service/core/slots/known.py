"""What one request has read of a slot: its object, the slot and uploads, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

from holdfast.service.core.slots import slots
from holdfast.service.core.slots.objects import existing
from holdfast.service.core.store_errors import translated
from holdfast.storage.errors import NotFound
from holdfast.storage.objects import ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import Key, Ref, SlotRef, UploadRecord

T = TypeVar("T")


class KnownSlot:
    """
    The records that decide a change of one slot.

    Outdated records do no harm: the change is committed under their revisions.  If that fails, the caller calls `forget`, and
    they are read again.
    """

    def __init__(self, metadata: MetadataStore, ref: SlotRef) -> None:
        self.ref = ref
        self.stored: SlotRecord | None = None
        """The stored slot; None if it was never used."""
        self._metadata = metadata
        self._owner: ObjectRecord | None = None
        self._uploads: dict[Key, UploadRecord] = {}
        self._is_read = False

    def owner(self) -> ObjectRecord:
        """
        Return the object.

        :raises ObjectNotFound: it does not exist.
        """
        return existing(self._owner)

    @property
    def slot(self) -> SlotRecord:
        """The slot; an empty one if it was never used."""
        return self.stored or slots.empty(self.ref, "")

    async def read(self, attachment: Key | None = None) -> UploadRecord | None:
        """Read the object, the slot and *attachment* at the same time; return the upload, or None."""
        if not self._is_read:
            with translated():
                self._owner, self.stored, upload = await asyncio.gather(
                    _found(self._metadata.get_object(self.ref.object)),
                    _found(self._metadata.get_slot(self.ref)),
                    self._upload(attachment),
                )
            self._is_read = True
            if upload is not None:
                self.keep(upload)
        return None if attachment is None else self._uploads.get(attachment)

    async def uploads(self, keys: Iterable[Key]) -> Mapping[Key, UploadRecord]:
        """Return these uploads; those that were not read yet are read together."""
        keys = list(keys)
        unknown = [Ref(tenant=self.ref.tenant, key=key) for key in keys if key not in self._uploads]
        if unknown:
            with translated():
                for upload in await self._metadata.get_many(unknown):
                    self.keep(upload)
        return {key: self._uploads[key] for key in keys}

    def keep(self, upload: UploadRecord) -> None:
        """Add an upload that was read or made elsewhere."""
        self._uploads[upload.key] = upload

    def become(self, changes: Iterable[Change]) -> None:
        """Take over the records that were committed."""
        for change in changes:
            match change.new:
                case SlotRecord():
                    self.stored = change.new
                case ObjectRecord():
                    self._owner = change.new
                case UploadRecord():
                    self.keep(change.new)

    def forget(self) -> None:
        """Have everything read again, after another request changed it."""
        self._is_read = False
        self._uploads.clear()

    async def _upload(self, key: Key | None) -> UploadRecord | None:
        return None if key is None else await _found(self._metadata.get(Ref(tenant=self.ref.tenant, key=key)))


async def _found(reading: Awaitable[T]) -> T | None:
    """Return what was read, or None: so the order of refusals does not depend on which read ends first."""
    try:
        return await reading
    except NotFound:
        return None
