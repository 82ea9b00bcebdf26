"""
How often an association reads each record and the content: once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from holdfast.service.core.access.authorised import Access
from holdfast.service.core.commands import Append, Completes, Create, ObjectOutcome, SetPicture
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import GROUP_AVATAR, Policies, Policy
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import Intent, Key, ObjectRef, Ref, SlotRef, UploadRecord
from tests.core.access.callers import AskedAttachments, AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.core.worlds import LIMITS
from tests.storage.backends import TENANT

FILES = Policy(kind="group", slot="files", most=100, types=frozenset({"image/png"}))
POLICIES = Policies([GROUP_AVATAR, FILES])
GROUP = ObjectRef(tenant=TENANT, kind="group", id="1")
AVATAR = SlotRef(tenant=TENANT, kind="group", id="1", slot="GroupAvatar")
FILE_SLOT = SlotRef(tenant=TENANT, kind="group", id="1", slot="files")
ME = Principal(tenant=None, subject=None, trusted=True)


class CountedMetadata(MemoryMetadataStore):
    """A metadata store that counts how often each record is read, and commits."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts
        self._names: dict[Any, str] = {GROUP: "object", AVATAR: "slot", FILE_SLOT: "slot"}

    def _count(self, ref: Ref | ObjectRef | SlotRef) -> None:
        self._counts[self._names.get(ref, f"upload {ref.key}" if isinstance(ref, Ref) else str(ref))] += 1

    async def get(self, ref: Ref) -> UploadRecord:
        self._count(ref)
        return await super().get(ref)

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        for ref in refs:
            self._count(ref)
        return [await super(CountedMetadata, self).get(ref) for ref in refs]

    async def get_object(self, ref: ObjectRef) -> Any:  # noqa: ANN401 - as of the store
        self._count(ref)
        return await super().get_object(ref)

    async def get_slot(self, ref: SlotRef) -> Any:  # noqa: ANN401 - as of the store
        self._count(ref)
        return await super().get_slot(ref)

    async def get_slots(self, ref: ObjectRef) -> Any:  # noqa: ANN401 - as of the store
        self._counts["slots"] += 1
        return await super().get_slots(ref)

    async def commit(self, changes: Sequence[Change], **others: Any) -> None:  # noqa: ANN401 - as of the store
        self._counts["commits"] += 1
        await super().commit(changes, **others)


class CountedContent(MemoryByteStore):
    """A byte store that counts how often something is read."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        self._counts["content"] += 1
        return super().read(record, start, stop)


@dataclass(frozen=True, slots=True)
class Counted:
    """Every verb, and what it reads."""

    counts: Counter[str]
    metadata: CountedMetadata
    uploads: AskedUploads
    attachments: AskedAttachments
    pictures: Pictures

    async def image(self, content: bytes = PNG, intent: Intent | None = None) -> UploadRecord:
        """Create an upload that is complete with its content, or an empty one for a slot."""
        sent, completes = (FakeContent(content), Completes.AT_END) if intent is None else (FakeContent(), Completes.LATER)
        command = Create(
            tenant=TENANT,
            completes=completes,
            length=None,
            content_length=sent.length,
            content_type="image/png",
            verify_type=True,
            intent=intent,
        )
        return (await self.uploads.create(command, sent, ME)).record

    async def set_avatar(self, content: FakeContent) -> ObjectOutcome:
        """Set the picture of the group, which every dialect would admit."""
        return await self.pictures.set(Access(POLICIES)(ME, SetPicture(slot=AVATAR)), content, lambda _group: None)

    def read(self, *expected: Key) -> dict[str, int]:
        """Return what was read since the last time; *expected* uploads are called by their place."""
        names = {f"upload {key}": f"upload {at}" for at, key in enumerate(expected)}
        found = {names.get(name, name): count for name, count in self.counts.items()}
        self.counts.clear()
        return found


@pytest.fixture
async def world() -> Counted:
    """Return every verb over counting stores, with one group; leases look at records without being counted."""
    counts: Counter[str] = Counter()
    metadata, content = CountedMetadata(counts), CountedContent(counts)
    attachments, objects = Attachments(content, metadata, POLICIES), AskedObjects(metadata, POLICIES, time.time)
    leased = SeparateLeasedUploads(_uncounted(metadata), MemoryLeases())
    uploads = Uploads(content, metadata, leased, LIMITS, attachments)
    await objects.register(GROUP, "{}", ME)
    counts.clear()
    asked = AskedUploads(uploads, POLICIES), AskedAttachments(attachments, POLICIES)
    views = UploadViews(content, metadata, lambda **_facts: "", link_life=60)
    return Counted(counts, metadata, *asked, Pictures(uploads, views, attachments))


def _uncounted(metadata: CountedMetadata) -> MemoryMetadataStore:
    """Return the same records, by the methods that do not count."""
    plain = MemoryMetadataStore()
    plain.__dict__ = metadata.__dict__
    return plain


async def test_attach(world: Counted) -> None:
    """Object, slot and upload are read at once; what is replaced, when it is known; the first bytes once."""
    old, new = await world.image(), await world.image()
    world.counts.clear()
    await world.attachments.attach(AVATAR, old.key, ME)
    first = world.read(old.key)
    await world.attachments.attach(AVATAR, new.key, ME)

    assert {"object": 1, "slot": 1, "upload 0": 1, "content": 1, "commits": 1} == first
    assert {"object": 1, "slot": 1, "upload 0": 1, "upload 1": 1, "content": 1, "commits": 1} == world.read(old.key, new.key)


async def test_an_upload_with_an_intent(world: Counted) -> None:
    """To begin one reads object and slot; the append that completes it does once more; the lease has its record already."""
    record = await world.image(intent=Intent(slot=FILE_SLOT))
    begun = world.read(record.key)
    command = Append(ref=record.ref, offset=0, completes=Completes.AT_END, content_length=len(PNG))
    done = (await world.uploads.append(command, FakeContent(PNG), ME)).record

    assert (FILE_SLOT,) == done.attached
    assert {"object": 1, "slot": 1, "commits": 1} == begun
    assert {"object": 1, "slot": 1, "content": 1, "commits": 2} == world.read(record.key)


async def test_a_picture_in_one_request(world: Counted) -> None:
    """Object and slot are read once, before the content comes."""
    content = FakeContent(PNG)
    outcome = await world.set_avatar(content)

    assert outcome.changed
    assert {"object": 1, "slot": 1, "content": 1, "commits": 4} == world.read()


async def test_detach_and_undo(world: Counted) -> None:
    """Object, slot and what leaves or comes back are read once."""
    record = await world.image()
    await world.attachments.attach(AVATAR, record.key, ME)
    world.counts.clear()
    await world.attachments.detach(AVATAR, record.key, ME)
    detached = world.read(record.key)
    await world.attachments.undo(AVATAR, ME)

    assert {"object": 1, "slot": 1, "upload 0": 1, "commits": 1} == detached == world.read(record.key)


async def test_the_same_picture_again(world: Counted) -> None:
    """It changes nothing, and object and slot are read again before the answer says so."""
    await world.set_avatar(FakeContent(PNG))
    slot = await world.attachments.get_slot(AVATAR)
    world.counts.clear()
    outcome = await world.set_avatar(FakeContent(PNG))

    assert (False, (slot,)) == (outcome.changed, outcome.slots)
    assert (2, 2) == (world.counts["object"], world.counts["slot"])


async def test_another_picture_comes_first(world: Counted) -> None:
    """What was read before the content came is old then: the same picture is set again, and the answer says so."""
    await world.set_avatar(FakeContent(PNG))
    content = FakeContent(PNG, hold_at=4)
    again = asyncio.create_task(world.set_avatar(content))
    async with asyncio.timeout(5):
        await content.held.wait()
    other = await world.image(PNG + b"!")
    await world.attachments.attach(AVATAR, other.key, ME)
    content.go_on()
    outcome = await again
    slot = await world.attachments.get_slot(AVATAR)

    assert (True, (slot,)) == (outcome.changed, outcome.slots)
    assert other.key not in slots.keys(slot)
    assert outcome.record == await world.metadata.get_object(GROUP)
