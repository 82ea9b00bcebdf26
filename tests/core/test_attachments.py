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

from service.core import slots
from service.core.attachments import Attachments
from service.core.commands import Cancel, Completes, Create
from service.core.conditions import ANY, Condition
from service.core.errors import (
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
from service.core.objects import Objects
from service.core.policies import BUILT_IN, PROFILE_PHOTO, Policies, Policy
from service.core.principals import Principal
from service.core.uploads import Uploads
from storage.desk import SeparateDesk
from storage.keys import new_key
from storage.memory import MemoryByteStore, MemoryLeases
from storage.objects import Event, SlotRecord
from storage.ports import MetadataStore
from storage.records import Key, ObjectRef, Ref, SlotRef, State, Subject, UploadRecord
from tests.core.contents import FakeContent
from tests.core.situations import PNG
from tests.core.worlds import LIMITS, Clock
from tests.storage.backends import METADATA_STORES, OTHER_TENANT, TENANT, new_upload, usual
from tests.storage.places import Place

# Who waits for somebody that never comes fails soon.
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
class Desk:
    """Uploads and attachments over the same stores."""

    clock: Clock
    metadata: MetadataStore
    uploads: Uploads
    objects: Objects
    attachments: Attachments
    other: Attachments
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
async def desk(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Desk]:
    """Return a desk over the usual kinds of metadata stores, with one user."""
    clock, content, metadata = Clock(), MemoryByteStore(), METADATA_STORES[request.param](place)
    # A store in files is opened twice, as by two processes.
    far = metadata if request.param == "memory" else METADATA_STORES[request.param](place)
    uploads = Uploads(content, metadata, SeparateDesk(metadata, MemoryLeases()), LIMITS, clock=clock)
    near, other = (Attachments(content, store, POLICIES, clock=clock) for store in (metadata, far))
    objects = Objects(metadata, POLICIES, clock=clock)
    await objects.register(USER, "{}", ME)
    yield Desk(clock, metadata, uploads, objects, near, other)
    for store in {id(store): store for store in (metadata, far)}.values():
        await store.close()


async def test_attach(desk: Desk) -> None:
    """The slot has the attachment, the attachment knows its slot and is kept, and one event tells of it."""
    key = await desk.photo()
    slot = await desk.attachments.attach(PHOTO, key, ME)
    record, last = await desk.record(key), (await desk.told())[-1]

    assert slot == await desk.attachments.get_slot(PHOTO)
    assert (key,) == slots.keys(slot)
    assert ((PHOTO,), None) == (record.attached, record.expires_at)
    assert ("attachment.attached", key, "user", "1", "ProfilePhoto") == (
        last.type,
        last.attachment,
        last.kind,
        last.object_id,
        last.slot,
    )
    assert ("me", "intranet", slot.active[0].id) == (last.actor, last.originator, json.loads(last.data)["association"])


async def test_attach_again(desk: Desk) -> None:
    """A request that is repeated gets the same answer, whatever it believes of the slot, and no second event."""
    key = await desk.photo()
    first = await desk.attachments.attach(PHOTO, key, ME)
    told, owner = await desk.told(), await desk.objects.get(USER)

    assert first == await desk.attachments.attach(PHOTO, key, ME)
    assert first == await desk.other.attach(PHOTO, key, ME, condition=NEW)
    assert (told, owner) == (await desk.told(), await desk.objects.get(USER))


async def test_replace(desk: Desk) -> None:
    """The old one is out of the slot in the same change, and is kept for the grace."""
    old, new = await desk.photo(), await desk.photo()
    before = await desk.attachments.attach(PHOTO, old, ME)
    owner = await desk.objects.get(USER)
    desk.clock.now += 10
    slot = await desk.attachments.attach(PHOTO, new, ME)
    touched = await desk.objects.get(USER)

    assert (new,) == slots.keys(slot)
    assert ((), desk.clock.now + GRACE) == ((await desk.record(old)).attached, (await desk.record(old)).expires_at)
    assert before.etag != slot.etag
    assert owner.etag != touched.etag
    assert (desk.clock.now, "me") == (touched.updated_at, touched.updated_by)
    assert [("attachment.detached", old), ("attachment.attached", new)] == [
        (event.type, event.attachment) for event in (await desk.told())[-2:]
    ]


async def test_the_life_of_a_photo(desk: Desk) -> None:
    """Attached, replaced, undone, detached: the one in the slot always stays, the other goes after its grace."""
    first, second = await desk.photo(), await desk.photo()
    await desk.attachments.attach(PHOTO, first, ME)
    await desk.attachments.attach(PHOTO, second, ME)
    desk.clock.now += GRACE - 1
    await desk.uploads.sweep()
    undone = await desk.attachments.undo(PHOTO, ME)
    desk.clock.now += GRACE
    await desk.uploads.sweep()

    assert (first,) == slots.keys(undone)
    assert (State.COMPLETE, State.PURGED) == ((await desk.record(first)).state, (await desk.record(second)).state)
    with pytest.raises(UploadPurged):
        await desk.attachments.attach(PHOTO, second, ME)
    await desk.attachments.detach(PHOTO, first, ME)
    desk.clock.now += GRACE
    await desk.uploads.sweep()

    assert State.PURGED is (await desk.record(first)).state
    with pytest.raises(UploadError):
        await desk.attachments.undo(PHOTO, ME)
    assert Counter({"attachment.attached": 2, "attachment.detached": 3, "attachment.restored": 1, "object.registered": 1}) == (
        Counter(event.type for event in await desk.told())
    )


async def test_in_two_slots(desk: Desk) -> None:
    """An attachment that is still in another slot is not purged, and then it is kept for the grace of the last one."""
    key = await desk.photo()
    await desk.attachments.attach(PHOTO, key, ME)
    await desk.attachments.attach(FILE_SLOT, key, ME)
    await desk.attachments.detach(PHOTO, key, ME)
    desk.clock.now += GRACE
    await desk.uploads.sweep()
    record = await desk.record(key)
    revisited = await desk.uploads.sweep()
    await desk.attachments.detach(FILE_SLOT, key, ME)

    assert (State.COMPLETE, (FILE_SLOT,), None) == (record.state, record.attached, record.expires_at)
    assert 0 == revisited
    assert desk.clock.now + FILES.grace == (await desk.record(key)).expires_at


@pytest.mark.parametrize("also", ["before", "after"])
@pytest.mark.parametrize("ends", ["detached", "object deleted"])
async def test_the_longest_grace_counts(desk: Desk, also: str, ends: str) -> None:
    """What left a slot can be put back within its grace, though it left another one with a shorter grace after that."""
    key, other = await desk.photo(), ObjectRef(tenant=TENANT, kind="user", id="2")
    short = SlotRef(tenant=TENANT, kind="user", id=other.id, slot="files")
    await desk.objects.register(other, "{}", ME)
    await desk.attachments.attach(PHOTO, key, ME)
    if also == "before":
        await desk.attachments.attach(short, key, ME)
    await desk.attachments.detach(PHOTO, key, ME)
    left = desk.clock.now
    if also == "after":
        await desk.attachments.attach(short, key, ME)
    if ends == "detached":
        await desk.attachments.detach(short, key, ME)
    else:
        await desk.objects.delete(other, ME)

    assert ((), left + GRACE) == ((await desk.record(key)).attached, (await desk.record(key)).expires_at)
    desk.clock.now = left + GRACE - 1
    await desk.uploads.sweep()
    assert (key,) == slots.keys(await desk.attachments.undo(PHOTO, ME))


async def test_order(desk: Desk) -> None:
    """A slot of many has the order that it is given, and one event tells of a new one."""
    files = [await desk.photo() for _ in range(3)]
    for key in files:
        await desk.attachments.attach(FILE_SLOT, key, ME, place=0)
    before = await desk.attachments.get_slot(FILE_SLOT)
    after = await desk.attachments.reorder(FILE_SLOT, files, ME)

    assert (tuple(reversed(files)), tuple(files)) == (slots.keys(before), slots.keys(after))
    assert ("slot.reordered", files) == ((await desk.told())[-1].type, json.loads((await desk.told())[-1].data)["order"])
    assert after == await desk.attachments.reorder(FILE_SLOT, files, ME)


async def test_what_is_attached_is_not_deleted(desk: Desk) -> None:
    """An attachment has to leave its slot before it can be deleted; then it can."""
    key = await desk.photo()
    await desk.attachments.attach(PHOTO, key, ME)
    with pytest.raises(UploadAttached):
        await desk.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    await desk.attachments.detach(PHOTO, None, ME)
    await desk.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    with pytest.raises(NothingToUndo):
        await desk.attachments.undo(PHOTO, ME)


async def test_undo_passes_over_what_was_deleted(desk: Desk) -> None:
    """The one before it is back, and one event tells so."""
    first, second, third = [await desk.photo() for _ in range(3)]
    for key in (first, second, third):
        await desk.attachments.attach(PHOTO, key, ME)
    await desk.attachments.detach(PHOTO, None, ME)
    for key in (second, third):
        await desk.uploads.cancel(Cancel(ref=Ref(tenant=TENANT, key=key)))
    slot = await desk.attachments.undo(PHOTO, ME)
    last = (await desk.told())[-1]

    assert (first,) == slots.keys(slot)
    assert ("attachment.restored", first) == (last.type, last.attachment)
    assert [PHOTO] == list((await desk.record(first)).attached)


async def test_undo_takes_back_one_act(desk: Desk) -> None:
    """What a slot was emptied of is back at once, in its order, each with its event."""
    files = [await desk.photo() for _ in range(3)]
    for key in files:
        await desk.attachments.attach(FILE_SLOT, key, ME)
    await desk.attachments.detach(FILE_SLOT, None, ME)
    slot = await desk.attachments.undo(FILE_SLOT, ME)

    assert tuple(files) == slots.keys(slot)
    assert [("attachment.restored", key) for key in files] == [(one.type, one.attachment) for one in (await desk.told())[-3:]]


async def test_if_match(desk: Desk) -> None:
    """Who says what the slot was like changes it only if it still is."""
    old, new = await desk.photo(), await desk.photo()
    first = await desk.attachments.attach(PHOTO, old, ME, condition=NEW)
    for wrong in (NEW, Condition(if_match=frozenset({'"something else"'}))):
        with pytest.raises(SlotChanged):
            await desk.attachments.attach(PHOTO, new, ME, condition=wrong)
        with pytest.raises(SlotChanged):
            await desk.attachments.detach(PHOTO, old, ME, condition=wrong)

    assert first == await desk.attachments.get_slot(PHOTO)
    same = Condition(if_match=frozenset({f'"{first.etag}"'}))
    assert (new,) == slots.keys(await desk.attachments.attach(PHOTO, new, ME, condition=same))


async def test_what_cannot_be_attached(desk: Desk) -> None:
    """Only what is complete, of this tenant and of what the slot takes is attached; a refusal changes nothing."""
    text, photo = await desk.photo(b"just text"), await desk.photo()
    opened, expired, cancelled = new_upload(), new_upload(expires_at=desk.clock.now - 1), new_upload(state=State.CANCELLED)
    foreign = new_upload(state=State.COMPLETE, tenant=OTHER_TENANT)
    for record in (opened, expired, cancelled, foreign):
        await desk.metadata.create(record)
    told = await desk.told()
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
            await desk.attachments.attach(slot, key, ME)

    assert told == await desk.told()
    assert () == slots.keys(await desk.attachments.get_slot(PHOTO))
    assert (text,) == slots.keys(await desk.attachments.attach(FILE_SLOT, text, ME))


async def test_register(desk: Desk) -> None:
    """An object keeps its etag until something about it changes."""
    first = await desk.objects.get(USER)
    again = await desk.objects.register(USER, "{}", ME)
    changed = await desk.objects.register(USER, '{"name": "Kelp"}', ME)

    assert first == again
    assert first.etag != changed.etag
    assert ["object.registered", "object.changed"] == [event.type for event in (await desk.told())[:2]]
    with pytest.raises(ObjectNotFound):
        await desk.objects.get(ObjectRef(tenant=OTHER_TENANT, kind="user", id="1"))


async def test_many_replace_at_once(desk: Desk) -> None:
    """64 replacements from two sides leave one attachment in the slot, and one event for each that began and that ended."""
    photos = [await desk.photo() for _ in range(64)]
    sides = (desk.attachments, desk.other)
    answers = await asyncio.gather(*(sides[at % 2].attach(PHOTO, key, ME) for at, key in enumerate(photos)))
    slot = await desk.attachments.get_slot(PHOTO)
    began = [event.attachment for event in await desk.told() if event.type == "attachment.attached"]
    ended = [event.attachment for event in await desk.told() if event.type == "attachment.detached"]

    assert 1 == len(slot.active)
    assert [(key,) for key in photos] == [slots.keys(answer) for answer in answers]
    assert sorted(photos) == sorted(key for key in began if key)
    assert began == [*ended, slot.active[0].attachment]
    assert [old.attachment for old in slot.ended] == ended
    assert [PHOTO] == [ref for key in photos for ref in (await desk.record(key)).attached]


async def test_many_are_added_at_once(desk: Desk) -> None:
    """Those who add to a slot of many do not lose each other."""
    files = [await desk.photo() for _ in range(40)]
    sides = (desk.attachments, desk.other)
    await asyncio.gather(*(sides[at % 2].attach(FILE_SLOT, key, ME) for at, key in enumerate(files)))

    assert sorted(files) == sorted(slots.keys(await desk.other.get_slot(FILE_SLOT)))


async def test_a_purge_races_an_association(desk: Desk) -> None:
    """Of a purge and an association exactly one gets through."""
    outcomes: Counter[str] = Counter()
    for _ in range(20):
        key, other = await desk.photo(), await desk.photo()
        await desk.attachments.attach(PHOTO, key, ME)
        await desk.attachments.attach(PHOTO, other, ME)
        desk.clock.now += GRACE
        attaching: asyncio.Task[SlotRecord] = asyncio.create_task(desk.other.attach(FILE_SLOT, key, ME))
        await asyncio.gather(attaching, desk.uploads.sweep(), return_exceptions=True)
        record, held = await desk.record(key), slots.keys(await desk.attachments.get_slot(FILE_SLOT))
        if record.state is State.COMPLETE:
            assert [FILE_SLOT] == list(record.attached)
            assert key in held
        else:
            assert State.PURGED is record.state
            assert isinstance(attaching.exception(), UploadError)
            assert key not in held
        outcomes[record.state] += 1
        await desk.attachments.detach(FILE_SLOT, None, ME)
    print(dict(outcomes))
