"""
What the sweeper does, and leaves alone.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from holdfast.service.core.commands import Cancel, Completes
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import StoreFailed, UploadCancelled
from holdfast.storage.errors import NotFound
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.situations import KELP, held_at, received
from tests.core.worlds import LIMITS, World

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER


async def expired(world: World) -> UploadRecord:
    """Return an upload that nobody came back for."""
    record = (await world.create(FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE), AT_LENGTH, len(KELP))).record
    world.clock.now += LIMITS.idle_expiry
    return record


async def abandoned(world: World, count: int) -> list[UploadRecord]:
    """Return uploads that expired at the same moment."""
    cut = [FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE) for _ in range(count)]
    records = [(await world.create(content, AT_LENGTH, len(KELP))).record for content in cut]
    world.clock.now += LIMITS.idle_expiry

    assert 1 == len({record.expires_at for record in records})
    return records


async def test_sweeping_ends_what_expired(world: World) -> None:
    """The sweeper removes the content of an expired upload and leaves a tombstone, once."""
    record = await expired(world)
    counts = [await world.uploads().sweep(), await world.uploads().sweep()]

    assert [1, 0] == counts
    assert State.EXPIRED == (await world.stored(record)).state
    with pytest.raises(NotFound):
        await world.bytes_of(record)


async def test_what_became_invalid_leaves_no_content(world: World) -> None:
    """The content of an upload that more came for than its length is deleted at once; the tombstone stays."""
    record = (await world.create(FakeContent(KELP[:5]), LATER, len(KELP))).record
    with pytest.raises(Exception, match="bytes may still come"):
        await world.append(record, FakeContent(bytes(100)), AT_END)

    assert State.INVALID == (await world.stored(record)).state
    with pytest.raises(NotFound):
        await world.bytes_of(record)


async def test_sweeping_leaves_alone_what_goes_on(world: World) -> None:
    """Uploads that are not due are not touched, nor is a finish that somebody else drives just now."""
    record, content, append = await held_at(world, 5)
    world.content.fail("complete")
    due = await received(world)
    evicted = asyncio.Event()
    lease = await world.leases.acquire(due.ref, evicted.set, 5)
    world.clock.now += LIMITS.finish_retry
    await world.uploads().sweep()
    during = await world.facts(record), await world.facts(due)
    await world.leases.release(lease)
    content.go_on()
    await append

    assert ((State.OPEN, 0), (State.RECEIVED, len(KELP))) == during
    assert not evicted.is_set()
    assert State.COMPLETE == (await world.stored(record)).state


async def test_sweepers_do_not_disturb_each_other(world: World) -> None:
    """Any number of sweepers may run at once."""
    records = [await expired(world) for _ in range(5)]
    await asyncio.gather(*(world.uploads().sweep() for _ in range(4)))

    assert {State.EXPIRED} == {(await world.stored(record)).state for record in records}


async def test_sweeping_comes_to_everything(world: World) -> None:
    """A finish that fails again and again does not keep the sweeper from the uploads behind it."""
    world.content.fail("complete", times=10)
    await received(world)
    world.clock.now += LIMITS.finish_retry
    late = await expired(world)
    for _ in range(2):
        await world.uploads().sweep(page=1)

    assert State.EXPIRED == (await world.stored(late)).state


@pytest.mark.parametrize("page", [1, 2, 6, 7])
async def test_sweeping_goes_on_with_the_next_page(world: World, page: int) -> None:
    """However many uploads are due at the same moment, the sweeper comes to all of them, once."""
    records = await abandoned(world, 6)
    count = await world.uploads().sweep(page)

    assert 6 == count
    assert [State.EXPIRED] * 6 == [(await world.stored(record)).state for record in records]


async def test_sweeping_goes_past_what_it_leaves_alone(world: World) -> None:
    """Uploads that stay due, whole pages of them, do not keep the sweeper from those that are due at the same moment."""
    records = sorted(await abandoned(world, 6), key=lambda record: record.key)
    for record in records[:4]:
        await world.leases.acquire(record.ref, lambda: None, 5)
    count = await world.uploads().sweep(page=2)

    assert 6 == count
    expected = [State.OPEN] * 4 + [State.EXPIRED] * 2
    assert expected == [(await world.stored(record)).state for record in records]


@pytest.mark.parametrize("end", ["cancel", "sweep"])
async def test_content_that_could_not_be_deleted_is_deleted_later(world: World, end: str) -> None:
    """When a store fails at removing content, the content is removed by a repeated request or the sweeper."""
    record = await expired(world)
    if end == "cancel":
        world.clock.now -= LIMITS.idle_expiry
    world.content.fail("delete")
    for _ in range(2):
        if end == "cancel":
            with contextlib.suppress(StoreFailed, UploadCancelled):
                await world.uploads().cancel(Cancel(ref=record.ref))
        world.clock.now += LIMITS.final_expiry
        await world.uploads().sweep()

    with pytest.raises(NotFound):
        await world.bytes_of(record)
