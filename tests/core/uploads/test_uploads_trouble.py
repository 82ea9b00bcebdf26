"""
What is promised of uploads when clients, stores and other requests get in the way.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from holdfast.service.core.commands import Append, Cancel, Completes
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import (
    AlreadyComplete,
    Evicted,
    FinishFailed,
    OffsetMismatch,
    OutOfSpace,
    StoreFailed,
    UploadCancelled,
    UploadError,
    UploadNotFound,
)
from holdfast.storage.errors import Corrupted, NoSpace, NotFound, StorageError, Unavailable
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.situations import KELP, held_at, received
from tests.core.worlds import LIMITS, LosingLeases, World, ref_of
from tests.storage.backends import OTHER_TENANT

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER
IMPATIENT = dataclasses.replace(LIMITS, eviction_wait=0.05)
Verb = Callable[[World, UploadRecord], Awaitable[object]]


# The finish


async def _asks(world: World, record: UploadRecord) -> None:
    await world.offset(record)


async def _appends(world: World, record: UploadRecord) -> None:
    await world.append(record, FakeContent(), offset=len(KELP))


async def _creates(world: World, _record: UploadRecord) -> None:
    await world.create(FakeContent(KELP), AT_END, idempotency_key="kelp")


async def _sweeps(world: World, _record: UploadRecord) -> None:
    world.clock.now += LIMITS.finish_retry
    await world.uploads().sweep()


DRIVERS: dict[str, Verb] = {"offset": _asks, "append": _appends, "create": _creates, "sweep": _sweeps}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("completes", [AT_LENGTH, AT_END])
async def test_whoever_comes_next_drives_the_finish(world: World, driver: str, completes: Completes) -> None:
    """Bytes that are all there, but were not published, are published by the next request or the sweeper."""
    world.content.fail("complete")
    record = await received(world, completes)
    await DRIVERS[driver](world, record)

    assert (State.COMPLETE, len(KELP)) == await world.facts(record)
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize("driver", ["offset", "append"])
async def test_a_failed_finish_is_never_a_success(world: World, driver: str) -> None:
    """As often as publishing fails, the request that tried it fails; then one succeeds."""
    world.content.fail("complete", times=4)
    record = await received(world)
    for _ in range(3):
        with pytest.raises(FinishFailed) as caught:
            await DRIVERS[driver](world, record)

        assert record == caught.value.record == await world.stored(record)
    await DRIVERS[driver](world, record)

    assert State.COMPLETE == (await world.stored(record)).state


@pytest.mark.parametrize("driver", ["offset", "append"])
async def test_what_is_lost_is_not_called_safe(world: World, driver: str) -> None:
    """Where bytes that were promised are gone, nobody hears that they are safe; when an operator has found them it goes on."""
    world.content.fail("complete")
    record = await received(world)
    world.content.fail("complete", error=Corrupted("the last bytes are missing"))
    with pytest.raises(StoreFailed, match="lost"):
        await DRIVERS[driver](world, record)

    assert State.RECEIVED == (await world.stored(record)).state
    await DRIVERS[driver](world, record)
    assert State.COMPLETE == (await world.stored(record)).state


@pytest.mark.parametrize(
    ("offset", "more", "refusal"), [(len(KELP), b"more", AlreadyComplete), (len(KELP) + 1, b"", OffsetMismatch)]
)
async def test_a_refused_append_finishes_too(world: World, offset: int, more: bytes, refusal: type[UploadError]) -> None:
    """What was received is finished before an append is judged: the client hears that the upload is complete."""
    world.content.fail("complete")
    record = await received(world)
    with pytest.raises(refusal) as caught:
        await world.append(record, FakeContent(more), offset=offset)

    assert caught.value.record is not None
    assert State.COMPLETE == caught.value.record.state == (await world.stored(record)).state


async def test_a_finish_that_was_not_recorded_is_repeated(world: World) -> None:
    """When the content was published, and its process ended before it recorded that, the next request records it."""
    world.content.fail("complete")
    record = await received(world)
    await world.content.complete(record)
    await world.offset(record)

    assert State.COMPLETE == (await world.stored(record)).state
    assert KELP == await world.bytes_of(record)


async def test_verifying_that_failed_is_repeated(world: World) -> None:
    """A store that cannot be read rejects nobody's content."""
    world.content.fail("read")
    with pytest.raises(FinishFailed) as caught:
        await world.create(FakeContent(b"GIF89a"), AT_END, content_type="image/gif", verify_type=True)
    record = caught.value.record

    assert record is not None
    assert State.COMPLETE == (await world.offset(record)).state


async def test_what_was_received_can_be_cancelled(world: World) -> None:
    """A client may give an upload up whose finish does not get through."""
    world.content.fail("complete", times=2)
    record = await received(world)
    await world.uploads().cancel(Cancel(ref=record.ref))

    with pytest.raises(UploadCancelled):
        await world.offset(record)


async def test_what_was_received_does_not_expire(world: World) -> None:
    """Bytes that are all there are not given up because publishing them took long."""
    world.content.fail("complete")
    record = await received(world)
    world.clock.now += LIMITS.final_expiry * 2

    assert State.COMPLETE == (await world.offset(record)).state


async def test_an_explicit_end_is_not_needed_by_everybody(world: World) -> None:
    """An upload that is open at its full length is complete for a dialect in which the length decides."""
    record = (await world.create(FakeContent(KELP), LATER, len(KELP))).record

    assert State.COMPLETE == (await world.offset(record, AT_LENGTH)).state


# Eviction


async def _appends_the_rest(world: World, record: UploadRecord) -> None:
    now = await world.offset(record)
    await world.append(now, FakeContent(KELP[now.offset :]))


@pytest.mark.parametrize("completes", [AT_LENGTH, AT_END])
@pytest.mark.parametrize("at", [1, 9, len(KELP) - 1])
async def test_a_newcomer_has_the_upload_and_its_bytes(world: World, completes: Completes, at: int) -> None:
    """A request that is evicted keeps what it received; the newcomer is told that offset, and goes on from there."""
    record, content, append = await held_at(world, at, completes)
    now = await world.offset(record, completes)

    with pytest.raises(Evicted) as caught:
        await append
    assert now == caught.value.record
    assert (State.OPEN, at, Stop.EVICTED) == (now.state, now.offset, content.stopped)
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[at:]), completes)).record.state
    assert KELP == await world.bytes_of(record)


async def test_a_cancel_evicts(world: World) -> None:
    """Whoever gives an upload up does not wait for the client that still sends."""
    record, _, append = await held_at(world, 5)
    await world.uploads().cancel(Cancel(ref=record.ref))

    with pytest.raises(Evicted):
        await append
    with pytest.raises(NotFound):
        await world.bytes_of(record)


async def test_looking_does_not_evict(world: World) -> None:
    """Who only wants to know whether there is an upload disturbs nobody."""
    record, content, append = await held_at(world, 5)
    found = await world.seen(record.ref)
    content.go_on()
    await append

    assert record.ref == found.ref
    assert State.COMPLETE == (await world.stored(record)).state


async def test_strangers_do_not_evict(world: World) -> None:
    """Another tenant cannot disturb an upload, whatever it sends."""
    record, content, append = await held_at(world, 5)
    ref = ref_of(record, OTHER_TENANT)
    with pytest.raises(UploadNotFound):
        await world.uploads().append(Append(ref=ref, offset=0, completes=AT_LENGTH, content_length=1), FakeContent(b"x"))
    with pytest.raises(UploadNotFound):
        await world.uploads().cancel(Cancel(ref=ref))
    content.go_on()
    await append

    assert content.stopped is None
    assert KELP == await world.bytes_of(record)


async def test_a_holder_that_was_not_there_yet_cannot_write(world: World) -> None:
    """Who was passed over before its first byte was written moves no offset and no byte, however late it comes."""
    record = (await world.create(FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE), AT_LENGTH, len(KELP))).record
    world.content.before_append.clear()
    sleeper = asyncio.create_task(world.frozen().append(record, FakeContent(b"SLEEPER", length=7)))
    await world.content.waiting.wait()
    now = await world.offset(record, limits=IMPATIENT)
    awake, world.content.before_append = world.content.before_append, asyncio.Event()
    world.content.before_append.set()
    newest = (await world.append(now, FakeContent(KELP[5:12], length=len(KELP) - 5, cut=Stop.IDLE))).record
    awake.set()
    with pytest.raises((Evicted, StoreFailed)):
        await sleeper

    assert newest == await world.stored(record)
    assert KELP[:12] == await world.bytes_of(record)
    assert State.COMPLETE == (await world.append(newest, FakeContent(KELP[12:]))).record.state
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize("ends", [False, True], ids=["goes on", "completes"])
async def test_a_holder_that_was_passed_over_moves_nothing(world: World, ends: bool) -> None:
    """Who lost its lease in the middle of an append moves no offset and no byte, and is told."""
    record = await world.empty(AT_LENGTH, len(KELP))
    content = FakeContent(b"SLEEPER" * 3 + b"..", hold_at=7)
    sleeper = asyncio.create_task(world.frozen().append(record, content))
    await content.held.wait()
    now = await world.offset(record, limits=IMPATIENT)
    rest = KELP[now.offset :] if ends else KELP[now.offset : 12]
    newest = (await world.append(now, FakeContent(rest, length=len(KELP) - now.offset, cut=None if ends else Stop.IDLE))).record
    content.go_on()
    with pytest.raises((Evicted, StoreFailed)):
        await sleeper

    assert newest == await world.stored(record)
    assert KELP[: newest.offset] == await world.bytes_of(record)


@pytest.mark.parametrize("offset", [0, 9])
async def test_a_question_that_loses_its_lease_is_answered(world: World, offset: int) -> None:
    """Whoever asks for the offset, and is overtaken while it waits, hears what is recorded, and disturbs the newest no more."""
    record = (await world.create(FakeContent(KELP[:offset]), AT_LENGTH, len(KELP))).record
    asked, disturbed = asyncio.Event(), asyncio.Event()
    first = await world.leases.acquire(record.ref, asked.set, 5)
    question = asyncio.create_task(world.offset(record))
    await asked.wait()
    newest = asyncio.create_task(world.leases.acquire(record.ref, disturbed.set, 5))
    await asyncio.sleep(0.1)
    await world.leases.release(first)
    lease = await newest
    async with asyncio.timeout(5):
        found = await question
    was_disturbed = disturbed.is_set()
    await world.leases.release(lease)

    assert (record, offset) == (found, found.offset)
    assert not was_disturbed


async def test_a_question_that_always_loses_is_answered(world: World) -> None:
    """An offset needs no lease: as long as it does not mean success, what is recorded is a true answer."""
    record = (await world.create(FakeContent(KELP[:9], length=len(KELP), cut=Stop.IDLE), AT_LENGTH, len(KELP))).record
    losing = dataclasses.replace(world, leases=LosingLeases(world.leases))

    assert record == await losing.offset(record)


async def test_a_question_that_always_loses_tells_no_success(world: World) -> None:
    """An offset that means success is not told as long as nobody could finish the upload."""
    record = (await world.create(FakeContent(KELP), LATER, len(KELP))).record
    losing = dataclasses.replace(world, leases=LosingLeases(world.leases))
    with pytest.raises(Evicted):
        await losing.offset(record, AT_LENGTH)

    assert record == await world.stored(record)
    assert State.COMPLETE == (await world.offset(record, AT_LENGTH)).state


async def test_a_newcomer_resumes_at_once(world: World) -> None:
    """From a dead connection to its successor's first answer takes a small part of a second."""
    record, _, append = await held_at(world, 5)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    now = await world.offset(record)

    assert 5 == now.offset
    assert loop.time() - begun < 0.3
    await asyncio.wait([append])
    assert isinstance(append.exception(), Evicted)


# Room


@pytest.mark.parametrize("room", [0, 1, 7, len(KELP) - 1])
async def test_no_room_keeps_what_is_durable(world: World, room: int) -> None:
    """When the room is used up, the offset tells what was stored; the upload goes on when there is room again."""
    record = await world.empty(AT_LENGTH, len(KELP))
    world.content.room = room
    with pytest.raises(OutOfSpace) as caught:
        await world.append(record, FakeContent(KELP, block=5))
    now = await world.offset(record)
    world.content.room = None

    assert (State.OPEN, room) == (now.state, now.offset)
    assert now == caught.value.record
    assert State.COMPLETE == (await world.append(now, FakeContent(KELP[room:]))).record.state
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize(
    ("error", "expected"), [(NoSpace("full"), OutOfSpace), (Unavailable("away"), StoreFailed), (Corrupted("lost"), StoreFailed)]
)
async def test_an_append_that_fails_moves_nothing(world: World, error: StorageError, expected: type[Exception]) -> None:
    """What a store does not promise to keep is not recorded, and the trouble has a name in the words of uploads."""
    record = (await world.create(FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE), AT_LENGTH, len(KELP))).record
    world.content.fail("append", error=error)
    with pytest.raises(expected):
        await world.append(record, FakeContent(KELP[5:]))

    assert (State.OPEN, 5) == await world.facts(record)
    assert State.COMPLETE == (await world.append(await world.stored(record), FakeContent(KELP[5:]))).record.state
