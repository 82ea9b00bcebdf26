"""
What an observer hears of an append.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging

import pytest

from holdfast.service.core.commands import Completes, Create
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import Evicted, OffsetMismatch, StoreFailed
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent, PausingContent
from tests.core.situations import KELP, kelp_until
from tests.core.worlds import LIMITS, World
from tests.storage.backends import TENANT

pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END = Completes.AT_LENGTH, Completes.AT_END
OFTEN = dataclasses.replace(LIMITS, checkpoint_bytes=4)
End = tuple[State, int, Stop | None, type[BaseException] | None]


class Recording:
    """An observer that remembers what it hears."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.ends: list[End] = []

    def advanced(self, record: UploadRecord) -> None:
        assert not self.ends
        self.offsets.append(record.offset)

    def ended(self, record: UploadRecord, stopped: Stop | None, error: BaseException | None) -> None:
        self.ends.append((record.state, record.offset, stopped, None if error is None else type(error)))


async def test_a_whole_append(world: World) -> None:
    """It hears where the append begins, of every checkpoint, of the last byte, and of the end: the upload is complete."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    await world.append(record, FakeContent(KELP, block=1), limits=OFTEN, observer=heard)

    assert [0, 4, 8, 12, 16, 20, len(KELP)] == heard.offsets
    assert [(State.COMPLETE, len(KELP), None, None)] == heard.ends


async def test_only_what_is_recorded(world: World) -> None:
    """While content comes, it has heard of what is recorded, and of nothing else."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    content = FakeContent(KELP, hold_at=7, block=1)
    append = asyncio.create_task(world.append(record, content, limits=OFTEN, observer=heard))
    await content.held.wait()
    during, recorded = [*heard.offsets], await world.facts(record)
    content.go_on()
    await append

    assert [0, 4] == during
    assert (State.OPEN, 4) == recorded


async def test_an_interrupted_append_and_the_next(world: World) -> None:
    """One that is cut off ends where its last byte is recorded; the next begins there."""
    record, first, second = await world.empty(AT_LENGTH, len(KELP)), Recording(), Recording()
    content = FakeContent(KELP[:9], length=len(KELP), cut=Stop.DISCONNECTED)
    record = (await world.append(record, content, observer=first)).record
    await world.append(record, FakeContent(KELP[9:]), observer=second)

    assert ([0, 9], [(State.OPEN, 9, Stop.DISCONNECTED, None)]) == (first.offsets, first.ends)
    assert ([9, len(KELP)], [(State.COMPLETE, len(KELP), None, None)]) == (second.offsets, second.ends)


async def test_repeated_bytes_are_no_progress(world: World) -> None:
    """Bytes that are stored already are compared, and not reported again."""
    record, heard = await kelp_until(world, 9, AT_LENGTH), Recording()
    await world.append(record, FakeContent(KELP), offset=0, compares=True, observer=heard)

    assert [9, len(KELP)] == heard.offsets


async def test_an_evicted_append(world: World) -> None:
    """It hears that a newer request took the upload, and of no byte after that."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    content = PausingContent(KELP, pause_at=9)
    append = asyncio.create_task(world.append(record, content, observer=heard))
    async with asyncio.timeout(5):
        await content.held.wait()
    await world.offset(record)
    with pytest.raises(Evicted):
        await append

    assert [0, 9] == heard.offsets
    assert [(State.OPEN, 9, Stop.EVICTED, Evicted)] == heard.ends


async def test_a_store_that_fails(world: World) -> None:
    """Of bytes that may not be durable it hears nothing; of the error it does."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    world.content.fail("append")
    with pytest.raises(StoreFailed):
        await world.append(record, FakeContent(KELP), observer=heard)

    assert ([0], [(State.OPEN, 0, None, StoreFailed)]) == (heard.offsets, heard.ends)


async def test_a_cancelled_append(world: World) -> None:
    """The end is heard whatever the end is."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    content = FakeContent(KELP, hold_at=9)
    append = asyncio.create_task(world.append(record, content, observer=heard))
    await content.held.wait()
    append.cancel()
    await asyncio.wait([append])

    assert [(State.OPEN, 0, None, asyncio.CancelledError)] == heard.ends


async def test_a_refused_append(world: World) -> None:
    """What never begins has no end."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Recording()
    with pytest.raises(OffsetMismatch):
        await world.append(record, FakeContent(KELP), offset=3, observer=heard)

    assert ([], []) == (heard.offsets, heard.ends)


async def test_a_creation(world: World) -> None:
    """The content of a creation is observed like that of an append."""
    heard = Recording()
    command = Create(tenant=TENANT, completes=AT_END, length=None, content_length=len(KELP))
    await world.uploads().create(command, FakeContent(KELP), observer=heard)

    assert ([0, len(KELP)], [(State.COMPLETE, len(KELP), None, None)]) == (heard.offsets, heard.ends)


class Broken(Recording):
    """An observer that fails at the first bytes."""

    def advanced(self, record: UploadRecord) -> None:
        super().advanced(record)
        if record.offset:
            raise RuntimeError("the observer is broken")


async def test_an_observer_that_fails(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The append does not notice; the log has the error once, and the observer hears no more."""
    record, heard = await world.empty(AT_LENGTH, len(KELP)), Broken()
    with caplog.at_level(logging.ERROR, "holdfast"):
        outcome = await world.append(record, FakeContent(KELP, block=1), limits=OFTEN, observer=heard)

    assert State.COMPLETE is outcome.record.state
    assert KELP == await world.bytes_of(outcome.record)
    assert ([0, 4], []) == (heard.offsets, heard.ends)
    assert ["the observer of an append failed; the append goes on without it"] == [each.message for each in caplog.records]
