"""
Where uploads can be when something happens to them.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.core.commands import Completes
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import FinishFailed
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.worlds import World

AT_LENGTH, AT_END = Completes.AT_LENGTH, Completes.AT_END
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
KELP = b"holdfast grips the rock"


async def held_at(
    world: World, at: int, completes: Completes = AT_LENGTH
) -> tuple[UploadRecord, FakeContent, asyncio.Task[object]]:
    """Begin an append of KELP that waits for its client after *at* bytes."""
    record = await world.empty(completes, len(KELP))
    content = FakeContent(KELP, hold_at=at)
    append: asyncio.Task[object] = asyncio.create_task(world.append(record, content, completes))
    async with asyncio.timeout(5):
        await content.held.wait()
    return record, content, append


async def received(world: World, completes: Completes = AT_END) -> UploadRecord:
    """Return an upload whose bytes are all there, and whose finish failed."""
    with pytest.raises(FinishFailed) as caught:
        await world.create(FakeContent(KELP), completes, len(KELP) if completes is AT_LENGTH else None, idempotency_key="kelp")
    record = caught.value.record

    assert record is not None
    assert (State.RECEIVED, len(KELP)) == (record.state, record.offset) == await world.facts(record)
    return record


async def kelp_until(world: World, offset: int, completes: Completes) -> UploadRecord:
    """Create the upload of KELP, cut after *offset* bytes."""
    content = FakeContent(KELP[:offset], length=len(KELP), cut=Stop.DISCONNECTED)
    outcome = await world.create(content, completes, len(KELP) if completes is AT_LENGTH else None)

    assert (State.OPEN, offset) == (outcome.record.state, outcome.record.offset)
    return outcome.record


async def complete_kelp(world: World) -> UploadRecord:
    """Upload KELP."""
    return (await world.create(FakeContent(KELP), AT_END)).record
