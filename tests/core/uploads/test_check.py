"""
Facts and bytes that differ are found, explained and, where that loses nothing, repaired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast.service.core.uploads.check import Check, Finding, Problem
from holdfast.storage.errors import NotFound
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.memory import MemoryLeases, MemoryMetadataStore
from holdfast.storage.objects import Association, SlotRecord
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.inventory import Inventory
from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import Intent, SlotRef, State, UploadRecord
from tests.core.worlds import Clock
from tests.storage.backends import (
    INVENTORIES,
    NOW,
    TENANT,
    appended,
    changed,
    content_of,
    new_upload,
    replace_upload,
    store_upload,
    usual,
)
from tests.storage.places import Place

PHOTO = SlotRef(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto")
# Files of a test were changed in this year; those of memory never.
LATER = 4_000_000_000.0


class World:
    """Everything that a check compares."""

    def __init__(self, content: ByteStore, inventory: Inventory) -> None:
        self.content = content
        self.inventory = inventory
        self.metadata = MemoryMetadataStore()
        self.leases = MemoryLeases()
        self.clock = Clock()
        self.clock.now = LATER
        self.check = Check(self.metadata, SeparateLeasedUploads(self.metadata, self.leases), inventory, clock=self.clock)

    async def found(self, *, repair: bool = False) -> list[Finding]:
        """Return all findings."""
        return [finding async for finding in self.check.findings(repair=repair)]

    async def problems(self, *, repair: bool = False) -> dict[str, Problem]:
        """Return the problems by key; each has one at most."""
        found = await self.found(repair=repair)
        problems: dict[str, Problem] = {finding.key: finding.problem for finding in found}
        assert len(found) == len(problems)
        return problems

    async def open(self, content: bytes = b"hold", **facts: Any) -> UploadRecord:  # noqa: ANN401  # every field has a type of its own
        """Return an upload at the end of *content*."""
        record = await appended(self.content, new_upload(**facts), content)
        record = dataclasses.replace(record, revision=0)
        await store_upload(self.metadata, record)
        return record

    async def complete(self, content: bytes = b"holdfast", **facts: Any) -> UploadRecord:  # noqa: ANN401  # see open
        """Return an attachment."""
        record = await appended(self.content, new_upload(length=len(content)), content)
        received = changed(record, state=State.RECEIVED)
        await self.content.complete(received)
        record = dataclasses.replace(received, state=State.COMPLETE, revision=0, **facts)
        await store_upload(self.metadata, record)
        return record


@pytest.fixture(params=usual(INVENTORIES))
async def world(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[World]:
    """Return a desk over every byte store that has an inventory."""
    world = World(*INVENTORIES[request.param](place))
    yield world
    await world.inventory.close()
    await world.content.close()


async def test_what_agrees(world: World) -> None:
    """Where facts and bytes agree there is nothing to find."""
    await world.open()
    await world.complete()
    await store_upload(world.metadata, new_upload())

    assert [] == await world.found()


async def test_what_only_a_newer_version_understands(world: World) -> None:
    """Of an upload whose state is not known nothing is missed, and nothing is removed."""
    record = await world.open()
    await replace_upload(world.metadata, record, changed(record, state=State.UNKNOWN, offset=100))

    assert [] == await world.found(repair=True)
    assert b"hold" == await content_of(world.content, record)


async def test_orphans(world: World) -> None:
    """Bytes that no record speaks of are found, and removed by a repair."""
    known = await world.open()
    orphan = await appended(world.content, new_upload(), b"nobody's")

    assert {orphan.key: Problem.ORPHAN} == await world.problems()
    assert b"nobody's" == await content_of(world.content, orphan)
    assert [True] == [finding.repaired for finding in await world.found(repair=True)]
    assert {} == await world.problems()
    assert b"hold" == await content_of(world.content, known)
    with pytest.raises(NotFound):
        await content_of(world.content, orphan)


async def test_leftovers(world: World) -> None:
    """Bytes of an upload that is over are found, and removed by a repair."""
    record = await world.open()
    await replace_upload(world.metadata, record, changed(record, state=State.CANCELLED))

    assert {record.key: Problem.LEFTOVER} == await world.problems(repair=True)
    assert {} == await world.problems()


async def test_what_changed_lately_is_left_alone(world: World) -> None:
    """A file whose record may be on its way is nobody's business yet."""
    await appended(world.content, new_upload(), b"nobody's, yet")
    stored = [stored async for stored in world.inventory.stored()]
    world.clock.now = stored[0].changed_at + 3600

    assert {} == await world.problems(repair=True)


async def test_what_is_needed_by_now_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an upload did not need when all records were read, and needs now, is neither told nor removed."""
    record = await world.open()

    async def as_it_was() -> AsyncIterator[UploadRecord]:
        yield dataclasses.replace(record, state=State.CANCELLED)

    monkeypatch.setattr(world.metadata, "uploads", as_it_was)

    assert {} == await world.problems(repair=True)
    assert b"hold" == await content_of(world.content, record)


async def test_what_somebody_has_is_left_alone(world: World) -> None:
    """A leftover of an upload that is in somebody's hands is theirs to remove."""
    record = await world.open()
    await replace_upload(world.metadata, record, changed(record, state=State.CANCELLED))
    await world.leases.acquire(record.ref, lambda: None, 1)

    assert {} == await world.problems(repair=True)


@pytest.mark.parametrize("state", [State.OPEN, State.RECEIVED, State.COMPLETE])
async def test_what_is_missing(world: World, state: State) -> None:
    """Bytes that were promised and are not there are found; no repair makes them up, or forgets the promise."""
    record = new_upload(state=state, offset=8, length=8)
    await store_upload(world.metadata, record)

    assert {record.key: Problem.MISSING} == await world.problems(repair=True)
    assert {record.key: Problem.MISSING} == await world.problems()
    assert record == await world.metadata.get(record.ref)


async def test_slots_and_uploads_that_differ(world: World) -> None:
    """An upload that believes to be in a slot which does not have it is found."""
    inside = await world.complete(attached=(PHOTO,))
    lost = await world.complete(attached=(dataclasses.replace(PHOTO, id="2"),))
    association = Association(id="a", attachment=inside.key, attached_at=NOW, attached_by=None)
    slot = SlotRecord(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto", etag="a", active=(association,))
    await world.metadata.commit([Change(old=None, new=slot)])

    assert {lost.key: Problem.DETACHED} == await world.problems()


async def told(world: World, record: UploadRecord) -> str:
    """Return what is said of *record*."""
    return " ".join((await world.check.explain(record)).sentences)


async def test_explanations(world: World) -> None:
    """Of each upload it is told what keeps it, or when it goes."""
    intent = Intent(slot=PHOTO)
    attached = await told(world, await world.complete(attached=(PHOTO,)))
    kept = await told(world, await world.complete())
    leaving = await told(world, await world.complete(expires_at=0.0))
    meant = await told(world, await world.open(intent=intent, expires_at=LATER + 1))
    late = await told(world, await world.open(expires_at=LATER - 1))
    gone = await told(world, new_upload(state=State.PURGED))
    lost = await told(world, new_upload(offset=8))

    assert "in the slot ProfilePhoto of user 1; that keeps it" in attached
    assert "nothing purges it" in kept
    assert "it is purged at 1970-01-01 00:00:00 UTC" in leaving
    assert "When it is complete it goes into the slot ProfilePhoto of user 1" in meant
    assert "All content that it promises is there" in meant
    assert "the next sweep gives it up" in late
    assert "tombstone" in gone
    assert "not all there" in lost
