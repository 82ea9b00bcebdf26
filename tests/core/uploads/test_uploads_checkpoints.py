"""
What is recorded while an append goes on, so that a crash of the process costs its client little.
"""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from holdfast.service.core.commands import Completes
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import Evicted, LengthExceeded, UploadInvalid
from holdfast.storage.records import State
from tests.core.contents import FakeContent, PausingContent
from tests.core.situations import KELP
from tests.core.worlds import LIMITS, World

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER


@pytest.mark.parametrize(("at", "recorded"), [(3, 0), (5, 4), (9, 8), (22, 20)])
async def test_a_long_append_is_recorded_on_the_way(world: World, at: int, recorded: int) -> None:
    """A crash in the middle of a long append costs its client no more than what came since the last checkpoint."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = FakeContent(KELP, hold_at=at, block=1)
    often = dataclasses.replace(LIMITS, checkpoint_bytes=4)
    append = asyncio.create_task(world.append(record, content, limits=often))
    await content.held.wait()
    during = await world.facts(record)
    content.go_on()
    outcome = await append

    assert (State.OPEN, recorded) == during
    assert (State.COMPLETE, len(KELP)) == (outcome.record.state, outcome.record.offset)
    assert KELP == await world.bytes_of(record)


class Slow(FakeContent):
    """Content of a client on a slow network."""

    async def read(self, limit: int) -> memoryview:
        await asyncio.sleep(0.01)
        return await super().read(limit)


async def test_a_slow_append_is_recorded_on_the_way(world: World) -> None:
    """Bytes of a slow client are recorded after a time, however few they are."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = Slow(KELP[:5], hold_at=3, block=1, length=len(KELP), cut=Stop.IDLE)
    often = dataclasses.replace(LIMITS, checkpoint_seconds=0.001)
    append = asyncio.create_task(world.append(record, content, limits=often))
    await content.held.wait()
    during = await world.facts(record)
    content.go_on()
    await append

    assert (State.OPEN, 3) == during
    assert (State.OPEN, 5) == await world.facts(record)


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("completes", Completes)
@pytest.mark.parametrize("at", [0, 1, 9, len(KELP) - 1])
async def test_a_pause_is_recorded(world: World, at: int, completes: Completes, chunked: bool) -> None:
    """When content pauses, what came before the pause is recorded, long before a checkpoint is due; then it goes on."""
    record = await world.empty(completes, len(KELP))
    content = PausingContent(KELP, pause_at=at, chunked=chunked)
    append = asyncio.create_task(world.append(record, content, completes))
    async with asyncio.timeout(5):
        await content.held.wait()
    during = await world.facts(record)
    known = await world.bytes_of(record) if at else b""
    content.go_on()
    await append

    assert (State.OPEN, at) == during
    assert KELP[:at] == known
    assert (State.OPEN if completes is LATER else State.COMPLETE, len(KELP)) == await world.facts(record)
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize("completes", Completes)
async def test_a_pause_after_the_last_byte_is_recorded(world: World, completes: Completes) -> None:
    """When every byte came, and only the end of the coding is late, the bytes are recorded; nothing is complete before that."""
    record = await world.empty(completes, len(KELP))
    content = PausingContent(KELP, pause_at=len(KELP), chunked=True)
    append = asyncio.create_task(world.append(record, content, completes))
    async with asyncio.timeout(5):
        await content.held.wait()
    during = await world.facts(record)
    content.go_on()
    await append

    assert (State.OPEN, len(KELP)) == during
    assert (State.OPEN if completes is LATER else State.COMPLETE, len(KELP)) == await world.facts(record)
    assert KELP == await world.bytes_of(record)


async def test_bytes_after_a_pause_at_the_length_are_refused(world: World) -> None:
    """A client that goes on after the length, when all before it was recorded, is refused, and completes nothing."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = PausingContent(KELP + b"!", pause_at=len(KELP), chunked=True)
    append = asyncio.create_task(world.append(record, content))
    async with asyncio.timeout(5):
        await content.held.wait()
    content.go_on()
    with pytest.raises(LengthExceeded):
        await append
    with pytest.raises(UploadInvalid):
        await world.offset(record)

    assert (State.INVALID, len(KELP)) == await world.facts(record)


async def test_content_beyond_the_length_completes_nothing(world: World) -> None:
    """Of content that goes beyond the length stays what a checkpoint recorded before; the client can go on from there."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = PausingContent(KELP + b"!", pause_at=9, chunked=True)
    append = asyncio.create_task(world.append(record, content))
    async with asyncio.timeout(5):
        await content.held.wait()
    content.go_on()
    with pytest.raises(LengthExceeded) as refused:
        await append
    now = await world.offset(record)

    assert refused.value.record is not None
    assert (State.OPEN, 9, 9) == (now.state, now.offset, refused.value.record.offset)
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[9:]))).record.state
    assert KELP == await world.bytes_of(record)


class Overrun(FakeContent):
    """Content that is cut behind its last byte, of which the last read has not got all."""

    @property
    def stopped(self) -> Stop | None:
        return Stop.DISCONNECTED


async def test_content_beyond_the_length_completes_nothing_when_it_is_cut(world: World) -> None:
    """It makes no difference that the connection breaks behind the byte that is too many."""
    record = await world.empty(AT_LENGTH, len(KELP))
    with pytest.raises(LengthExceeded):
        await world.append(record, Overrun(KELP + b"!", chunked=True, cut=Stop.DISCONNECTED))

    assert (State.OPEN, 0) == await world.facts(record)


async def test_a_paused_append_is_evicted(world: World) -> None:
    """A newcomer has the upload with all that came before the pause."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = PausingContent(KELP, pause_at=9)
    append = asyncio.create_task(world.append(record, content))
    async with asyncio.timeout(5):
        await content.held.wait()
    now = await world.offset(record)
    with pytest.raises(Evicted):
        await append

    assert (State.OPEN, 9) == (now.state, now.offset)
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[9:]))).record.state
