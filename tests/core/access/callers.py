"""
The verbs of the core as tests call them: by a caller who is asked first whether it may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.service.core.access.authorised import Access
from holdfast.service.core.commands import (
    Append,
    Attach,
    Cancel,
    Create,
    DeleteObject,
    Detach,
    GetObject,
    GetOffset,
    GetSlot,
    Outcome,
    Register,
    Reorder,
    SlotOutcome,
    Undo,
)
from holdfast.service.core.conditions import ALWAYS, Condition
from holdfast.service.core.content.content import Content
from holdfast.service.core.policies import Policies
from holdfast.service.core.principals import ANYBODY, Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.uploads.observer import Observer
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.objects import ObjectRecord, SlotRecord
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef


class AskedUploads:
    """
    The verbs of uploads.
    """

    def __init__(self, uploads: Uploads, policies: Policies | None = None) -> None:
        self._uploads = uploads
        self._access = Access(policies or Policies())
        self.sweep = uploads.sweep

    async def create(
        self, command: Create, content: Content, by: Principal = ANYBODY, observer: Observer | None = None
    ) -> Outcome:
        """Begin an upload."""
        return await self._uploads.create(self._access(by, command), content, observer)

    async def append(
        self, command: Append, content: Content, by: Principal = ANYBODY, observer: Observer | None = None
    ) -> Outcome:
        """Add content."""
        return await self._uploads.append(self._access(by, command), content, observer)

    async def offset(self, command: GetOffset, by: Principal = ANYBODY) -> Outcome:
        """Ask how far an upload is."""
        return await self._uploads.offset(self._access(by, command))

    async def cancel(self, command: Cancel, by: Principal = ANYBODY) -> Outcome:
        """Give an upload up."""
        return await self._uploads.cancel(self._access(by, command))


class AskedObjects:
    """
    The verbs of objects.
    """

    def __init__(self, metadata: MetadataStore, policies: Policies, clock: Callable[[], float]) -> None:
        self._objects = Objects(metadata, policies, clock=clock)
        self._access = Access(policies)

    async def register(self, ref: ObjectRef, attributes: str = "{}", by: Principal = ANYBODY) -> ObjectRecord:
        """Make an object known."""
        return (await self._objects.register(self._access(by, Register(ref=ref, attributes=attributes)))).record

    async def delete(self, ref: ObjectRef, by: Principal = ANYBODY) -> ObjectRecord:
        """Forget an object."""
        return (await self._objects.delete(self._access(by, DeleteObject(ref=ref)))).record

    async def get(self, ref: ObjectRef, by: Principal = ANYBODY) -> ObjectRecord:
        """Return an object."""
        return (await self._objects.get(self._access(by, GetObject(ref=ref)))).record


class AskedAttachments:
    """
    The verbs of slots.
    """

    def __init__(self, attachments: Attachments, policies: Policies) -> None:
        self._attachments = attachments
        self._access = Access(policies)

    async def get(self, slot: SlotRef, by: Principal = ANYBODY) -> SlotOutcome:
        """Return a slot and what is in it."""
        return await self._attachments.get(self._access(by, GetSlot(slot=slot)))

    async def get_slot(self, slot: SlotRef, by: Principal = ANYBODY) -> SlotRecord:
        """Return a slot."""
        return (await self.get(slot, by)).slot

    async def attach(
        self, slot: SlotRef, key: Key, by: Principal = ANYBODY, *, place: int | None = None, condition: Condition = ALWAYS
    ) -> SlotOutcome:
        """Put an attachment into a slot."""
        command = Attach(ref=Ref(tenant=slot.tenant, key=key), slot=slot, place=place, condition=condition)
        return await self._attachments.attach(self._access(by, command))

    async def detach(
        self, slot: SlotRef, key: Key | None, by: Principal = ANYBODY, *, condition: Condition = ALWAYS
    ) -> SlotRecord:
        """Take an attachment out of a slot, or all of them."""
        return (await self._attachments.detach(self._access(by, Detach(slot=slot, key=key, condition=condition)))).slot

    async def reorder(self, slot: SlotRef, order: Sequence[Key], by: Principal = ANYBODY) -> SlotRecord:
        """Change the order of a slot."""
        return (await self._attachments.reorder(self._access(by, Reorder(slot=slot, order=tuple(order))))).slot

    async def undo(self, slot: SlotRef, by: Principal = ANYBODY) -> SlotRecord:
        """Put back what left a slot last."""
        return (await self._attachments.undo(self._access(by, Undo(slot=slot)))).slot
