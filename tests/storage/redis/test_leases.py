"""
What leases in a Redis promise between processes: eviction, the dead, the frozen, and those that are cut off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.storage.errors import Unavailable
from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.names import RedisNames
from servers.stores.redis import RedisCluster, RedisServer
from tests.storage.backends import TENANT, new_upload, store_upload
from tests.storage.leases.claimants import KEY, LONG, REF, SHORT, holding, timed
from tests.storage.places import Place
from tests.storage.processes import worker
from tests.storage.redis.stores import SERVERS, prefix_of, redis_leases, redis_stores, url_of
from tests.storage.redis.wire import Wire, wire_to

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

SERVER = "redis_server"


@pytest.fixture
def server() -> str:
    """Return the fixture of a server; one test is given every kind."""
    return SERVER


def where(server: str, place: Place) -> str:
    """Return what a worker is told of the Redis."""
    return f"{url_of(place.ask(server))}#{prefix_of(place.folder)}"


@pytest.fixture
def names(tmp_path: Path) -> RedisNames:
    """Return the names that the test has for itself."""
    return RedisNames(prefix_of(tmp_path))


@pytest.fixture
async def leases(server: str, place: Place) -> AsyncIterator[RedisLeases]:
    """Return the leases of this process."""
    leases = redis_leases(server, place)
    yield leases
    await leases.close()


@pytest.fixture
async def wire(redis_server: RedisServer) -> AsyncIterator[Wire]:
    """Return the way to the server."""
    async with wire_to(redis_server.port) as wire:
        yield wire


@pytest.mark.parametrize("server", SERVERS.values())
@pytest.mark.alone("it measures how soon another process answers")
async def test_a_holder_in_another_process_is_evicted(server: str, place: Place, leases: RedisLeases) -> None:
    """A newcomer has the lease of another process at once, when that one lets go at once."""
    await leases.open()
    async with worker("hold", where(server, place), KEY, "polite") as holder:
        epoch = await holding(holder)
        was_held = await leases.held(REF)
        forced, took, newer = await timed(leases, LONG)

        assert ["asked", "released"] == [await holder.line(), await holder.line()]
    assert was_held
    assert not forced
    assert took < 0.3
    assert newer > epoch


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_killed_holder_is_passed_over(server: str, place: Place, leases: RedisLeases) -> None:
    """Where Redis knows who listens, nobody waits for a process that is gone; in a Cluster, as for one that is frozen."""
    await leases.open()
    async with worker("hold", where(server, place), KEY, "polite") as holder:
        await holding(holder)
        await holder.kill()
        forced, took, _ = await timed(leases, 1.0)

    assert forced  # it may only be cut off
    assert took < 0.5 or isinstance(place.ask(server), RedisCluster)
    assert took < 1.5


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_frozen_holder_is_passed_over(server: str, place: Place, leases: RedisLeases) -> None:
    """A frozen process is waited for, and then passed over; when it wakes up it is told, and its release takes nothing away."""
    await leases.open()
    async with worker("hold", where(server, place), KEY, "polite") as holder:
        await holding(holder)
        holder.freeze()
        forced, took, _ = await timed(leases, 0.3)
        holder.thaw()

        assert ["asked", "released"] == [await holder.line(), await holder.line()]
    assert forced
    assert 0.3 <= took < 1
    assert await leases.held(REF)


async def test_a_busy_holder_in_another_process_is_waited_for(server: str, place: Place, leases: RedisLeases) -> None:
    """A process that answers that it is at work is not passed over in the normal time; one that freezes at its work is."""
    await leases.open()
    async with worker("hold", where(server, place), KEY, "busy") as holder:
        await holding(holder)
        newcomer = asyncio.create_task(timed(leases, 0.3))
        await asyncio.wait([newcomer], timeout=1)
        was_early = newcomer.done()
        holder.freeze()
        forced, took, _ = await newcomer
        holder.thaw()

    assert not was_early
    assert forced
    assert 1.2 <= took < 3


@pytest.mark.alone("it measures how soon another process answers")
async def test_whose_time_is_over_holds_nothing(place: Place, names: RedisNames) -> None:
    """A claimant that was not heard of for long does not count, and is passed over without waiting; it may wake up."""
    first, second = redis_leases(SERVER, place), redis_leases(SERVER, place)
    asked = asyncio.Event()
    async with asyncio.timeout(LONG):
        await first.acquire(REF, asked.set, LONG)
        place.ask(SERVER).ask("HSET", names.lease(REF).decode(), "until", 1)
        was_held = await first.held(REF)
        forced, took, _ = await timed(second, LONG)
        await asked.wait()
    await first.close()
    await second.close()

    assert not was_held
    assert forced
    assert took < 0.3


async def test_as_long_as_a_process_lives_it_holds(redis_server: RedisServer, names: RedisNames) -> None:
    """The time of a claimant is put off, as long as its process lives, also while it waits; then it is soon over."""
    life = 0.6
    holder, newcomer = (RedisLeases(RedisClient(redis_server.url), names, life) for _ in range(2))
    await holder.acquire(REF, lambda: True, LONG)
    waiting = asyncio.create_task(newcomer.acquire(REF, lambda: None, LONG))
    during = []
    for _ in range(8):
        await asyncio.sleep(life / 4)
        during.append(await holder.held(REF))
    await holder.close()
    forced = (await waiting).forced
    await newcomer.close()
    after = RedisLeases(RedisClient(redis_server.url), names, life)
    begun = time.monotonic()
    while await after.held(REF):
        await asyncio.sleep(life / 20)
    took = time.monotonic() - begun
    await after.close()

    assert [True] * 8 == during
    assert forced
    assert took < 2 * life


async def test_who_was_passed_over_is_told_in_the_end(redis_server: RedisServer, names: RedisNames) -> None:
    """A holder whose message was lost finds somebody else in its row."""
    leases = RedisLeases(RedisClient(redis_server.url), names, 0.3)
    asked = asyncio.Event()
    await leases.acquire(REF, asked.set, LONG)
    redis_server.ask("HSET", names.lease(REF).decode(), "holder", "somebody/1")
    async with asyncio.timeout(LONG):
        await asked.wait()
    await leases.close()

    assert b"somebody/1" == redis_server.ask("HGET", names.lease(REF).decode(), "holder")


async def test_rows_are_tidied_away_in_the_end(place: Place, names: RedisNames) -> None:
    """A row that nobody comes for is not kept for ever; what was let go leaves nothing."""
    leases = redis_leases(SERVER, place)
    lease = await leases.acquire(REF, lambda: None, LONG)
    left = place.ask(SERVER).ask("TTL", names.lease(REF).decode())
    await leases.release(lease)
    after = place.ask(SERVER).ask("EXISTS", names.lease(REF).decode())
    await leases.close()

    assert 29 * 86400 < left <= 30 * 86400
    assert 0 == after


async def test_rows_are_kept_as_long_as_somebody_stands_there(redis_server: RedisServer, names: RedisNames) -> None:
    """A row is kept for its full time from the last moment that its claimant was heard of, or was put back into its place."""
    row, soon = names.lease(REF).decode(), 60
    leases = RedisLeases(RedisClient(redis_server.url), names, 0.3)
    await leases.acquire(REF, lambda: None, LONG)
    redis_server.ask("EXPIRE", row, soon)
    async with asyncio.timeout(LONG):
        while redis_server.ask("TTL", row) <= soon:
            await asyncio.sleep(0.02)
    found = await leases.rows.swap(REF, "somebody/1")
    redis_server.ask("EXPIRE", row, soon)
    given_back = await leases.rows.give_back(REF, "somebody/1", found)
    kept = redis_server.ask("TTL", row)
    await leases.close()

    assert given_back
    assert 29 * 86400 < kept


async def test_who_was_waited_for_is_not_stood_behind(redis_server: RedisServer, place: Place, names: RedisNames) -> None:
    """When the one before has let go, the row says so: whoever comes next need not fear it any more."""
    holder, newcomer = redis_leases(SERVER, place), redis_leases(SERVER, place)
    asked = asyncio.Event()
    lease = await holder.acquire(REF, asked.set, LONG)
    second = asyncio.create_task(newcomer.acquire(REF, lambda: None, LONG))
    async with asyncio.timeout(LONG):
        await asked.wait()
    during = redis_server.ask("HGET", names.lease(REF).decode(), "behind")
    await holder.release(lease)
    await second
    after = redis_server.ask("HGET", names.lease(REF).decode(), "behind")
    await holder.close()
    await newcomer.close()

    assert (True, b"") == (bool(during), after)


async def test_epochs_outlive_the_data(redis_server: RedisServer, place: Place, names: RedisNames) -> None:
    """A Redis that has lost what it knew goes on with higher epochs."""
    leases = redis_leases(SERVER, place)
    first = await leases.acquire(REF, lambda: None, LONG)
    redis_server.ask("DEL", names.lease(REF).decode(), names.epoch(TENANT))
    second = await leases.acquire(REF, lambda: None, LONG)
    await leases.release(first)
    await leases.close()

    assert second.epoch > first.epoch


async def test_an_epoch_that_is_no_number(redis_server: RedisServer, place: Place, names: RedisNames) -> None:
    """Whatever stands where epochs are counted: they follow the clock, and leases can be had."""
    stores = redis_stores("redis_server", place)
    redis_server.ask("SET", names.epoch(TENANT), "kelp")
    first = await stores.leases.acquire(REF, lambda: None, LONG)
    await stores.leases.release(first)
    record = new_upload()
    await store_upload(stores.metadata, record)
    redis_server.ask("SET", names.epoch(TENANT), "kelp")
    second = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)
    await stores.leases.release(second.lease)
    await stores.leases.close()
    await stores.metadata.close()

    assert second.lease.epoch > first.epoch


async def test_a_subscription_that_was_cut(redis_server: RedisServer, place: Place) -> None:
    """Who has lost its subscription has it again soon, and is told of newcomers as before."""
    holder, newcomer = redis_leases(SERVER, place), redis_leases(SERVER, place)
    asked = asyncio.Event()
    lease = await holder.acquire(REF, asked.set, LONG)
    await newcomer.open()
    redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    second = asyncio.create_task(newcomer.acquire(REF, lambda: None, LONG))
    async with asyncio.timeout(LONG):
        await asked.wait()
    await holder.release(lease)
    forced = (await second).forced
    await holder.close()
    await newcomer.close()

    assert not forced


async def test_a_subscription_that_is_dead_without_a_sign(redis_server: RedisServer, names: RedisNames) -> None:
    """Who does not hear its own messages any more subscribes anew, though nothing was said to be wrong."""
    holder = RedisLeases(RedisClient(redis_server.url), names)
    async with wire_to(redis_server.port) as wire:
        deaf = RedisLeases(RedisClient(wire.url), names, 0.3)
        asked = asyncio.Event()
        await deaf.open()
        lease = await holder.acquire(REF, asked.set, LONG)
        wire.mute(b"message")
        second = asyncio.create_task(deaf.acquire(REF, lambda: None, LONG))
        await asked.wait()
        await holder.release(lease)
        forced = (await second).forced
        await deaf.close()
    await holder.close()

    assert not forced


@pytest.mark.parametrize("before", [False, True], ids=["answer", "request"])
async def test_what_is_sent_again(place: Place, names: RedisNames, wire: Wire, before: bool) -> None:
    """Whatever is lost on the way, leases are taken, waited for and let go as ever."""
    flaky, other = RedisLeases(RedisClient(wire.url), names), redis_leases(SERVER, place)
    forced, epochs = [], []
    first = await flaky.acquire(REF, lambda: None, LONG)
    await flaky.release(first)
    for _ in range(3):
        for holder, newcomer in ((flaky, other), (other, flaky)):
            asked = asyncio.Event()
            wire.lose(2, b"EVALSHA", before=before)
            lease = await holder.acquire(REF, asked.set, LONG)
            second = asyncio.create_task(newcomer.acquire(REF, lambda: None, LONG))
            async with asyncio.timeout(LONG):
                await asked.wait()
            await holder.release(lease)
            newer = await second
            await newcomer.release(newer)
            forced += [lease.forced, newer.forced]
            epochs += [lease.epoch, newer.epoch]
    free = not await other.held(REF)
    await flaky.close()
    await other.close()

    assert [False] * 12 == forced
    assert sorted(set(epochs)) == epochs
    assert free
    assert wire.lost >= 6


@pytest.mark.parametrize("text", [b"EVALSHA", b"PUBLISH"])
async def test_a_claim_that_cannot_be_made(place: Place, names: RedisNames, wire: Wire, text: bytes) -> None:
    """When Redis cannot be asked while somebody holds the lease, nobody who comes later has it without hearing of that one."""
    flaky, other = RedisLeases(RedisClient(wire.url), names), redis_leases(SERVER, place)
    asked = asyncio.Event()
    lease = await other.acquire(REF, asked.set, LONG)
    await flaky.open()
    wire.lose(1000, text)
    with pytest.raises(Unavailable):
        await flaky.acquire(REF, lambda: None, LONG)
    wire.lose(0, b"")
    third = asyncio.create_task(flaky.acquire(REF, lambda: None, LONG))
    await asyncio.wait([third], timeout=3 * SHORT)
    was_there = asked.is_set() and (not third.done() or (await third).forced)
    await other.release(lease)
    await third
    await flaky.close()
    await other.close()

    assert was_there


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_claim_of_a_lease_that_was_free(place: Place, names: RedisNames, wire: Wire) -> None:
    """A claim that failed is in nobody's way."""
    flaky, other = RedisLeases(RedisClient(wire.url), names), redis_leases(SERVER, place)
    await flaky.open()
    wire.lose(1000, b"EVALSHA")
    with pytest.raises(Unavailable):
        await flaky.acquire(REF, lambda: None, LONG)
    wire.lose(0, b"")
    forced, took, _ = await timed(other, LONG)
    await flaky.close()
    await other.close()

    assert not forced
    assert took < 0.5
