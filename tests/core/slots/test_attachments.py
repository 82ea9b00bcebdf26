"""
What is promised of attachments and slots, over every store.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.service.core.commands import Cancel, Completes, Create, SlotOutcome
from holdfast.service.core.conditions import ANY, Condition
from holdfast.service.core.errors import (
    ManagedElsewhere,
    NotAccepted,
    NothingToUndo,
    ObjectNotFound,
    SlotChanged,
    SlotUnknown,
    TooLarge,
    UploadAttached,
    UploadCancelled,
    UploadError,
    UploadExpired,
    UploadIncomplete,
    UploadNotFound,
    UploadPurged,
)
from holdfast.service.core.policies import BUILT_IN, PROFILE_PHOTO, Policies, Policy
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.keys import new_key
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.memory import MemoryByteStore, MemoryLeases
from holdfast.storage.objects import Event
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, State, Subject, UploadRecord
from tests.core.access.callers import AskedAttachments, AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.core.worlds import LIMITS, Clock
from tests.storage.backends import METADATA_STORES, OTHER_TENANT, TENANT, new_upload, store_upload, usual
from tests.storage.places import Place

pytestmark = pytest.mark.timeout(60)
ME = Principal(tenant=None, subject=Subject("me"), originator="intranet", trusted=True)
FILES = Policy(kind="user", slot="files", most=100, grace=50)
STAMP = Policy(kind="user", slot="stamp", max_bytes=len(PNG) - 1)
MIRROR = Policy(kind="user", slot="mirror", managed_elsewhere=True)
POLICIES = Policies([*BUILT_IN, FILES, STAMP, MIRROR])
USER = ObjectRef(tenant=TENANT, kind="user", id="1")
PHOTO = SlotRef(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto")
FILE_SLOT = SlotRef(tenant=TENANT, kind="user", id="1", slot="files")
GRACE = PROFILE_PHOTO.grace
NEW = Condition(if_none_match=ANY)


@dataclass(frozen=True, slots=True)
class World:
    """Uploads and attachments over the same stores."""

    clock: Clock
    metadata: MetadataStore
    uploads: AskedUploads
    objects: AskedObjects
    attachments: AskedAttachments
    other: AskedAttachments
    """The same in another process, as far as it knows."""

    async def photo(self, content: bytes = PNG) -> Key:
        """Return a complete upload."""
        command = Create(tenant=TENANT, completes=Completes.AT_END, length=None, content_length=len(content))
        outcome = await self.uploads.create(command, FakeContent(content))
        assert State.COMPLETE is outcome.record.state
        return outcome.record.key

    async def record(self, key: Key) -> UploadRecord:
        """Return the facts of an upload."""
        return await self.metadata.get(Ref(tenant=TENANT, key=key))

    async def told(self) -> list[Event]:
        """Return every event of objects and slots."""
        events = [logged.event for logged in await self.metadata.events(TENANT, "", 10_000)]
        return [event for event in events if not event.type.startswith("upload.")]


@pytest.fixture(params=usual(METADATA_STORES))
async def world(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[World]:
    """Return a desk over the usual kinds of metadata stores, with one user."""
    clock, content, metadata = Clock(), MemoryByteStore(), METADATA_STORES[request.param](place)
    # A store in files is opened twice, as by two processes.
    far = metadata if request.param == "memory" else METADATA_STORES[request.param](place)
    leased_uploads = SeparateLeasedUploads(metadata, MemoryLeases())
    uploads = AskedUploads(Uploads(content, metadata, leased_uploads, LIMITS, clock=clock), POLICIES)
    objects = AskedObjects(metadata, POLICIES, clock)
    near, other = (AskedAttachments(Attachments(content, store, POLICIES, clock=clock), POLICIES) for store in (metadata, far))
    await objects.register(USER, "{}", ME)
    yield World(clock, metadata, uploads, objects, near, other)
    for store in {id(store): store for store in (metadata, far)}.values():
        await store.close()


async def test_attach(world: World) -> None:
    """The slot has the attachment, the attachment knows its slot and is kept, and one event tells of it."""
    key = await world.photo()
    slot = (await world.attachments.attach(PHOTO, key, ME)).slot
    record, last = await world.record(key), (await world.told())[-1]

    assert slot == await world.attachments.get_slot(PHOTO)
    assert (key,) == slots.keys(slot)
    assert ((PHOTO,), None) == (record.attached, record.expires_at)
    where = last.kind, last.object_id, last.slot
    assert ("attachment.attached", key, "user", "1", "ProfilePhoto") == (last.type, last.attachment, *where)
    assert ("me", "intranet", slot.active[0].id) == (last.actor, last.originator, json.loads(last.data)["association"])


async def test_attach_again(world: World) -> None:
    """A request that is repeated gets the same answer, whatever it believes of the slot, and no second event."""
    key = await world.photo()
    first = await world.attachments.attach(PHOTO, key, ME)
    told, owner = await world.told(), await world.objects.get(USER)

    assert first == await world.attachments.attach(PHOTO, key, ME)
    assert first == await world.other.attach(PHOTO, key, ME, condition=NEW)
    assert (told, owner) == (await world.told(), await world.objects.get(USER))


async def test_replace(world: World) -> None:
    """The old one is out of the slot in the same change, and is kept for the grace."""
    old, new = await world.photo(), await world.photo()
    before = (await world.attachments.attach(PHOTO, old, ME)).slot
    owner = await world.objects.get(USER)
    world.clock.now += 10
    slot = (await world.attachments.attach(PHOTO, new, ME)).slot
    touched = await world.objects.get(USER)

    assert (new,) == slots.keys(slot)
    assert ((), world.clock.now + GRACE) == (
        (await world.record(old)).attached,
        (await world.record(old)).expires_at,
    )
    assert before.etag != slot.etag
    assert owner.etag != touched.etag
    assert (world.clock.now, "me") == (touched.updated_at, touched.updated_by)
    assert [("attachment.detached", old), ("attachment.attached", new)] == [
        (event.type, event.attachment) for event in (await world.told())[-2:]
    ]


async def test_the_life_of_a_photo(world: World) -> None:
    """Attached, replaced, undone, detached: the one in the slot always stays, the other goes after its grace."""
    first, second = await world.photo(), await world.photo()
    await world.attachments.attach(PHOTO, first, ME)
    await world.attachments.attach(PHOTO, second, ME)
    world.clock.now += GRACE - 1
    await world.uploads.sweep()
    undone = await world.attachments.undo(PHOTO, ME)
    world.clock.now += GRACE
    await world.uploads.sweep()

    assert (first,) == slots.keys(undone)
    assert (State.COMPLETE, State.PURGED) == (
        (await world.record(first)).state,
        (await world.record(second)).state,
    )
    with pytest.raises(UploadPurged):
        await world.attachments.attach(PHOTO, second, ME)
    await world.attachments.detach(PHOTO, first, ME)
    world.clock.now += GRACE
    await world.uploads.sweep()

    assert State.PURGED is (await world.record(first)).state
    with pytest.raises(UploadError):
        await world.attachments.undo(PHOTO, ME)
    assert Counter({"attachment.attached": 2, "attachment.detached": 3, "attachment.restored": 1, "object.registered": 1}) == (
        Counter(event.type for event in await world.told())
    )


async def test_in_two_slots(world: World) -> None:
    """An attachment that is still in another slot is not purged, and then it is kept for the grace of the last one."""
    key = await world.photo()
    await world.attachments.attach(PHOTO, key, ME)
    await world.attachments.attach(FILE_SLOT, key, ME)
    await world.attachments.detach(PHOTO, key, ME)
    world.clock.now += GRACE
    await world.uploads.sweep()
    record = await world.record(key)
    revisited = await world.uploads.sweep()
    await world.attachments.detach(FILE_SLOT, key, ME)

    assert (State.COMPLETE, (FILE_SLOT,), None) == (record.state, record.attached, record.expires_at)
    assert 0 == revisited
    assert world.clock.now + FILES.grace == (await world.record(key)).expires_at


@pytest.mark.parametrize("also", ["before", "after"])
@pytest.mark.parametrize("ends", ["detached", "object deleted"])
async def test_the_longest_grace_counts(world: World, also: str, ends: str) -> None:
    """What left a slot can be put back within its grace, though it left another one with a shorter grace after that."""
    key, other = await world.photo(), ObjectRef(tenant=TENANT, kind="user", id="2")
    short = SlotRef(tenant=TENANT, kind="user", id=other.id, slot="files")
    await world.objects.register(other, "{}", ME)
    await world.attachments.attach(PHOTO, key, ME)
    if also == "before":
        await world.attachments.attach(short, key, ME)
    await world.attachments.detach(PHOTO, key, ME)
    left = world.clock.now
    if also == "after":
        await world.attachments.attach(short, key, ME)
    if ends == "detached":
        await world.attachments.detach(short, key, ME)
    else:
        await world.objects.delete(other, ME)

    assert ((), left + GRACE) == ((await world.record(key)).attached, (await world.record(key)).expires_at)
    world.clock.now = left + GRACE - 1
    await world.uploads.sweep()
    assert (key,) == slots.keys(await world.attachments.undo(PHOTO, ME))


async def test_order(world: World) -> None:
    """A slot of many has the order that it is given, and one event tells of a new one."""
    files = [await world.photo() for _ in range(3)]
    for key in files:
        await world.attachments.attach(FILE_SLOT, key, ME, place=0)
    before = await world.attachments.get_slot(FILE_SLOT)
    after = await world.attachments.reorder(FILE_SLOT, files, ME)

    assert (tuple(reversed(files)), tuple(files)) == (slots.keys(before), slots.keys(after))
    assert ("slot.reordered", files) == (
        (await world.told())[-1].type,
        json.loads((await world.told())[-1].data)["order"],
    )
    assert after == await world.attachments.reorder(FILE_SLOT, files, ME)


async def test_what_is_attached_is_not_deleted(world: World) -> None:
    """An attachment has to leave its slot before it can be deleted; then it can."""
    key = await world.photo()
    await world.attachments.attach(PHOTO, key, ME)
    with pytest.raises(UploadAttached):
        await world.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    await world.attachments.detach(PHOTO, None, ME)
    await world.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    with pytest.raises(NothingToUndo):
        await world.attachments.undo(PHOTO, ME)


async def test_undo_passes_over_what_was_deleted(world: World) -> None:
    """The one before it is back, and one event tells so."""
    first, second, third = [await world.photo() for _ in range(3)]
    for key in (first, second, third):
        await world.attachments.attach(PHOTO, key, ME)
    await world.attachments.detach(PHOTO, None, ME)
    for key in (second, third):
        await world.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    slot = await world.attachments.undo(PHOTO, ME)
    last = (await world.told())[-1]

    assert (first,) == slots.keys(slot)
    assert ("attachment.restored", first) == (last.type, last.attachment)
    assert [PHOTO] == list((await world.record(first)).attached)


async def test_undo_takes_back_one_act(world: World) -> None:
    """What a slot was emptied of is back at once, in its order, each with its event."""
    files = [await world.photo() for _ in range(3)]
    for key in files:
        await world.attachments.attach(FILE_SLOT, key, ME)
    await world.attachments.detach(FILE_SLOT, None, ME)
    slot = await world.attachments.undo(FILE_SLOT, ME)

    assert tuple(files) == slots.keys(slot)
    assert [("attachment.restored", key) for key in files] == [(one.type, one.attachment) for one in (await world.told())[-3:]]


async def test_if_match(world: World) -> None:
    """Who says what the slot was like changes it only if it still is."""
    old, new = await world.photo(), await world.photo()
    first = (await world.attachments.attach(PHOTO, old, ME, condition=NEW)).slot
    for wrong in (NEW, Condition(if_match=frozenset({'"something else"'}))):
        with pytest.raises(SlotChanged):
            await world.attachments.attach(PHOTO, new, ME, condition=wrong)
        with pytest.raises(SlotChanged):
            await world.attachments.detach(PHOTO, old, ME, condition=wrong)

    assert first == await world.attachments.get_slot(PHOTO)
    same = Condition(if_match=frozenset({f'"{first.etag}"'}))
    assert (new,) == slots.keys((await world.attachments.attach(PHOTO, new, ME, condition=same)).slot)


async def test_what_cannot_be_attached(world: World) -> None:
    """Only what is complete, of this tenant and of what the slot takes is attached; a refusal changes nothing."""
    text, photo = await world.photo(b"just text"), await world.photo()
    opened, expired, cancelled = (
        new_upload(),
        new_upload(expires_at=world.clock.now - 1),
        new_upload(state=State.CANCELLED),
    )
    foreign = new_upload(state=State.COMPLETE, tenant=OTHER_TENANT)
    for record in (opened, expired, cancelled, foreign):
        await store_upload(world.metadata, record)
    told = await world.told()
    group = SlotRef(tenant=TENANT, kind="user", id="1", slot="GroupAvatar")
    nobody = SlotRef(tenant=TENANT, kind="user", id="2", slot="ProfilePhoto")
    elsewhere = SlotRef(tenant=OTHER_TENANT, kind="user", id="1", slot="ProfilePhoto")
    stamp, mirror = (SlotRef(tenant=TENANT, kind="user", id="1", slot=slot) for slot in ("stamp", "mirror"))
    for slot, key, error in (
        (PHOTO, text, NotAccepted),
        (stamp, photo, TooLarge),
        (PHOTO, opened.key, UploadIncomplete),
        (PHOTO, expired.key, UploadExpired),
        (PHOTO, cancelled.key, UploadCancelled),
        (PHOTO, foreign.key, UploadNotFound),
        (PHOTO, new_key(), UploadNotFound),
        (group, photo, SlotUnknown),
        (nobody, photo, ObjectNotFound),
        (elsewhere, photo, ObjectNotFound),
        (elsewhere, foreign.key, ObjectNotFound),
        (mirror, photo, ManagedElsewhere),
    ):
        with pytest.raises(error):
            await world.attachments.attach(slot, key, ME)

    assert told == await world.told()
    assert () == slots.keys(await world.attachments.get_slot(PHOTO))
    assert (text,) == slots.keys((await world.attachments.attach(FILE_SLOT, text, ME)).slot)


async def test_register(world: World) -> None:
    """An object keeps its etag until something about it changes."""
    first = await world.objects.get(USER)
    again = await world.objects.register(USER, "{}", ME)
    changed = await world.objects.register(USER, '{"name": "Kelp"}', ME)

    assert first == again
    assert first.etag != changed.etag
    assert ["object.registered", "object.changed"] == [event.type for event in (await world.told())[:2]]
    with pytest.raises(ObjectNotFound):
        await world.objects.get(ObjectRef(tenant=OTHER_TENANT, kind="user", id="1"))


async def test_many_replace_at_once(world: World) -> None:
    """64 replacements from two sides leave one attachment in the slot, and one event for each that began and that ended."""
    photos = [await world.photo() for _ in range(64)]
    sides = (world.attachments, world.other)
    answers = await asyncio.gather(*(sides[at % 2].attach(PHOTO, key, ME) for at, key in enumerate(photos)))
    slot = await world.attachments.get_slot(PHOTO)
    began = [event.attachment for event in await world.told() if event.type == "attachment.attached"]
    ended = [event.attachment for event in await world.told() if event.type == "attachment.detached"]

    assert 1 == len(slot.active)
    assert [(key,) for key in photos] == [slots.keys(answer.slot) for answer in answers]
    assert sorted(photos) == sorted(key for key in began if key)
    assert began == [*ended, slot.active[0].attachment]
    assert [old.attachment for old in slot.ended] == ended
    assert [PHOTO] == [ref for key in photos for ref in (await world.record(key)).attached]


async def test_many_are_added_at_once(world: World) -> None:
    """Those who add to a slot of many do not lose each other."""
    files = [await world.photo() for _ in range(40)]
    sides = (world.attachments, world.other)
    await asyncio.gather(*(sides[at % 2].attach(FILE_SLOT, key, ME) for at, key in enumerate(files)))

    assert sorted(files) == sorted(slots.keys(await world.other.get_slot(FILE_SLOT)))


async def test_a_purge_races_an_association(world: World) -> None:
    """Of a purge and an association exactly one gets through."""
    outcomes: Counter[str] = Counter()
    for _ in range(20):
        key, other = await world.photo(), await world.photo()
        await world.attachments.attach(PHOTO, key, ME)
        await world.attachments.attach(PHOTO, other, ME)
        world.clock.now += GRACE
        attaching: asyncio.Task[SlotOutcome] = asyncio.create_task(world.other.attach(FILE_SLOT, key, ME))
        await asyncio.gather(attaching, world.uploads.sweep(), return_exceptions=True)
        record, held = await world.record(key), slots.keys(await world.attachments.get_slot(FILE_SLOT))
        if record.state is State.COMPLETE:
            assert [FILE_SLOT] == list(record.attached)
            assert key in held
        else:
            assert State.PURGED is record.state
            assert isinstance(attaching.exception(), UploadError)
            assert key not in held
        outcomes[record.state] += 1
        await world.attachments.detach(FILE_SLOT, None, ME)
    print(dict(outcomes))
