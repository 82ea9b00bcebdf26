"""
Facts and bytes that differ are found, explained and, where that loses nothing, repaired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.core.check import Check, Finding, Problem
from storage.desk import SeparateDesk
from storage.errors import NotFound
from storage.inventory import Inventory
from storage.memory import MemoryLeases, MemoryMetadataStore
from storage.objects import Association, SlotRecord
from storage.ports import ByteStore, Change
from storage.records import Intent, SlotRef, State, UploadRecord
from tests.core.worlds import Clock
from tests.storage.backends import INVENTORIES, NOW, TENANT, appended, changed, content_of, new_upload, usual
from tests.storage.places import Place

PHOTO = SlotRef(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto")
# Files of a test were changed in this year; those of memory never.
LATER = 4_000_000_000.0


class Desk:
    """Everything that a check compares."""

    def __init__(self, content: ByteStore, inventory: Inventory) -> None:
        self.content = content
        self.inventory = inventory
        self.metadata = MemoryMetadataStore()
        self.leases = MemoryLeases()
        self.clock = Clock()
        self.clock.now = LATER
        self.check = Check(self.metadata, SeparateDesk(self.metadata, self.leases), inventory, clock=self.clock)

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
        await self.metadata.create(record)
        return record

    async def complete(self, content: bytes = b"holdfast", **facts: Any) -> UploadRecord:  # noqa: ANN401  # see open
        """Return an attachment."""
        record = await appended(self.content, new_upload(length=len(content)), content)
        received = changed(record, state=State.RECEIVED)
        await self.content.complete(received)
        record = dataclasses.replace(received, state=State.COMPLETE, revision=0, **facts)
        await self.metadata.create(record)
        return record


@pytest.fixture(params=usual(INVENTORIES))
async def desk(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Desk]:
    """Return a desk over every byte store that has an inventory."""
    desk = Desk(*INVENTORIES[request.param](place))
    yield desk
    await desk.inventory.close()
    await desk.content.close()


async def test_what_agrees(desk: Desk) -> None:
    """Where facts and bytes agree there is nothing to find."""
    await desk.open()
    await desk.complete()
    await desk.metadata.create(new_upload())

    assert [] == await desk.found()


async def test_orphans(desk: Desk) -> None:
    """Bytes that no record speaks of are found, and removed by a repair."""
    known = await desk.open()
    orphan = await appended(desk.content, new_upload(), b"nobody's")

    assert {orphan.key: Problem.ORPHAN} == await desk.problems()
    assert b"nobody's" == await content_of(desk.content, orphan)
    assert [True] == [finding.repaired for finding in await desk.found(repair=True)]
    assert {} == await desk.problems()
    assert b"hold" == await content_of(desk.content, known)
    with pytest.raises(NotFound):
        await content_of(desk.content, orphan)


async def test_leftovers(desk: Desk) -> None:
    """Bytes of an upload that is over are found, and removed by a repair."""
    record = await desk.open()
    await desk.metadata.replace(record, changed(record, state=State.CANCELLED))

    assert {record.key: Problem.LEFTOVER} == await desk.problems(repair=True)
    assert {} == await desk.problems()


async def test_what_changed_lately_is_left_alone(desk: Desk) -> None:
    """A file whose record may be on its way is nobody's business yet."""
    await appended(desk.content, new_upload(), b"nobody's, yet")
    stored = [stored async for stored in desk.inventory.stored()]
    desk.clock.now = stored[0].changed_at + 3600

    assert {} == await desk.problems(repair=True)


async def test_what_is_needed_by_now_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an upload did not need when all records were read, and needs now, is neither told nor removed."""
    record = await desk.open()

    async def as_it_was() -> AsyncIterator[UploadRecord]:
        yield dataclasses.replace(record, state=State.CANCELLED)

    monkeypatch.setattr(desk.metadata, "uploads", as_it_was)

    assert {} == await desk.problems(repair=True)
    assert b"hold" == await content_of(desk.content, record)


async def test_what_somebody_has_is_left_alone(desk: Desk) -> None:
    """A leftover of an upload that is in somebody's hands is theirs to remove."""
    record = await desk.open()
    await desk.metadata.replace(record, changed(record, state=State.CANCELLED))
    await desk.leases.acquire(record.ref, lambda: None, 1)

    assert {} == await desk.problems(repair=True)


@pytest.mark.parametrize("state", [State.OPEN, State.RECEIVED, State.COMPLETE])
async def test_what_is_missing(desk: Desk, state: State) -> None:
    """Bytes that were promised and are not there are found; no repair makes them up, or forgets the promise."""
    record = new_upload(state=state, offset=8, length=8)
    await desk.metadata.create(record)

    assert {record.key: Problem.MISSING} == await desk.problems(repair=True)
    assert {record.key: Problem.MISSING} == await desk.problems()
    assert record == await desk.metadata.get(record.ref)


async def test_slots_and_uploads_that_differ(desk: Desk) -> None:
    """An upload that believes to be in a slot which does not have it is found."""
    inside = await desk.complete(attached=(PHOTO,))
    lost = await desk.complete(attached=(dataclasses.replace(PHOTO, id="2"),))
    association = Association(id="a", attachment=inside.key, attached_at=NOW, attached_by=None)
    slot = SlotRecord(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto", etag="a", active=(association,))
    await desk.metadata.commit([Change(old=None, new=slot)])

    assert {lost.key: Problem.DETACHED} == await desk.problems()


async def told(desk: Desk, record: UploadRecord) -> str:
    """Return what is said of *record*."""
    return " ".join((await desk.check.explain(record)).sentences)


async def test_explanations(desk: Desk) -> None:
    """Of each upload it is told what keeps it, or when it goes."""
    intent = Intent(slot=PHOTO)
    attached = await told(desk, await desk.complete(attached=(PHOTO,)))
    kept = await told(desk, await desk.complete())
    leaving = await told(desk, await desk.complete(expires_at=0.0))
    meant = await told(desk, await desk.open(intent=intent, expires_at=LATER + 1))
    late = await told(desk, await desk.open(expires_at=LATER - 1))
    gone = await told(desk, new_upload(state=State.PURGED))
    lost = await told(desk, new_upload(offset=8))

    assert "in the slot ProfilePhoto of user 1; that keeps it" in attached
    assert "nothing purges it" in kept
    assert "it is purged at 1970-01-01 00:00:00 UTC" in leaving
    assert "When it is complete it goes into the slot ProfilePhoto of user 1" in meant
    assert "All content that it promises is there" in meant
    assert "the next sweep gives it up" in late
    assert "tombstone" in gone
    assert "not all there" in lost
