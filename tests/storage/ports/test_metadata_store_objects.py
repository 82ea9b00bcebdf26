"""
What every `holdfast.storage.ports.MetadataStore` promises of objects, slots and events, and of changes that belong together.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.storage.errors import AlreadyExists, NotFound, PreconditionFailed, UnknownPosition
from holdfast.storage.keys import new_key
from holdfast.storage.objects import (
    EVENT_FIELDS,
    OBJECT_FIELDS,
    SLOT_FIELDS,
    Association,
    Ending,
    Event,
    ObjectRecord,
    SlotRecord,
)
from holdfast.storage.ports.metadata import Change, MetadataStore, Record
from holdfast.storage.records import Key, State, Subject, Tenant
from tests.storage.backends import NOW, OTHER_TENANT, TENANT, changed, new_upload, on_every_topology, replace_upload, store_upload

texts = st.text(max_size=20)
maybe_texts = st.none() | texts
times = st.floats(min_value=0, max_value=1e12)
associations = st.builds(
    Association,
    id=texts,
    attachment=texts.map(Key),
    attached_at=times,
    attached_by=st.none() | texts.map(Subject),
    ended_at=st.none() | times,
    ended_by=st.none() | texts.map(Subject),
    ending=st.none() | st.sampled_from(Ending),
)
object_facts: dict[str, st.SearchStrategy[Any]] = {
    "created_at": times,
    "updated_at": times,
    "updated_by": maybe_texts,
    "etag": texts,
    "attributes": texts,
    "deleted_at": st.none() | times,
}
slot_facts: dict[str, st.SearchStrategy[Any]] = {
    "etag": texts,
    "active": st.lists(associations, max_size=3).map(tuple),
    "ended": st.lists(associations, max_size=3).map(tuple),
}
event_facts: dict[str, st.SearchStrategy[Any]] = {
    "type": texts,
    "at": times,
    "actor": maybe_texts,
    "originator": maybe_texts,
    "attachment": maybe_texts,
    "kind": maybe_texts,
    "object_id": maybe_texts,
    "slot": maybe_texts,
    "data": texts,
}
many = settings(max_examples=20)


def new_object(**facts: Any) -> ObjectRecord:  # noqa: ANN401  # every field has a type of its own
    """Return an object that nobody else has."""
    some = {"kind": "user", "id": secrets.token_hex(8), "created_at": NOW, "updated_at": NOW, "updated_by": None, "etag": "a"}
    return ObjectRecord(**{"tenant": TENANT, **some, **facts})


def new_slot(of: ObjectRecord, slot: str = "ProfilePhoto", **facts: Any) -> SlotRecord:  # noqa: ANN401  # see new_object
    """Return a slot of *of*."""
    return SlotRecord(**{"tenant": of.tenant, "kind": of.kind, "id": of.id, "slot": slot, "etag": "a", **facts})


def new_event(**facts: Any) -> Event:  # noqa: ANN401  # see new_object
    """Return an event that nobody else has."""
    return Event(**{"id": secrets.token_hex(8), "tenant": TENANT, "type": "test.tried", "at": NOW, **facts})


def begins(*records: Record) -> list[Change]:
    """Return the changes that bring *records* into being."""
    return [Change(old=None, new=record) for record in records]


async def stored_events(metadata: MetadataStore, tenant: Tenant = TENANT, attachment: Key | None = None) -> list[Event]:
    """Return every event of a tenant."""
    return [logged.event for logged in await metadata.events(tenant, "", 1000, attachment)]


def test_every_fact_is_tried() -> None:
    """No field of a record is forgotten by the tests of this file."""
    assert set(OBJECT_FIELDS) == {*object_facts, "tenant", "kind", "id", "revision"}
    assert set(SLOT_FIELDS) == {*slot_facts, "tenant", "kind", "id", "slot", "revision"}
    assert set(EVENT_FIELDS) == {*event_facts, "id", "tenant"}


@given(before=st.fixed_dictionaries(object_facts), after=st.fixed_dictionaries(object_facts), kind=texts)
@many
async def test_every_fact_of_an_object(metadata: MetadataStore, before: dict[str, Any], after: dict[str, Any], kind: str) -> None:
    """An object is read exactly as it was stored, and as it was replaced."""
    created = new_object(kind=kind, **before)
    await metadata.commit(begins(created))
    first = await metadata.get_object(created.ref)
    replaced = dataclasses.replace(created, revision=1, **after)
    await metadata.commit([Change(old=created, new=replaced)])

    assert (created, replaced) == (first, await metadata.get_object(created.ref))


@given(before=st.fixed_dictionaries(slot_facts), after=st.fixed_dictionaries(slot_facts), slot=texts)
@many
async def test_every_fact_of_a_slot(metadata: MetadataStore, before: dict[str, Any], after: dict[str, Any], slot: str) -> None:
    """A slot is read exactly as it was stored, and as it was replaced."""
    created = new_slot(new_object(), slot, **before)
    await metadata.commit(begins(created))
    first = await metadata.get_slot(created.ref)
    replaced = dataclasses.replace(created, revision=1, **after)
    await metadata.commit([Change(old=created, new=replaced)])

    assert (created, replaced) == (first, await metadata.get_slot(created.ref))
    assert [replaced] == await metadata.get_slots(created.ref.object)


@on_every_topology
@given(facts=st.fixed_dictionaries(event_facts))
@many
async def test_every_fact_of_an_event(metadata: MetadataStore, facts: dict[str, Any]) -> None:
    """An event is read exactly as it was stored."""
    event = new_event(**facts)
    await metadata.commit([], events=[event])

    assert event == (await stored_events(metadata))[-1]


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("trouble", ["changed meanwhile", "gone", "there already", "told already"])
@on_every_topology
async def test_all_or_nothing(metadata: MetadataStore, at: int, trouble: str) -> None:
    """Whichever change cannot be made, none is, and no event is told."""
    upload, user, told = new_upload(), new_object(), new_event()
    slot, group = new_slot(user), new_object(kind="group")
    await metadata.commit(begins(upload, user, slot, group), events=[told])
    records: list[Record] = [upload, user, slot, group]
    others: list[Record] = [new_upload(), new_object(), new_slot(new_object()), new_object(kind="group")]
    changes = [Change(old=record, new=dataclasses.replace(record, revision=1)) for record in records]
    events, error = [new_event(), new_event()], PreconditionFailed
    match trouble:
        case "changed meanwhile":
            await metadata.commit([changes[at]])
        case "gone":
            other = others[at]
            changes[at] = Change(old=other, new=dataclasses.replace(other, revision=1))
        case "there already":
            changes[at], error = Change(old=None, new=records[at]), AlreadyExists  # type: ignore[assignment]
        case "told already":
            events[at % 2], error = told, AlreadyExists  # type: ignore[assignment]
    with pytest.raises(error):
        await metadata.commit(changes, events=events)
    found: list[Record] = [
        await metadata.get(upload.ref),
        await metadata.get_object(user.ref),
        await metadata.get_slot(slot.ref),
        await metadata.get_object(group.ref),
    ]
    untouched = [record.revision for place, record in enumerate(found) if (trouble, place) != ("changed meanwhile", at)]

    assert 0 == sum(untouched)
    assert [told] == await stored_events(metadata)


@on_every_topology
async def test_uploads_are_told_of_too(metadata: MetadataStore) -> None:
    """Creating and replacing an upload stores its events, or neither."""
    upload, created, completed, late = new_upload(), new_event(), new_event(), new_event()
    await store_upload(metadata, upload, [created])
    complete = changed(upload, state=State.COMPLETE)
    await replace_upload(metadata, upload, complete, [completed])
    with pytest.raises(PreconditionFailed):
        await replace_upload(metadata, upload, changed(upload), [late])
    with pytest.raises(AlreadyExists):
        await store_upload(metadata, upload, [late])

    assert [created, completed] == await stored_events(metadata)
    assert complete == await metadata.get(upload.ref)


@on_every_topology
async def test_an_idempotency_key_that_is_taken(metadata: MetadataStore) -> None:
    """A commit says whose the idempotency key is, as a creation does."""
    first = new_upload(idempotency_key="again")
    await store_upload(metadata, first)
    with pytest.raises(AlreadyExists) as caught:
        await metadata.commit(begins(new_object(), new_upload(idempotency_key="again")), events=[new_event()])

    assert first == caught.value.existing
    assert [] == await metadata.list_objects(TENANT, "user", "", 10)


def test_a_change_is_the_next_revision() -> None:
    """What is no next revision of the same record cannot be asked for."""
    user = new_object()
    for wrong in (user, dataclasses.replace(user, revision=2), dataclasses.replace(user, id="other", revision=1)):
        with pytest.raises(ValueError, match="next revision"):
            Change(old=user, new=wrong)
    with pytest.raises(ValueError, match="next revision"):
        Change(old=user, new=new_slot(user, revision=1))


@on_every_topology
async def test_tenants_do_not_see_each_other(metadata: MetadataStore) -> None:
    """An object, a slot and an event are found by their own tenant only."""
    user = new_object()
    slot, event = new_slot(user), new_event(attachment=new_key())
    await metadata.commit(begins(user, slot), events=[event])
    foreign, foreign_slot = dataclasses.replace(user, tenant=OTHER_TENANT), dataclasses.replace(slot, tenant=OTHER_TENANT)
    with pytest.raises(NotFound):
        await metadata.get_object(foreign.ref)
    with pytest.raises(NotFound):
        await metadata.get_slot(foreign_slot.ref)

    assert [] == await metadata.get_slots(foreign.ref)
    assert [] == await metadata.list_objects(OTHER_TENANT, "user", "", 10)
    assert [] == await stored_events(metadata, OTHER_TENANT)
    assert [] == await stored_events(metadata, OTHER_TENANT, event.attachment)


async def test_the_same_name_for_many_things(metadata: MetadataStore) -> None:
    """Kinds and tenants have ids of their own, and objects have slots of their own."""
    users = [new_object(tenant=tenant, kind=kind, id="1") for tenant in (TENANT, OTHER_TENANT) for kind in ("user", "group")]
    slots = [new_slot(user, slot, etag=slot) for user in users for slot in ("a", "b")]
    records: list[ObjectRecord | SlotRecord] = [*users, *slots]
    for tenant in (TENANT, OTHER_TENANT):
        await metadata.commit(begins(*(record for record in records if record.tenant == tenant)))

    assert users == [await metadata.get_object(user.ref) for user in users]
    assert slots == [slot for user in users for slot in await metadata.get_slots(user.ref)]


async def test_objects_are_listed_by_pages(metadata: MetadataStore) -> None:
    """Every object of the kind is on exactly one page, ordered by id, whatever else there is."""
    users = [new_object(id=name) for name in ("ä", "b", "a", "B", "a b", "10", "9")]
    await metadata.commit(begins(*users, new_object(kind="group")))
    await metadata.commit(begins(new_object(tenant=OTHER_TENANT)))
    listed: list[ObjectRecord] = []
    while page := await metadata.list_objects(TENANT, "user", listed[-1].id if listed else "", 3):
        assert len(page) <= 3
        listed += page

    assert sorted(users, key=lambda user: user.id) == listed


@on_every_topology
async def test_events_are_read_by_pages(metadata: MetadataStore) -> None:
    """Every event is on exactly one page, in the order of the commits; given an attachment, every one of it."""
    attachment = new_key()
    events = [new_event(attachment=attachment if number % 3 else None) for number in range(20)]
    for number in range(0, 20, 2):
        await metadata.commit([], events=[new_event(tenant=OTHER_TENANT, attachment=attachment)])
        await metadata.commit([], events=events[number : number + 2])
    for wanted in (None, attachment):
        read: list[Event] = []
        position = ""
        while page := await metadata.events(TENANT, position, 3, wanted):
            read += [logged.event for logged in page]
            position = page[-1].position
            assert len(read) <= len(events), "an event is on two pages"

        assert [event for event in events if wanted in (None, event.attachment)] == read


@on_every_topology
async def test_unknown_positions(metadata: MetadataStore) -> None:
    """A position where this tenant has no event is none, whether another has one there, none has one, or none could."""
    key = new_key()
    event, other = new_event(attachment=key), new_event(tenant=OTHER_TENANT)
    await metadata.commit([], events=[other])
    await metadata.commit([], events=[event])
    (logged,), (foreign,) = await metadata.events(TENANT, "", 9), await metadata.events(OTHER_TENANT, "", 9)
    number, _, sequence = logged.position.partition("-")
    later = f"{int(number) + 10}-{sequence}" if sequence else str(int(number) + 10)
    # Where each tenant has a log of its own, two events of one moment have the same position.
    for unknown in {foreign.position, later, "0", "0-0", "kelp", "-1"} - {logged.position}:
        for wanted in (None, key):
            with pytest.raises(UnknownPosition):
                await metadata.events(TENANT, unknown, 9, wanted)

    assert [] == await metadata.events(TENANT, logged.position, 9)
    assert [] == await metadata.events(TENANT, logged.position, 9, key)


@on_every_topology
async def test_many_replace_at_once(metadata: MetadataStore) -> None:
    """Of many who replace the same revision exactly one gets through, and its event is the only one."""
    user = new_object()
    slot = new_slot(user)
    await metadata.commit(begins(user, slot))

    async def attach(number: int) -> str | None:
        changes = [
            Change(old=user, new=dataclasses.replace(user, revision=1, etag=str(number))),
            Change(old=slot, new=dataclasses.replace(slot, revision=1, etag=str(number))),
        ]
        try:
            await metadata.commit(changes, events=[new_event(id=str(number))])
        except PreconditionFailed:
            return None
        return str(number)

    winners = [winner for winner in await asyncio.gather(*map(attach, range(64))) if winner is not None]

    assert 1 == len(winners)
    assert winners == [(await metadata.get_object(user.ref)).etag] == [(await metadata.get_slot(slot.ref)).etag]
    assert winners == [event.id for event in await stored_events(metadata)]
