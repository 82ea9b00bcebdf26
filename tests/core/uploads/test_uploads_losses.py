"""
What is told of uploads whose bytes a store has lost: the truth, and how it goes on.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from holdfast.service.core.commands import Completes, GetContent
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import BytesLost, ContentLost, StoreFailed
from holdfast.service.core.principals import ANYBODY
from holdfast.storage import keys
from holdfast.storage.errors import Corrupted, Unavailable
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryByteStore
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.situations import KELP, complete_kelp, kelp_until, received
from tests.core.worlds import ANYTHING, LIMITS, World
from tests.storage.backends import TENANT

AT_LENGTH, AT_END = Completes.AT_LENGTH, Completes.AT_END
LEFT = [0, 3]


def lose(world: World, record: UploadRecord, left: int, folder: str = "uploads") -> None:
    """Take everything behind the first *left* bytes away from the store; the whole of it, if none is left."""
    store = world.content.inner
    if isinstance(store, MemoryByteStore):
        store.lose(record.key, left)
        return
    assert isinstance(store, LocalByteStore)
    path = Path(store.root, folder, keys.shard(record.key), record.key)
    if left:
        os.truncate(path, left)
    else:
        path.unlink()


async def losses(world: World, record: UploadRecord) -> list[str]:
    """Return what the events tell of losses."""
    events = await world.metadata.events(TENANT, "", 100, record.key)
    return [logged.event.data for logged in events if logged.event.type == "upload.lost"]


@pytest.mark.parametrize("left", LEFT)
async def test_an_append_finds_a_loss(world: World, left: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever goes on is told where the upload is now, and so is whoever asks then; from there it can be finished."""
    record = await kelp_until(world, 7, AT_LENGTH)
    lose(world, record, left)
    with caplog.at_level(logging.ERROR), pytest.raises(BytesLost) as caught:
        await world.append(record, FakeContent(KELP[7:]))

    assert caught.value.record is not None
    assert left == caught.value.record.offset == (await world.offset(record)).offset
    assert [f'{{"offset":{left},"lost":{7 - left}}}'] == await losses(world, record)
    assert [f"bytes of {record.key} are lost, {left} of 7 are left"] == [
        line.getMessage().partition(":")[0] for line in caplog.records
    ]

    now = await world.stored(record)
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[left:]))).record.state
    assert KELP == await world.bytes_of(record)


async def test_a_loss_gives_time_to_send_again(world: World) -> None:
    """The upload does not expire before the client can have sent again what it had sent."""
    record = await kelp_until(world, 7, AT_LENGTH)
    world.clock.now += LIMITS.idle_expiry - 1
    lose(world, record, 3)
    with pytest.raises(BytesLost):
        await world.append(record, FakeContent(KELP[7:]))

    assert world.clock.now + LIMITS.idle_expiry == (await world.stored(record)).expires_at


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("way", ["append", "offset", "sweep"])
async def test_a_finish_finds_a_loss(world: World, way: str, left: int) -> None:
    """An upload that had all its bytes is open again when some of them are gone, whoever finds that out."""
    world.content.fail("complete")
    record = await received(world, AT_LENGTH)
    lose(world, record, left)
    match way:
        case "append":
            with pytest.raises(BytesLost):
                await world.append(record, FakeContent())
        case "offset":
            assert (State.OPEN, left) == ((await world.offset(record)).state, (await world.offset(record)).offset)
        case _:
            world.clock.now += LIMITS.finish_retry
            await world.uploads().sweep()

    assert (State.OPEN, left) == await world.facts(record)
    assert 1 == len(await losses(world, record))
    now = await world.stored(record)
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[left:]))).record.state


async def test_repeated_bytes_that_are_lost(world: World) -> None:
    """Where bytes are compared with the stored ones, and those are gone, the offset of what is left is told."""
    record = await kelp_until(world, 7, AT_LENGTH)
    lose(world, record, 0)
    with pytest.raises(BytesLost):
        await world.append(record, FakeContent(KELP[2:]), offset=2, compares=True)

    assert (State.OPEN, 0) == await world.facts(record)


async def test_a_type_that_cannot_be_looked_at(world: World) -> None:
    """Content is not called safe when the finish, which looks at its type, does not find it."""
    world.content.fail("complete")
    record = (await world.create(FakeContent(b"%PDF-", length=9, cut=Stop.IDLE), AT_LENGTH, 9, content_type="application/pdf",
        verify_type=True)).record  # fmt: skip
    world.content.fail("read")
    with pytest.raises(Exception, match="every byte is safe"):
        await world.append(record, FakeContent(b"1.7\n"))
    lose(world, record, 0)

    assert (State.OPEN, 0) == ((await world.offset(record)).state, (await world.offset(record)).offset)


async def test_a_store_that_cannot_tell(world: World) -> None:
    """As long as the store does not say what is left, nothing is recorded, and the trouble is a passing one."""
    record = await kelp_until(world, 7, AT_LENGTH)
    lose(world, record, 3)
    world.content.fail("salvage", error=Unavailable("asleep"))
    with pytest.raises(StoreFailed):
        await world.append(record, FakeContent(KELP[7:]))

    assert (State.OPEN, 7) == await world.facts(record)


async def test_a_store_that_contradicts_itself(world: World) -> None:
    """If all that is promised is there after all, nothing changes."""
    record = await kelp_until(world, 7, AT_LENGTH)
    world.content.fail("append", error=Corrupted("lost"))
    with pytest.raises(StoreFailed):
        await world.append(record, FakeContent(KELP[7:]))

    assert (State.OPEN, 7) == await world.facts(record)
    assert [] == await losses(world, record)


@pytest.mark.parametrize("left", LEFT)
async def test_complete_content_that_is_lost(world: World, left: int, caplog: pytest.LogCaptureFixture) -> None:
    """A download of what is gone says so, before anything of it is sent, and so does the log."""
    record = await complete_kelp(world)
    lose(world, record, left, "attachments")
    blocks = world.views().content_of(record, 0, len(KELP))
    with caplog.at_level(logging.ERROR), pytest.raises(ContentLost):
        await anext(blocks)
    if isinstance(world.content.inner, LocalByteStore):
        with pytest.raises(ContentLost):
            async with world.views().file(ANYTHING(ANYBODY, GetContent(ref=record.ref)).view(record)):
                pass

    assert "is lost" in caplog.text
