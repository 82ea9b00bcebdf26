"""
What is promised of uploads that nothing and nobody disturbs; `test_uploads_trouble` has the rest.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from holdfast.service.core.commands import Append, Completes, Create, GetOffset
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import (
    AlreadyComplete,
    ContentConflict,
    Evicted,
    LengthExceeded,
    LengthMismatch,
    OffsetMismatch,
    TooLarge,
    UploadInvalid,
)
from holdfast.service.core.limits import Limits
from holdfast.storage.records import State
from tests.core.contents import FakeContent
from tests.core.situations import KELP, complete_kelp, kelp_until
from tests.core.worlds import World
from tests.storage.backends import TENANT

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER


# Creating and appending


@pytest.mark.parametrize("length", [None, len(KELP)], ids=["deferred", "known"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("block", [1, 7, 65_536])
async def test_one_request_is_enough(world: World, length: int | None, chunked: bool, block: int) -> None:
    """An upload whose content comes whole with its creation is complete, whatever its blocks."""
    completes = AT_END if length is None else AT_LENGTH
    outcome = await world.create(FakeContent(KELP, chunked=chunked, block=block), completes, length)

    assert (State.COMPLETE, len(KELP), len(KELP)) == (outcome.record.state, outcome.record.offset, outcome.record.length)
    assert (None, None) == (outcome.stopped, outcome.record.expires_at)
    assert outcome.record == await world.stored(outcome.record)
    assert KELP == await world.bytes_of(outcome.record)


@pytest.mark.parametrize("completes", [AT_LENGTH, AT_END])
async def test_an_empty_upload_is_complete_at_once(world: World, completes: Completes) -> None:
    """An upload of no bytes has all of them."""
    record = (await world.create(FakeContent(), completes, 0 if completes is AT_LENGTH else None)).record

    assert (State.COMPLETE, 0) == await world.facts(record)
    assert 0 == record.length


@pytest.mark.parametrize(("completes", "length"), [(AT_LENGTH, None), (AT_LENGTH, 5), (LATER, None), (LATER, 0)])
async def test_creation_without_content(world: World, completes: Completes, length: int | None) -> None:
    """An upload that is only announced is open at offset zero."""
    record = (await world.create(FakeContent(), completes, length)).record

    assert (State.OPEN, 0) == await world.facts(record)
    assert length == record.length


@pytest.mark.parametrize("completes", [AT_LENGTH, AT_END])
async def test_cut_at_every_place(world: World, completes: Completes) -> None:
    """Wherever the content of the creation is cut, the upload goes on from there and completes."""
    for at in range(len(KELP)):
        record = await kelp_until(world, at, completes)
        outcome = await world.append(record, FakeContent(KELP[at:]), completes)

        assert (State.COMPLETE, len(KELP)) == (outcome.record.state, outcome.record.offset)
        assert KELP == await world.bytes_of(record)


async def test_a_cut_request_says_why(world: World) -> None:
    """The outcome of content that was cut tells the reason and what is kept."""
    outcome = await world.create(FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE), AT_END)

    assert (Stop.IDLE, 5, State.OPEN) == (outcome.stopped, outcome.record.offset, outcome.record.state)


async def test_the_end_of_chunked_content_has_to_be_said(world: World) -> None:
    """Chunked content that is cut completes nothing, though nobody knows how much is missing."""
    record = (await world.create(FakeContent(KELP, chunked=True, cut=Stop.DISCONNECTED), AT_END)).record
    state = record.state
    record = (await world.append(record, FakeContent(), AT_END)).record

    assert (State.OPEN, State.COMPLETE) == (state, record.state)
    assert KELP == await world.bytes_of(record)


async def test_later_means_later(world: World) -> None:
    """What completes later stays open, even at its full length, until a request says that this is all."""
    record = (await world.create(FakeContent(KELP), LATER, len(KELP))).record
    state = record.state
    asked = await world.offset(record, LATER)
    record = (await world.append(record, FakeContent(), AT_END)).record

    assert (State.OPEN, State.OPEN, State.COMPLETE) == (state, asked.state, record.state)


async def test_dialects_may_be_mixed(world: World) -> None:
    """An upload goes on in another dialect than it began in."""
    record = (await world.create(FakeContent(KELP[:5]), LATER)).record
    record = (await world.append(record, FakeContent(KELP[5:9]), AT_LENGTH, length=len(KELP))).record
    record = (await world.append(record, FakeContent(KELP[9:]), AT_END)).record

    assert (State.COMPLETE, len(KELP)) == await world.facts(record)
    assert KELP == await world.bytes_of(record)


async def test_the_length_may_be_told_late(world: World) -> None:
    """A deferred length is recorded with the append that tells it, and completes the upload there."""
    record = await world.empty()
    record = (await world.append(record, FakeContent(KELP[:9]))).record
    told = (await world.append(record, FakeContent(KELP[9:10]), length=len(KELP))).record
    done = (await world.append(told, FakeContent(KELP[10:]))).record

    assert (None, len(KELP), State.COMPLETE) == (record.length, told.length, done.state)


async def test_the_length_may_be_told_last(world: World) -> None:
    """A length that is told without content, and is where the upload is, completes it."""
    record = (await world.create(FakeContent(KELP), AT_LENGTH)).record
    done = (await world.append(record, FakeContent(), length=len(KELP))).record

    assert (State.OPEN, State.COMPLETE) == (record.state, done.state)


@pytest.mark.parametrize("offset", [0, 4, 6, 99])
async def test_another_offset_is_refused(world: World, offset: int) -> None:
    """Content for any other place than the offset is refused, the error tells where the upload is, and nothing changes."""
    record = await kelp_until(world, 5, AT_LENGTH)
    with pytest.raises(OffsetMismatch) as caught:
        await world.append(record, FakeContent(b"x"), offset=offset)

    assert (record, offset) == (caught.value.record, caught.value.provided)
    assert record == await world.stored(record)
    assert KELP[:5] == await world.bytes_of(record)


async def test_the_last_answer_can_be_had_again(world: World) -> None:
    """A request that repeats the end of a complete upload without content succeeds again and again."""
    record = await complete_kelp(world)
    for completes in (AT_LENGTH, AT_END):
        assert record == (await world.append(record, FakeContent(), completes)).record
    assert record == await world.offset(record)


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("completes", Completes)
async def test_nothing_is_added_to_what_is_complete(world: World, completes: Completes, chunked: bool) -> None:
    """A complete upload takes no further byte."""
    record = await complete_kelp(world)
    with pytest.raises(AlreadyComplete):
        await world.append(record, FakeContent(b"!", chunked=chunked), completes)

    assert record == await world.stored(record)
    assert KELP == await world.bytes_of(record)


# Too much, too little


@pytest.mark.parametrize("completes", [AT_END, LATER])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_an_overrun_invalidates(world: World, completes: Completes, chunked: bool) -> None:
    """More content than the length ends an upload of a dialect that says so; every later request hears of it."""
    record = (await world.create(FakeContent(KELP[:5]), LATER, len(KELP))).record
    with pytest.raises(LengthExceeded):
        await world.append(record, FakeContent(KELP[5:] + b"!", chunked=chunked), completes)

    assert State.INVALID == (await world.stored(record)).state
    with pytest.raises(UploadInvalid):
        await world.offset(record)
    with pytest.raises(UploadInvalid):
        await world.append(record, FakeContent(KELP[5:]), completes)


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_an_overrun_may_only_be_refused(world: World, chunked: bool) -> None:
    """Where the length completes an upload, more content than that is refused and changes nothing."""
    record = await kelp_until(world, 5, AT_LENGTH)
    with pytest.raises(LengthExceeded):
        await world.append(record, FakeContent(KELP[5:] + b"!", chunked=chunked))

    assert (State.OPEN, 5) == await world.facts(record)
    assert State.COMPLETE == (await world.append(record, FakeContent(KELP[5:]))).record.state


async def test_content_that_ends_too_early(world: World) -> None:
    """A request that completes an upload before its length is refused, and what it brought is kept."""
    record = (await world.create(FakeContent(KELP[:5]), LATER, len(KELP))).record
    with pytest.raises(LengthMismatch) as caught:
        await world.append(record, FakeContent(KELP[5:9], chunked=True), AT_END)

    assert (State.OPEN, 9) == await world.facts(record)
    assert caught.value.record == await world.stored(record)


@pytest.mark.parametrize(("length", "told"), [(len(KELP), len(KELP) + 1), (None, 4)])
async def test_another_length_is_refused(world: World, length: int | None, told: int) -> None:
    """A length that contradicts the known one, or the bytes that are there, changes nothing."""
    record = (await world.create(FakeContent(KELP[:5]), LATER, length)).record
    with pytest.raises(LengthMismatch):
        await world.append(record, FakeContent(b"x"), length=told)

    assert record == await world.stored(record)


async def test_a_question_may_tell_the_length(world: World) -> None:
    """Whoever asks with the length that the bytes have reached completes an upload whose length was not known."""
    record = (await world.create(FakeContent(KELP), LATER, None)).record
    asked = await world.uploads().offset(GetOffset(ref=record.ref, completes=AT_LENGTH, length=len(KELP)))

    assert State.COMPLETE == asked.record.state
    assert (State.COMPLETE, len(KELP)) == await world.facts(record)


async def test_a_question_about_another_length_is_refused(world: World) -> None:
    """Whoever asks for an upload of another length is told that this is not it."""
    record = await kelp_until(world, 5, AT_LENGTH)
    with pytest.raises(LengthMismatch):
        await world.uploads().offset(GetOffset(ref=record.ref, completes=LATER, length=999))


@pytest.mark.parametrize("completes", Completes)
async def test_too_large(world: World, completes: Completes) -> None:
    """What is going to be larger than the service accepts is refused by its head, or where it passes the bound."""
    small = world.uploads(Limits(max_size=10))
    with pytest.raises(TooLarge):
        await small.create(Create(tenant=TENANT, completes=completes, length=11, content_length=0), FakeContent())
    with pytest.raises(TooLarge):
        await small.create(Create(tenant=TENANT, completes=completes, length=None, content_length=11), FakeContent(bytes(11)))
    record = await world.empty(completes)
    with pytest.raises(TooLarge):
        await small.append(Append(ref=record.ref, offset=0, completes=completes, content_length=11), FakeContent(bytes(11)))
    chunked = FakeContent(bytes(11), chunked=True)
    with pytest.raises(TooLarge):
        await small.append(Append(ref=record.ref, offset=0, completes=completes, content_length=None), chunked)

    assert (await world.stored(record)).offset <= 10
    assert State.OPEN == (await world.stored(record)).state


async def test_exactly_the_largest_size_is_accepted(world: World) -> None:
    """The bound itself is within bounds."""
    uploads = world.uploads(Limits(max_size=10))
    command = Create(tenant=TENANT, completes=AT_END, length=None, content_length=None)

    assert State.COMPLETE == (await uploads.create(command, FakeContent(bytes(10), chunked=True))).record.state


# Overlap


@pytest.mark.parametrize("offset", [0, 4, 9])
@pytest.mark.parametrize("block", [1, 3, 65_536])
async def test_equal_overlap_is_skipped(world: World, offset: int, block: int) -> None:
    """Bytes that are sent again are compared, and those after them appended."""
    record = await kelp_until(world, 9, AT_LENGTH)
    outcome = await world.append(record, FakeContent(KELP[offset:], block=block), offset=offset, compares=True)

    assert (State.COMPLETE, len(KELP)) == (outcome.record.state, outcome.record.offset)
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize("at", [0, 4, 8])
@pytest.mark.parametrize("block", [1, 3, 65_536])
async def test_different_overlap_is_refused(world: World, at: int, block: int) -> None:
    """One different byte among those that are sent again refuses all of the request."""
    record = await kelp_until(world, 9, AT_LENGTH)
    different = KELP[:at] + bytes([KELP[at] ^ 1]) + KELP[at + 1 :]
    with pytest.raises(ContentConflict):
        await world.append(record, FakeContent(different, block=block), offset=0, compares=True)

    assert record == await world.stored(record)
    assert KELP[:9] == await world.bytes_of(record)


async def test_long_overlap_is_compared_to_its_end(world: World) -> None:
    """However much is sent again, all of it is compared."""
    data = bytes(range(256)) * 3000
    record = (await world.create(FakeContent(data[:-9], length=len(data), cut=Stop.IDLE), AT_LENGTH, len(data))).record
    with pytest.raises(ContentConflict):
        await world.append(record, FakeContent(data[:700_000] + b"?" + data[700_001:]), offset=0, compares=True)
    outcome = await world.append(record, FakeContent(data), offset=0, compares=True)

    assert State.COMPLETE == outcome.record.state


async def test_an_overlap_that_is_cut_changes_nothing(world: World) -> None:
    """Content that ends among the bytes that are there already leaves the upload where it is."""
    record = await kelp_until(world, 9, AT_LENGTH)
    content = FakeContent(KELP[2:5], length=len(KELP) - 2, cut=Stop.DISCONNECTED)
    outcome = await world.append(record, content, offset=2, compares=True)

    assert (record, Stop.DISCONNECTED) == (outcome.record, outcome.stopped)


async def test_a_complete_upload_may_be_sent_again(world: World) -> None:
    """The same bytes again are a success, also of a complete upload; other bytes, or more of them, are not."""
    record = await complete_kelp(world)
    again = await world.append(record, FakeContent(KELP), offset=0, compares=True)
    for other in (KELP.upper(), KELP + b"!"):
        with pytest.raises(AlreadyComplete):
            await world.append(record, FakeContent(other), offset=0, compares=True)

    assert record == again.record == await world.stored(record)
    assert KELP == await world.bytes_of(record)


# Many at once


@pytest.mark.parametrize("completes", [AT_LENGTH, AT_END])
async def test_many_clients_of_one_upload(world: World, completes: Completes) -> None:
    """However many send the same content to one upload at once, and are cut at whatever place: it ends with that content."""
    chance = random.Random(11)
    record = await world.empty(completes, len(KELP))
    cuts = iter([chance.randrange(1, 6) for _ in range(30)])

    async def client() -> None:
        while True:
            await asyncio.sleep(chance.random() / 100)
            try:
                now = await world.offset(record, completes)
                if now.state is State.COMPLETE:
                    return
                rest = KELP[now.offset :]
                end = next(cuts, len(rest))
                content = FakeContent(rest[:end], length=len(rest), cut=Stop.DISCONNECTED if end < len(rest) else None, block=2)
                await world.append(now, content, completes)
            except (OffsetMismatch, Evicted, AlreadyComplete):
                continue

    async with asyncio.timeout(20):
        await asyncio.gather(*(client() for _ in range(10)))

    assert KELP == await world.bytes_of(record)


async def test_many_uploads(world: World) -> None:
    """Uploads do not disturb each other."""
    contents = [bytes([number]) * (number * 100) for number in range(1, 31)]
    outcomes = await asyncio.gather(*(world.create(FakeContent(data, block=97), AT_END) for data in contents))

    assert contents == [await world.bytes_of(outcome.record) for outcome in outcomes]


async def test_read_yields_a_range(world: World) -> None:
    """The content of a complete upload is read from any start up to any stop."""
    record = await complete_kelp(world)

    assert KELP[5:9] == b"".join([bytes(block) async for block in world.views().content_of(record, 5, 9)])
