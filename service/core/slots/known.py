"""
What one request knows of a slot: its object, the slot itself and uploads, each read once.
"""

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
    The records that a change of one slot is decided over.

    What is old does no harm: the change is committed under the revisions of these records.  When that fails, the caller calls
    `forget`, and they are read again.
    """

    def __init__(self, metadata: MetadataStore, ref: SlotRef) -> None:
        self.ref = ref
        self.stored: SlotRecord | None = None
        """The slot as it is stored; None when nothing was ever in it."""
        self._metadata = metadata
        self._owner: ObjectRecord | None = None
        self._uploads: dict[Key, UploadRecord] = {}
        self._is_read = False

    def owner(self) -> ObjectRecord:
        """
        Return the object.

        :raises ObjectNotFound: there is none.
        """
        return existing(self._owner)

    @property
    def slot(self) -> SlotRecord:
        """The slot; an empty one when nothing was ever in it."""
        return self.stored or slots.empty(self.ref, "")

    async def read(self, attachment: Key | None = None) -> UploadRecord | None:
        """
        Read the object and the slot, and with them an upload, at the same time; return the upload, if there is one.
        """
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
        """
        Return these uploads; those that are not known yet are read at once.
        """
        keys = list(keys)
        unknown = [Ref(tenant=self.ref.tenant, key=key) for key in keys if key not in self._uploads]
        if unknown:
            with translated():
                for upload in await self._metadata.get_many(unknown):
                    self.keep(upload)
        return {key: self._uploads[key] for key in keys}

    def keep(self, upload: UploadRecord) -> None:
        """
        Know an upload that was read otherwise.
        """
        self._uploads[upload.key] = upload

    def become(self, changes: Iterable[Change]) -> None:
        """
        Know what was committed.
        """
        for change in changes:
            match change.new:
                case SlotRecord():
                    self.stored = change.new
                case ObjectRecord():
                    self._owner = change.new
                case UploadRecord():
                    self.keep(change.new)

    def forget(self) -> None:
        """
        Have everything read again: another request changed it.
        """
        self._is_read = False
        self._uploads.clear()

    async def _upload(self, key: Key | None) -> UploadRecord | None:
        return None if key is None else await _found(self._metadata.get(Ref(tenant=self.ref.tenant, key=key)))


async def _found(reading: Awaitable[T]) -> T | None:
    """Return what is read, or None: so what is refused first does not depend on which read ends first."""
    try:
        return await reading
    except NotFound:
        return None
