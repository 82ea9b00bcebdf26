"""
What every `holdfast.storage.ports.LeasedUploads` promises.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.storage.errors import LeaseLost, NotFound, PreconditionFailed, Unavailable
from holdfast.storage.objects import Event
from holdfast.storage.ports.leases import Hold, Lease, LeasedUploads, Leases
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import UNKNOWN, Ref, UploadRecord
from tests.storage.backends import (
    DESKS,
    NOW,
    OTHER_TENANT,
    TENANT,
    changed,
    everything,
    new_upload,
    replace_upload,
    settle_upload,
    store_upload,
)
from tests.storage.places import Place

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

LONG = 10.0  # seconds; only a test that fails waits that long
SHORT = 0.1


class Refused(Exception):
    """What a test does not permit."""


@dataclass(frozen=True, slots=True)
class Office:
    """A desk, and what keeps its facts and its leases."""

    leased_uploads: LeasedUploads
    metadata: MetadataStore
    leases: Leases

    async def created(self, **facts: object) -> UploadRecord:
        """Store an upload, and return it."""
        record = new_upload(**facts)
        await store_upload(self.metadata, record)
        return record

    async def hold(self, record: UploadRecord, evicted: asyncio.Event | None = None, wait: float = LONG) -> Hold:
        """Take the lease, whatever the record says."""
        return await self.leased_uploads.hold(record.ref, lambda _record: None, (evicted or asyncio.Event()).set, wait)


@pytest.fixture(params=everything(DESKS))
async def office(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Office]:
    """Return a desk of every kind."""
    office = Office(*DESKS[request.param](place))
    yield office
    await office.leases.close()
    await office.metadata.close()


async def test_status(office: Office) -> None:
    """Whoever looks sees the newest record, and whether somebody has it, and disturbs nobody."""
    record = await office.created()
    free = await office.leased_uploads.status(record.ref)
    evicted = asyncio.Event()
    hold = await office.hold(record, evicted)
    taken = await office.leased_uploads.status(record.ref)
    await replace_upload(office.metadata, record, changed(record, offset=4))
    await office.leases.release(hold.lease)
    after = await office.leased_uploads.status(record.ref)

    assert (record, False) == (free.record, free.held)
    assert (record, True) == (taken.record, taken.held)
    assert (changed(record, offset=4), False) == (after.record, after.held)
    assert not evicted.is_set()


async def test_timelines(office: Office) -> None:
    """As long as no commit can have been lost, every holder is told the same failover epoch, whether it had to wait or not."""
    record = await office.created(failover_epoch="kelp")
    first = await office.hold(record)
    waiting = asyncio.create_task(office.hold(record))
    await asyncio.sleep(SHORT)
    await office.leases.release(first.lease)
    second = await waiting
    await office.leases.release(second.lease)

    assert first.record.failover_epoch == second.record.failover_epoch != UNKNOWN


@pytest.mark.parametrize("is_there", [True, False], ids=["of another tenant", "nowhere"])
async def test_what_is_not_there(office: Office, is_there: bool) -> None:
    """What this tenant does not have is neither seen nor held, and no lease of it is taken."""
    record = await office.created(tenant=OTHER_TENANT) if is_there else new_upload()
    ref = Ref(tenant=TENANT, key=record.key)
    with pytest.raises(NotFound):
        await office.leased_uploads.status(ref)
    with pytest.raises(NotFound):
        await office.leased_uploads.hold(ref, lambda _record: None, lambda: None, SHORT)

    assert not await office.leases.held(ref)


async def test_hold(office: Office) -> None:
    """Whoever holds an upload has its lease and its newest record, which was shown to who permits it."""
    record = await office.created()
    newest = changed(record, offset=4)
    await replace_upload(office.metadata, record, newest)
    shown: list[UploadRecord] = []
    hold = await office.leased_uploads.hold(record.ref, shown.append, lambda: None, LONG)

    assert (newest, record.ref, False) == (hold.record, hold.lease.ref, hold.lease.forced)
    assert newest in shown
    assert await office.leases.held(record.ref)


async def test_what_is_not_permitted_is_not_held(office: Office) -> None:
    """What the permission says comes out, and the lease is free afterwards."""
    record = await office.created()

    def refuse(_record: UploadRecord) -> None:
        raise Refused

    with pytest.raises(Refused):
        await office.leased_uploads.hold(record.ref, refuse, lambda: None, LONG)

    assert not await office.leases.held(record.ref)
    assert not (await office.hold(record)).lease.forced


async def test_what_is_not_permitted_evicts_nobody(office: Office) -> None:
    """Who may not have an upload does not disturb its holder."""
    record = await office.created()
    evicted = asyncio.Event()
    hold = await office.hold(record, evicted)

    def refuse(_record: UploadRecord) -> None:
        raise Refused

    with pytest.raises(Refused):
        await office.leased_uploads.hold(record.ref, refuse, lambda: None, LONG)
    await asyncio.sleep(SHORT)

    assert not evicted.is_set()
    assert await office.leases.held(record.ref)
    await settle_upload(office.metadata, hold, record, changed(record, offset=1))


async def test_a_newcomer_finds_what_the_holder_left(office: Office) -> None:
    """The record of a hold is the one that the holder before stored when it let go."""
    record = await office.created()
    evicted = asyncio.Event()
    first = await office.hold(record, evicted)
    second = asyncio.create_task(office.hold(record))
    async with asyncio.timeout(LONG):
        await evicted.wait()
    was_early = second.done()
    after = changed(record, offset=8)
    await settle_upload(office.metadata, first, record, after)
    hold = await second

    assert not was_early
    assert (after, False) == (hold.record, hold.lease.forced)


async def test_a_holder_that_does_not_let_go_is_passed_over(office: Office) -> None:
    """The hold of whoever comes after a sleeper is forced, and the sleeper cannot store what it believes."""
    record = await office.created()
    sleeper = await office.hold(record)
    hold = await office.hold(record, wait=SHORT)
    await replace_upload(office.metadata, hold.record, changed(hold.record, generation=1))

    assert hold.lease.forced
    with pytest.raises(PreconditionFailed):
        await settle_upload(office.metadata, sleeper, record, changed(record, offset=8))
    assert 0 == (await office.metadata.get(record.ref)).offset


async def test_settle(office: Office) -> None:
    """Settling stores the record and its events, and lets go."""
    record = await office.created()
    event = Event(id="one", tenant=TENANT, type="test.tried", at=NOW)
    hold = await office.hold(record)
    after = changed(record, offset=8)
    await settle_upload(office.metadata, hold, record, after, [event])
    logged = await office.metadata.events(TENANT, "", 10)

    assert after == await office.metadata.get(record.ref)
    assert [event] == [each.event for each in logged]
    assert not await office.leases.held(record.ref)
    assert not (await office.hold(record)).lease.forced


async def test_what_cannot_be_settled_is_still_held(office: Office) -> None:
    """When somebody changed the record, nothing is stored, and the lease is there to be released."""
    record = await office.created()
    hold = await office.hold(record)
    await replace_upload(office.metadata, record, changed(record, offset=1))
    event = Event(id="one", tenant=TENANT, type="test.tried", at=NOW)
    with pytest.raises(PreconditionFailed):
        await settle_upload(office.metadata, hold, record, changed(record, offset=8), [event])

    assert 1 == (await office.metadata.get(record.ref)).offset
    assert [] == await office.metadata.events(TENANT, "", 10)
    assert await office.leases.held(record.ref)
    await office.leases.release(hold.lease)
    assert not await office.leases.held(record.ref)


async def test_what_is_stored_stays_so_when_the_lease_cannot_be_let_go(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of leases that fails after the commit does not make it fail; and a store of both does not ask for it."""
    record = await office.created()
    hold = await office.hold(record)

    async def fails(_lease: Lease) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(office.leases, "release", fails)
    await settle_upload(office.metadata, hold, record, changed(record, offset=8))

    assert 8 == (await office.metadata.get(record.ref)).offset


async def test_what_was_not_fenced_is_told(office: Office) -> None:
    """A forced hold that was let go before the facts were fenced makes the next one forced as well."""
    record = await office.created()
    await office.hold(record)
    second = await office.hold(record, wait=SHORT)
    await office.leases.release(second.lease, fenced=False)
    third = await office.hold(record, wait=SHORT)
    await office.leases.release(third.lease)

    assert third.lease.forced
    assert not (await office.hold(record)).lease.forced


async def test_of_many_newcomers_one_holds(office: Office) -> None:
    """However many come at once, the last has it, and all others are told."""
    record = await office.created()
    evicted = asyncio.Event()
    first = await office.hold(record, evicted)
    waiting = [asyncio.create_task(office.hold(record)) for _ in range(8)]
    async with asyncio.timeout(LONG):
        await evicted.wait()
    await asyncio.sleep(SHORT)
    await office.leases.release(first.lease)
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert 1 == sum(isinstance(result, Hold) for result in results)
    assert 7 == sum(isinstance(result, LeaseLost) for result in results)
