"""
What a finish that cannot get through costs, as long as it is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.content.media_types import IMAGES
from holdfast.service.core.errors import FinishFailed, SlotFull
from holdfast.service.core.policies import Policies, Policy
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.errors import Unavailable
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.records import Intent, SlotRef, State, UploadRecord
from tests.core.access.callers import AskedAttachments, AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.core.worlds import LIMITS, Clock, FaultyByteStore
from tests.storage.backends import TENANT

PAIR = SlotRef(tenant=TENANT, kind="user", id="kelp", slot="pair")
POLICIES = Policies([Policy(kind="user", slot="pair", most=2, types=IMAGES)])
MINUTE = 60


class Postponed:
    """Uploads for a slot of two images, whose decoder counts how often it is asked."""

    def __init__(self) -> None:
        self.clock, self.looks = Clock(), 0
        self.content, self.metadata = FaultyByteStore(MemoryByteStore()), MemoryMetadataStore()
        self.objects = AskedObjects(self.metadata, POLICIES, self.clock)
        attachments = Attachments(self.content, self.metadata, POLICIES, inspect=self._look, clock=self.clock)
        leased_uploads = SeparateLeasedUploads(self.metadata, MemoryLeases())
        uploads = Uploads(self.content, self.metadata, leased_uploads, LIMITS, attachments, clock=self.clock)
        self.attachments, self.uploads = AskedAttachments(attachments, POLICIES), AskedUploads(uploads, POLICIES)

    async def _look(self, read: Callable[[], Awaitable[list[bytes]]], _policy: Policy, _upload: UploadRecord) -> None:
        self.looks += 1
        await read()

    async def begin(self) -> UploadRecord:
        """Begin an upload for the slot."""
        intent = Intent(slot=PAIR)
        command = Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0, intent=intent)
        return (await self.uploads.create(command, FakeContent())).record

    async def finish(self, record: UploadRecord) -> None:
        """Send everything."""
        command = Append(ref=record.ref, offset=0, completes=Completes.AT_END, content_length=len(PNG))
        await self.uploads.append(command, FakeContent(PNG))

    async def sweep(self, seconds: float) -> int:
        """Sweep every minute for so long, and return how often something was due."""
        due = 0
        for _ in range(int(seconds / MINUTE)):
            self.clock.now += MINUTE
            due += await self.uploads.sweep()
        return due


@pytest.fixture
async def world() -> Postponed:
    """Return uploads for a slot that is full: one more has all its bytes, and waits."""
    world = Postponed()
    await world.objects.register(PAIR.object)
    return world


async def test_nothing_is_decoded_for_a_slot_that_is_full(world: Postponed) -> None:
    """As long as the slot has no room, the image is not looked at, whoever asks; and it is tried ever less."""
    late = await world.begin()
    for _ in range(2):
        await world.finish(await world.begin())
    looked = world.looks
    with pytest.raises(SlotFull):
        await world.finish(late)
    due = await world.sweep(LIMITS.final_expiry - 2 * MINUTE)
    with pytest.raises(SlotFull):
        await world.uploads.offset(GetOffset(ref=late.ref, completes=Completes.LATER))

    assert looked == world.looks == 2
    assert due <= 8  # every minute it would be more than 80 times

    await world.attachments.detach(PAIR, (await world.attachments.get_slot(PAIR)).active[0].attachment)
    done = (await world.uploads.offset(GetOffset(ref=late.ref, completes=Completes.LATER))).record

    assert (State.COMPLETE, 0, 3) == (done.state, done.tries, world.looks)


async def test_a_store_that_fails_is_asked_less_and_less(world: Postponed) -> None:
    """A finish that does not get through is tried after one minute, then after two, four and so on, at least once an hour."""
    world.content.fail("complete", times=1000, error=Unavailable("asleep"))
    with pytest.raises(Exception, match="every byte is safe"):
        await world.finish(await world.begin())
    due = [await world.sweep(MINUTE) for _ in range(40)]

    assert [1, 2, 4, 8, 16, 32] == [minute for minute, count in enumerate(due, 1) if count]


async def test_a_store_that_fails_for_long_ends_no_upload(world: Postponed) -> None:
    """What has all its bytes does not expire with the time of unfinished uploads: it is finished when the store works again."""
    begun = Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0)
    record = (await world.uploads.create(begun, FakeContent())).record
    world.content.fail("complete", times=1000, error=Unavailable("asleep"))
    with pytest.raises(FinishFailed):
        await world.finish(record)
    await world.sweep(LIMITS.final_expiry + 3600)
    during = (await world.metadata.get(record.ref)).state
    world.content.fail("complete", times=0)
    await world.sweep(3600)

    assert (State.RECEIVED, State.COMPLETE) == (during, (await world.metadata.get(record.ref)).state)


async def test_a_deletion_that_fails_is_tried_less_and_less(world: Postponed) -> None:
    """So it is with content that cannot be deleted."""
    record = await world.begin()
    world.clock.now += LIMITS.idle_expiry
    world.content.fail("delete", times=1000)
    due = [await world.sweep(MINUTE) for _ in range(40)]
    world.content.fail("delete", times=0)
    await world.sweep(64 * MINUTE)
    record = await world.metadata.get(record.ref)

    assert [1, 2, 4, 8, 16, 32] == [minute for minute, count in enumerate(due, 1) if count]
    assert (State.EXPIRED, None, 0) == (record.state, record.expires_at, record.tries)
