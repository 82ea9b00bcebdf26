"""
What is promised of uploads that say what they are for, over every store.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.service.core.access.authorised import Access
from holdfast.service.core.commands import Append, Cancel, Completes, Create, GetAttachment, GetOffset
from holdfast.service.core.errors import (
    ContentRejected,
    Forbidden,
    ObjectNotFound,
    SlotChanged,
    SlotFull,
    TooLarge,
    UploadError,
    UploadExpired,
)
from holdfast.service.core.policies import BUILT_IN, Policies, Policy
from holdfast.service.core.principals import ADMIN, ANYBODY, Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.errors import Unavailable
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.memory import MemoryByteStore, MemoryLeases
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Intent, Key, ObjectRef, Ref, SlotRef, State, Subject, UploadRecord
from tests.core.access.callers import AskedAttachments, AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.core.worlds import LIMITS, Clock, FaultyByteStore
from tests.storage.backends import METADATA_STORES, TENANT, usual
from tests.storage.places import Place

USER = ObjectRef(tenant=TENANT, kind="user", id="kelp")
PHOTO = SlotRef(tenant=TENANT, kind="user", id="kelp", slot="ProfilePhoto")
PAIR = SlotRef(tenant=TENANT, kind="user", id="kelp", slot="pair")
POLICIES = Policies([*BUILT_IN, Policy(kind="user", slot="pair", most=2, grace=50)])
ME = Principal(tenant=TENANT, subject=Subject("kelp"))
BOSS = Principal(tenant=TENANT, subject=Subject("boss"), roles=frozenset({ADMIN}))
OTHER = Principal(tenant=TENANT, subject=Subject("wrack"))


@dataclass(frozen=True, slots=True)
class World:
    """Uploads, attachments and objects over the same stores."""

    clock: Clock
    content: FaultyByteStore
    metadata: MetadataStore
    uploads: AskedUploads
    attachments: AskedAttachments
    objects: AskedObjects
    unasked: Attachments
    """The same attachments, for other uploads."""

    async def begin(self, slot: SlotRef = PHOTO, by: Principal = ME, if_match: str | None = None) -> UploadRecord:
        """Begin an upload for a slot."""
        intent = Intent(slot=slot, if_match=if_match)
        command = Create(tenant=TENANT, completes=Completes.LATER, length=None, content_length=0, intent=intent)
        return (await self.uploads.create(command, FakeContent(), by)).record

    async def finish(self, record: UploadRecord, content: bytes = PNG, by: Principal = ME) -> UploadRecord:
        """Send everything."""
        command = Append(ref=record.ref, offset=record.offset, completes=Completes.AT_END, content_length=len(content))
        return (await self.uploads.append(command, FakeContent(content), by)).record

    async def seen(self, ref: Ref) -> UploadRecord:
        """Return an upload as a caller sees it that may see everything."""
        views = UploadViews(self.content, self.metadata, lambda **_facts: "", link_life=60, clock=self.clock)
        return (await views.get(Access(POLICIES)(ANYBODY, GetAttachment(ref=ref)))).record

    async def told(self) -> list[str]:
        """Return what happened since the user was registered."""
        return [logged.event.type for logged in await self.metadata.events(TENANT, "", 10_000)][1:]

    async def in_slot(self, slot: SlotRef = PHOTO) -> tuple[Key, ...]:
        """Return what is in a slot."""
        return slots.keys(await self.attachments.get_slot(slot))


@pytest.fixture(params=usual(METADATA_STORES))
async def world(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[World]:
    """Return a desk over the usual kinds of metadata stores, with one user."""
    clock, content, metadata = Clock(), FaultyByteStore(MemoryByteStore()), METADATA_STORES[request.param](place)
    objects = AskedObjects(metadata, POLICIES, clock)
    attachments = Attachments(content, metadata, POLICIES, clock=clock)
    uploads = Uploads(content, metadata, SeparateLeasedUploads(metadata, MemoryLeases()), LIMITS, attachments, clock=clock)
    await objects.register(USER)
    asked = AskedUploads(uploads, POLICIES), AskedAttachments(attachments, POLICIES), objects
    yield World(clock, content, metadata, *asked, attachments)
    await metadata.close()


async def test_complete_and_attached_in_one_commit(world: World) -> None:
    """Both are true at once, and one event tells of each; who began it is told to have attached it."""
    record = await world.finish(await world.begin())
    slot = await world.attachments.get_slot(PHOTO)

    assert (State.COMPLETE, (PHOTO,), None) == (record.state, record.attached, record.expires_at)
    assert ((record.key,), Subject("kelp")) == (slots.keys(slot), slot.active[0].attached_by)
    assert ["upload.created", "upload.received", "upload.completed", "attachment.attached"] == await world.told()


async def test_what_is_in_a_slot_does_not_expire(world: World) -> None:
    """Where complete uploads that nobody attached are purged, one that said what it is for is not: it never is without a slot."""
    limits = dataclasses.replace(LIMITS, unattached_expiry=1)
    leases = SeparateLeasedUploads(world.metadata, MemoryLeases())
    uploads = Uploads(world.content, world.metadata, leases, limits, world.unasked, clock=world.clock)
    record = await dataclasses.replace(world, uploads=AskedUploads(uploads, POLICIES)).finish(await world.begin())
    world.clock.now += 10 * LIMITS.final_expiry
    swept = await uploads.sweep()

    assert (None, 0) == (record.expires_at, swept)
    assert record.key in await world.in_slot()


async def test_nothing_is_half_done(world: World) -> None:
    """Where publishing fails neither is true; whoever comes next does both, and nobody is told twice."""
    begun = await world.begin()
    world.content.fail("complete", error=Unavailable("no"))
    with pytest.raises(UploadError):
        await world.finish(begun)
    before = await world.in_slot()
    after = (await world.uploads.offset(GetOffset(ref=begun.ref, completes=Completes.LATER), ME)).record

    assert ((), State.COMPLETE, (begun.key,)) == (before, after.state, await world.in_slot())
    assert 1 == (await world.told()).count("attachment.attached")


async def test_many_at_once(world: World) -> None:
    """Of ten uploads that end at the same moment one is in the slot, the others were, each for a while."""
    begun = [await world.begin() for _ in range(10)]
    done = await asyncio.gather(*(world.finish(record) for record in begun))
    slot = await world.attachments.get_slot(PHOTO)

    assert {State.COMPLETE} == {record.state for record in done}
    assert {record.key for record in begun} == {*slots.keys(slot), *(past.attachment for past in slot.ended)}
    assert (1, 9) == (len(slot.active), len(slot.ended))


async def test_refused_when_it_begins(world: World) -> None:
    """By rights, by the object, by what the slot has already; nothing is created."""
    for _ in range(2):
        await world.finish(await world.begin(PAIR, BOSS), by=BOSS)
    told = await world.told()
    unknown = dataclasses.replace(PHOTO, id="nobody")
    for slot, by, if_match, error in (
        (PHOTO, OTHER, None, Forbidden),
        (PAIR, ME, None, Forbidden),
        (unknown, BOSS, None, ObjectNotFound),
        (PAIR, BOSS, None, SlotFull),
        (PHOTO, ME, "another", SlotChanged),
    ):
        with pytest.raises(error):
            await world.begin(slot, by, if_match)

    assert told == await world.told()


async def test_what_cannot_be_attached_expires(world: World) -> None:
    """A slot that is full in the end: every byte is kept and tried again, until the time of the upload ran out."""
    late = await world.begin(PAIR, BOSS)
    for _ in range(2):
        await world.finish(await world.begin(PAIR, BOSS), by=BOSS)
    with pytest.raises(SlotFull):
        await world.finish(late, by=BOSS)
    world.clock.now += LIMITS.finish_retry + 1
    await world.uploads.sweep()
    waiting = await world.metadata.get(late.ref)
    world.clock.now += LIMITS.final_expiry
    await world.uploads.sweep()

    assert (State.RECEIVED, len(PNG)) == (waiting.state, waiting.offset)
    assert State.EXPIRED is (await world.metadata.get(late.ref)).state
    with pytest.raises(UploadExpired):
        await world.seen(late.ref)


async def test_attached_as_soon_as_there_is_room(world: World) -> None:
    """The sweeper attaches what could not be attached before."""
    late = await world.begin(PAIR, BOSS)
    first, _ = [await world.finish(await world.begin(PAIR, BOSS), by=BOSS) for _ in range(2)]
    with pytest.raises(SlotFull):
        await world.finish(late, by=BOSS)
    await world.attachments.detach(PAIR, first.key, BOSS)
    world.clock.now += LIMITS.finish_retry + 1
    await world.uploads.sweep()

    assert late.key in await world.in_slot(PAIR)


@pytest.mark.parametrize(
    "content", [b"", b"nothing but text", b"\x89PNG\r\n\x1a\n" + bytes(11 * 1024 * 1024)], ids=["empty", "type", "size"]
)
async def test_what_the_slot_never_takes_is_rejected(world: World, content: bytes) -> None:
    """It is over, its content is gone, and the reason is told."""
    uploads = Uploads(
        world.content,
        world.metadata,
        SeparateLeasedUploads(world.metadata, MemoryLeases()),
        dataclasses.replace(LIMITS, max_size=20_000_000),
        world.unasked,
        clock=world.clock,
    )
    begun = await world.begin()
    last = Append(ref=begun.ref, offset=0, completes=Completes.AT_END, content_length=len(content))
    with pytest.raises(ContentRejected) as caught:
        await AskedUploads(uploads, POLICIES).append(last, FakeContent(content), ME)

    assert State.REJECTED is (await world.metadata.get(begun.ref)).state
    assert caught.value.why is not None
    assert (len(content) > 100) == isinstance(caught.value.why, TooLarge)
    assert () == await world.in_slot()
    told = (await world.metadata.events(TENANT, "", 100))[-1].event
    assert ("upload.rejected", str(caught.value)) == (told.type, json.loads(told.data)["reason"])
    with pytest.raises(ContentRejected, match="events"):
        await world.seen(begun.ref)


async def test_a_purge_races_an_association(world: World) -> None:
    """Of a purge and an association at the same moment one gets through, and what is attached is there."""
    limits = dataclasses.replace(LIMITS, unattached_expiry=1)
    uploads = Uploads(
        world.content,
        world.metadata,
        SeparateLeasedUploads(world.metadata, MemoryLeases()),
        limits,
        world.unasked,
        clock=world.clock,
    )
    for _ in range(20):
        made = Create(tenant=TENANT, completes=Completes.AT_END, length=None, content_length=len(PNG))
        record = (await AskedUploads(uploads, POLICIES).create(made, FakeContent(PNG), ME)).record
        world.clock.now += 2
        attached, _ = await asyncio.gather(
            world.attachments.attach(PHOTO, record.key, ME), uploads.sweep(), return_exceptions=True
        )
        found = await world.metadata.get(Ref(tenant=TENANT, key=record.key))
        expected = State.PURGED if isinstance(attached, UploadError) else State.COMPLETE
        assert expected is found.state
        assert (found.key in await world.in_slot()) == (expected is State.COMPLETE)


async def test_given_up(world: World) -> None:
    """An upload that is given up is attached to nothing."""
    begun = await world.begin()
    await world.uploads.cancel(Cancel(ref=begun.ref), ME)
    with pytest.raises(UploadError):
        await world.finish(begun)

    assert () == await world.in_slot()
