"""
When the metadata store takes back revisions of a record: a failover, or a disk that was behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from holdfast.storage.errors import StorageError
from holdfast.storage.records import State, UploadRecord
from holdfast.storage.s3.parts.state import KEPT
from holdfast.storage.s3.store import S3ByteStore
from tests.servers.faulty_proxy import FaultyProxy, refused
from tests.servers.fixtures import Bucket
from tests.storage.backends import changed, claimed, content_of, new_upload
from tests.storage.s3.stores import PART, appended, content, names_in, opened, state_of

pytestmark = pytest.mark.timeout(120)

KiB = 1024
STEP = 530 * KiB
ALL = content(2 * PART + PART // 2)
OTHER = content(len(ALL), seed=2)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the store."""
    return Clock()


@pytest.fixture(params=["swift", "moto"])
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[S3ByteStore]:
    """Return a store in a server that takes parts of a completed upload, and in one that fails then."""
    place: Bucket = request.getfixturevalue(f"{request.param}_place")
    async with opened(place, clock=clock) as store:
        yield store


def taken_back(record: UploadRecord) -> UploadRecord:
    """Return a record as it is read after later revisions of it were lost."""
    return replace(record, failover_epoch="after")


async def course(store: S3ByteStore, clock: Clock, pause: float) -> list[UploadRecord]:
    """Return every revision of an upload that is interrupted all the time, for *pause* seconds."""
    records = [new_upload(length=len(ALL), failover_epoch="before")]
    while records[-1].offset < len(ALL):
        at = records[-1].offset
        records.append(await appended(store, records[-1], ALL[at : at + STEP]))
        clock.now += pause
    return records


@pytest.mark.parametrize("fate", ["open", "complete"])
@pytest.mark.parametrize("revisions", [1, 3, 8, 12, 20])
async def test_revisions_that_come_back(store: S3ByteStore, clock: Clock, revisions: int, fate: str) -> None:
    """However many revisions are lost within a while, the upload goes on from what is recorded, with whatever bytes come."""
    records = await course(store, clock, KEPT / 25)
    if fate == "complete":
        await store.complete(replace(records[-1], state=State.RECEIVED))
    back = taken_back(records[-1 - revisions])

    assert ALL[: back.offset] == await content_of(store, back)
    again = await appended(store, back, OTHER[back.offset :])
    await store.complete(again)
    assert ALL[: back.offset] + OTHER[back.offset :] == await content_of(store, replace(again, state=State.COMPLETE))


async def test_revisions_from_before_a_move(store: S3ByteStore, clock: Clock) -> None:
    """Content that was moved to another name, and completed there, is still there under the name before."""
    before = await appended(store, new_upload(length=len(ALL), failover_epoch="before"), ALL[: PART + STEP])
    clock.now += 1
    after = await appended(store, claimed(before), ALL[PART + STEP :])
    await store.complete(after)
    before = taken_back(before)

    assert state_of(before).name != state_of(after).name
    assert ALL[: PART + STEP] == await content_of(store, before)
    again = await appended(store, before, OTHER[PART + STEP :])
    await store.complete(again)
    assert ALL[: PART + STEP] + OTHER[PART + STEP :] == await content_of(store, replace(again, state=State.COMPLETE))


async def test_what_is_outdated(store: S3ByteStore, clock: Clock) -> None:
    """Of what was superseded long ago nothing is left but what the last append deletes."""
    records = await course(store, clock, KEPT)
    state = state_of(records[-1])
    there = await names_in(store.bucket, store.names.tail_prefix(records[-1].key))

    assert len(there) == len(state.pieces) + len(state.superseded)
    assert 9 >= len(there)


@pytest.mark.parametrize("reached", [STEP, PART + STEP], ids=["pieces", "parts"])
async def test_revisions_from_before_a_fence(store: S3ByteStore, clock: Clock, reached: int) -> None:
    """Content that a newcomer had to take over, and completed, goes on from what it found, if nothing else is remembered."""
    found = claimed(await appended(store, new_upload(length=len(ALL), failover_epoch="before"), ALL[:reached]))
    await store.complete(await appended(store, found, ALL[reached:]))
    clock.now += KEPT / 2
    found = taken_back(found)

    assert ALL[:reached] == await content_of(store, found)
    again = await appended(store, found, OTHER[reached:])
    await store.complete(again)
    assert ALL[:reached] + OTHER[reached:] == await content_of(store, replace(again, state=State.COMPLETE))


async def test_revisions_that_come_back_twice(store: S3ByteStore, clock: Clock) -> None:
    """An append that sends no part does not forget that there is something to be looked after."""
    first = await appended(store, new_upload(length=len(ALL), failover_epoch="before"), ALL[: PART + STEP])
    await store.complete(await appended(store, first, ALL[PART + STEP :]))
    piece = await appended(store, taken_back(first), OTHER[PART + STEP : PART + 2 * STEP])
    again = await appended(store, piece, OTHER[PART + 2 * STEP :])
    await store.complete(again)

    assert ALL[: PART + STEP] + OTHER[PART + STEP :] == await content_of(store, replace(again, state=State.COMPLETE))


async def test_what_was_read(store: S3ByteStore) -> None:
    """What was exposed, and read, goes on: its parts were completed, and nobody sends a part where they were."""
    record = await appended(store, new_upload(length=len(ALL), failover_epoch="before"), ALL[: PART + STEP])
    exposed = changed(record, parts=store.exposed(record))
    assert ALL[: PART + STEP] == await content_of(store, exposed)
    again = await appended(store, exposed, ALL[PART + STEP :])
    await store.complete(again)

    assert state_of(record).name != state_of(again).name
    assert ALL == await content_of(store, replace(again, state=State.COMPLETE))


async def test_a_move_that_fails(behind: Bucket, proxy: FaultyProxy) -> None:
    """When the parts of a completed upload cannot be moved, no part is sent to it, though several are under way."""
    async with opened(behind) as store:
        before = await appended(store, new_upload(length=len(ALL), failover_epoch="before"), ALL[: PART + STEP])
        after = await appended(store, before, ALL[PART + STEP :])
        await store.complete(after)
        proxy.asked.clear()
        proxy.add("UploadPartCopy", refused(403, "AccessDenied"), times=1000)
        with pytest.raises(StorageError):
            await appended(store, taken_back(before), OTHER[PART + STEP :])

        assert "UploadPart" not in proxy.asked
        assert ALL == await content_of(store, replace(after, state=State.COMPLETE))
