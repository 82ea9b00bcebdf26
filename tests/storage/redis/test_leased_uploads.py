"""
What the desk in a Redis costs, and what it does when answers are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.storage.errors import PreconditionFailed, Unavailable
from holdfast.storage.ports.leases import Hold
from holdfast.storage.records import UploadRecord
from holdfast.storage.redis.stores import RedisStores, open_redis
from servers.stores.redis import RedisServer
from tests.storage.backends import NOW, TENANT, changed, new_upload, settle_upload, store_upload
from tests.storage.ports.test_metadata_store_objects import new_event, stored_events
from tests.storage.redis.stores import prefix_of
from tests.storage.redis.wire import Wire, wire_to

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

LONG = 10.0  # seconds


@pytest.fixture
async def wire(redis_server: RedisServer) -> AsyncIterator[Wire]:
    """Return the way to the server."""
    async with wire_to(redis_server.port) as wire:
        yield wire


@pytest.fixture
async def stores(wire: Wire, tmp_path: Path) -> AsyncIterator[RedisStores]:
    """Return stores whose answers can be lost, and that have done everything once: the server knows their scripts."""
    stores = open_redis(wire.url, prefix_of(tmp_path))
    record = new_upload()
    await store_upload(stores.metadata, record)
    await stores.leased_uploads.status(record.ref)
    hold = await hold_(stores, record)
    await settle_upload(stores.metadata, hold, record, changed(record), [new_event()])
    yield stores
    await stores.leases.close()
    await stores.metadata.close()


async def hold_(stores: RedisStores, record: UploadRecord) -> Hold:
    """Take the lease."""
    return await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)


def round_trips(server: RedisServer) -> int:
    """Return how many requests came since the last time."""
    stats = server.ask("INFO", "commandstats").decode()
    calls = {line.partition(":")[0]: line for line in stats.split() if line.startswith("cmdstat_")}
    server.ask("CONFIG", "RESETSTAT")
    asked = (calls[name] for name in calls if name in {"cmdstat_evalsha", "cmdstat_eval"})
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in asked)


async def test_round_trips(stores: RedisStores, redis_server: RedisServer) -> None:
    """Looking is one round trip; changing an upload that nobody else has is two, with an event or not."""
    record = new_upload()
    await store_upload(stores.metadata, record)
    round_trips(redis_server)
    costs = []
    await stores.leased_uploads.status(record.ref)
    costs.append(round_trips(redis_server))
    hold = await hold_(stores, record)
    costs.append(round_trips(redis_server))
    await settle_upload(stores.metadata, hold, record, changed(record, offset=4), [new_event(attachment=record.key)])
    costs.append(round_trips(redis_server))

    assert [1, 1, 1] == costs


@pytest.mark.parametrize("before", [False, True], ids=["answer", "request"])
async def test_what_is_sent_again(stores: RedisStores, wire: Wire, before: bool) -> None:
    """Whatever is lost on the way, an upload is held once, and settled once."""
    record, event = new_upload(expires_at=NOW), new_event()
    await store_upload(stores.metadata, record)
    wire.lose(2, b"EVALSHA", before=before)
    hold = await hold_(stores, record)
    wire.lose(2, b"EVALSHA", before=before)
    after = changed(record, offset=4)
    await settle_upload(stores.metadata, hold, record, after, [event])

    assert 4 == wire.lost
    assert (record, False) == (hold.record, hold.lease.forced)
    assert after == await stores.metadata.get(record.ref)
    assert event in await stored_events(stores.metadata)
    assert not await stores.leases.held(record.ref)


async def test_a_hold_that_cannot_be_made(stores: RedisStores, wire: Wire) -> None:
    """When the answers do not come, nothing was taken that is in anybody's way."""
    record = new_upload()
    await store_upload(stores.metadata, record)
    wire.lose(1000, b"EVALSHA")
    with pytest.raises(Unavailable):
        await hold_(stores, record)
    wire.lose(0, b"")
    async with asyncio.timeout(1):
        hold = await hold_(stores, record)

    assert not hold.lease.forced


async def test_a_settlement_that_cannot_be_made(stores: RedisStores, wire: Wire) -> None:
    """After a settlement without an answer the lease can be released, and the record says whether it was made."""
    record, event = new_upload(), new_event()
    await store_upload(stores.metadata, record)
    hold = await hold_(stores, record)
    after = changed(record, offset=4)
    wire.lose(1000, b"EVALSHA")
    with pytest.raises(Unavailable):
        await settle_upload(stores.metadata, hold, record, after, [event])
    wire.lose(0, b"")
    await stores.leases.release(hold.lease)

    assert after == await stores.metadata.get(record.ref)
    assert not await stores.leases.held(record.ref)
    with pytest.raises(PreconditionFailed):
        await settle_upload(stores.metadata, hold, record, after, [event])
    assert 1 == (await stored_events(stores.metadata)).count(event)


async def test_a_lease_that_was_lost_settles_nothing_of_others(stores: RedisStores) -> None:
    """Who was passed over may still settle what nobody changed; the lease of the newcomer stays with it."""
    record = new_upload()
    await store_upload(stores.metadata, record)
    sleeper = await hold_(stores, record)
    newcomer = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, 0.1)
    await settle_upload(stores.metadata, sleeper, record, changed(record, offset=4))

    assert newcomer.lease.forced
    assert await stores.leases.held(record.ref)
    assert 4 == (await stores.metadata.get(record.ref)).offset


async def test_a_cancelled_hold(stores: RedisStores) -> None:
    """Who is cancelled while it takes a lease does not keep it."""
    for pause in (0.0, 0.0001, 0.0003, 0.001):
        record = new_upload(tenant=TENANT)
        await store_upload(stores.metadata, record)
        task = asyncio.create_task(hold_(stores, record))
        await asyncio.sleep(pause)
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        if isinstance(results[0], Hold):
            await stores.leases.release(results[0].lease)

        assert not await stores.leases.held(record.ref)
