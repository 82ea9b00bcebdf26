"""
What is done with uploads when there is no room: content that waits is refused, and what is deleted makes room for saying so.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from holdfast.service.core.commands import Cancel, Completes
from holdfast.service.core.errors import OutOfSpace
from holdfast.storage.errors import NoSpace, NotFound
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.objects import Event
from holdfast.storage.ports.leases import Lease
from holdfast.storage.ports.metadata import Adjustment, Change
from holdfast.storage.records import KEPT, State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.worlds import FaultyByteStore, World
from tests.storage.backends import content_of

KELP = b"bull kelp"


class FullDisk(MemoryMetadataStore):
    """Records on the same disk as content: while it is full, an end can be recorded only when the content is gone."""

    def __init__(self, content: MemoryByteStore) -> None:
        super().__init__()
        self.content = content
        self.is_full = False

    async def commit(
        self,
        changes: Sequence[Change],
        *,
        adjustments: Sequence[Adjustment] = (),
        events: Sequence[Event] = (),
        release: Lease | None = None,
    ) -> None:
        for change in changes:
            new = change.new
            if self.is_full and isinstance(new, UploadRecord) and new.state not in KEPT:
                try:
                    await content_of(self.content, new)
                except NotFound:
                    continue
                raise NoSpace("full")
        await super().commit(changes, adjustments=adjustments, events=events, release=release)


@pytest.fixture
def disk() -> FullDisk:
    """Return records on a disk that gets full."""
    return FullDisk(MemoryByteStore())


@pytest.fixture
def full_world(disk: FullDisk) -> World:
    """Return a world on that disk."""
    return World(content=FaultyByteStore(disk.content), metadata=disk, leases=MemoryLeases())


async def test_content_makes_room_for_its_tombstone(full_world: World, disk: FullDisk) -> None:
    """An open upload whose end cannot be recorded gives its bytes first."""
    record = await full_world.empty(Completes.AT_LENGTH, 20)
    record = (await full_world.append(record, FakeContent(KELP))).record
    disk.is_full = True
    cancelled = await full_world.uploads().cancel(Cancel(ref=record.ref))

    assert State.CANCELLED == cancelled.record.state
    assert (State.CANCELLED, len(KELP)) == await full_world.facts(record)
    with pytest.raises(NotFound):
        await full_world.bytes_of(record)


async def test_the_sweeper_makes_room(full_world: World, disk: FullDisk) -> None:
    """What expired on a full disk is given up all the same."""
    record = await full_world.empty(Completes.AT_LENGTH, 20)
    record = (await full_world.append(record, FakeContent(KELP))).record
    disk.is_full = True
    full_world.clock.now += 100_000
    await full_world.uploads().sweep()

    assert State.EXPIRED == (await full_world.stored(record)).state


async def test_an_attachment_stays_until_its_end_is_recorded(full_world: World, disk: FullDisk) -> None:
    """Somebody may be attaching it: its bytes are not deleted before its record says that it is over."""
    record = (await full_world.create(FakeContent(KELP), Completes.AT_LENGTH, len(KELP))).record
    disk.is_full = True
    with pytest.raises(OutOfSpace):
        await full_world.uploads().cancel(Cancel(ref=record.ref))

    assert State.COMPLETE == (await full_world.stored(record)).state
    assert KELP == await full_world.bytes_of(record)


async def test_content_that_waits_is_refused_before_it_comes(full_world: World) -> None:
    """A client that asks before it sends hears that there is no room; one that sends has as much taken as fits."""
    record = await full_world.empty(Completes.AT_LENGTH, len(KELP))
    full_world.content.fail("expect", error=NoSpace("full"))
    waiting = FakeContent(KELP, is_awaited=True)
    with pytest.raises(OutOfSpace) as caught:
        await full_world.append(record, waiting)

    assert (record, False) == (caught.value.record, waiting.ended)
    full_world.content.fail("expect", error=NoSpace("full"))
    assert State.COMPLETE == (await full_world.append(record, FakeContent(KELP))).record.state
