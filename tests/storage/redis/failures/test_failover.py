"""
Servers that take each other's place, as Sentinels and a Cluster let them, while commits and leases go on.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.storage.errors import StorageError
from holdfast.storage.ports.leases import Lease
from holdfast.storage.records import Ref, Tenant
from holdfast.storage.redis.names import RedisNames
from holdfast.storage.redis.stores import RedisStores
from servers.ports import LOOPBACK
from servers.process import wait_until
from servers.stores.redis import RedisCluster
from servers.stores.sentinel import RedisSentinel
from tests.storage.backends import TENANT, new_upload
from tests.storage.redis.failures.writers import LONG, Writer, lives, opened
from tests.storage.redis.stores import url_of

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def stores(redis_sentinel: RedisSentinel) -> AsyncIterator[RedisStores]:
    """Return the stores on a primary that is watched."""
    async with opened(url_of(redis_sentinel)) as stores:
        yield stores


async def test_failover_during_commits(redis_sentinel: RedisSentinel, stores: RedisStores) -> None:
    """The replica takes the place of the primary: no commit is doubled, what is lost is lost from the end, and all goes on."""
    old = redis_sentinel.primary
    writer = await Writer.begin(stores.metadata)
    async with writer.writing():
        await asyncio.sleep(0.5)
        await asyncio.to_thread(redis_sentinel.fail_over)
        await lives(stores)
        await writer.goes_on()
    await asyncio.to_thread(old.start)
    await lives(stores)

    assert old is not redis_sentinel.primary
    await writer.check(may_lose=True)


@pytest.mark.slow
async def test_failover_of_a_frozen_primary(redis_sentinel: RedisSentinel, stores: RedisStores) -> None:
    """What a primary takes that does not know yet that it was replaced is lost; then all goes on, where it was replaced."""
    old = redis_sentinel.primary
    writer = await Writer.begin(stores.metadata)
    async with writer.writing():
        await asyncio.sleep(0.5)
        old.freeze()
        await asyncio.to_thread(redis_sentinel.wait_for_failover, old)
        old.thaw()
        await asyncio.to_thread(wait_until, lambda: b"role:slave" in old.ask("INFO", "replication"), "the old one follows")
        await lives(stores)
        await writer.goes_on()
    await lives(stores)

    assert old is not redis_sentinel.primary
    await writer.check(may_lose=True)


async def test_leases_outlive_a_failover(redis_sentinel: RedisSentinel, stores: RedisStores) -> None:
    """A holder is told of a newcomer, though the server on which they met is gone."""
    old = redis_sentinel.primary
    ref = Ref(tenant=TENANT, key=new_upload().key)
    async with opened(url_of(redis_sentinel)) as others:
        asked = asyncio.Event()
        first = await stores.leases.acquire(ref, asked.set, LONG)
        await others.leases.open()
        old.ask("WAIT", 1, 1000)
        await asyncio.to_thread(redis_sentinel.fail_over)
        second = asyncio.create_task(_acquired(others, ref))
        async with asyncio.timeout(2 * LONG):
            await asked.wait()
        await stores.leases.release(first)
        newer = await second

        assert newer.epoch > first.epoch


async def _acquired(stores: RedisStores, ref: Ref) -> Lease:
    """Take a lease as soon as that can be done."""
    while True:
        try:
            return await stores.leases.acquire(ref, lambda: None, LONG)
        except StorageError:
            await asyncio.sleep(0.05)


def tenants_of(cluster: RedisCluster) -> list[Tenant]:
    """Return a tenant of each master."""
    found: dict[str, Tenant] = {}
    for number in itertools.count():
        tenant = Tenant(str(number))
        found.setdefault(cluster.owner(RedisNames().tenant(tenant)), tenant)
        if len(found) == len(cluster.masters):
            return [found[name] for name in sorted(found)]
    raise AssertionError


@pytest.mark.slow
async def test_a_master_that_is_gone(tmp_path: Path) -> None:
    """While a master of a Cluster is away, the tenants of the others go on; when it is back, so do its own, with all they had."""
    with RedisCluster(tmp_path, full_coverage=False) as cluster:
        tenants = tenants_of(cluster)
        # New uploads are reserved, and their tenants entered, wherever that is.
        gone = (int(cluster.owner(RedisNames().tenants)) + 1) % 3
        async with opened(url_of(cluster)) as stores:
            writers = [await Writer.begin(stores.metadata, tenant) for tenant in tenants]
            async with writers[0].writing(), writers[1].writing(), writers[2].writing():
                await asyncio.sleep(0.3)
                await asyncio.to_thread(cluster.kill, str(gone))
                await asyncio.sleep(3)
                before = [writer.acknowledged for writer in writers]
                await asyncio.sleep(3)
                during = [writer.acknowledged for writer in writers]
                await asyncio.to_thread(cluster.start, str(gone))
                await lives(stores, tenants[gone])
            for writer in writers:
                await writer.check(may_lose=False)
            for tenant in tenants:
                await lives(stores, tenant)

    went_on = [number for number in range(3) if during[number] > before[number]]
    assert [number for number in range(3) if number != gone] == went_on


async def test_a_slot_that_moves(tmp_path: Path) -> None:
    """A tenant whose slot is moved to another master is followed there, with nothing lost and nothing doubled."""
    with RedisCluster(tmp_path, append_only=False) as cluster:
        tenant = tenants_of(cluster)[0]
        async with opened(url_of(cluster)) as stores:
            writer = await Writer.begin(stores.metadata, tenant)
            async with writer.writing():
                await asyncio.sleep(0.3)
                await asyncio.to_thread(_move, cluster, cluster.slot(RedisNames().tenant(tenant)))
                await writer.goes_on()
            await lives(stores, tenant)
            await writer.check(may_lose=False)


def _move(cluster: RedisCluster, slot: int) -> None:
    """Move *slot* from the first master to the second, as redis-cli does."""
    source, target, _ = cluster.masters
    ids = [master.ask("CLUSTER", "MYID").decode() for master in cluster.masters]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000):
        texts = [key.decode() for key in keys]
        source.ask("MIGRATE", LOOPBACK, target.port, "", 0, 5000, "KEYS", *texts)
    for master in (target, source, cluster.masters[2]):
        master.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
