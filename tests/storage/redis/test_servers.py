"""
Who is asked where the primary is.
"""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection

from holdfast.storage.redis.servers import SentinelServers, find_servers
from servers.stores.sentinel import RedisSentinel
from tests.storage.redis.stores import url_of

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)
SEVERAL = 4


async def test_no_sentinel_gets_lost(redis_sentinel: RedisSentinel) -> None:
    """Several ask at the same time while the first Sentinel does not answer; when it is the last one left, it is asked again."""
    first, *others = (redis_sentinel.processes[f"sentinel-{number}"] for number in range(3))
    servers = find_servers(url_of(redis_sentinel), connections=SEVERAL)
    await asyncio.gather(*(servers.commands.ping() for _ in range(SEVERAL)))
    first.freeze()
    await asyncio.gather(*(servers.refresh_primary() for _ in range(SEVERAL)))
    first.thaw()
    for other in others:
        other.freeze()

    async with await servers.listener() as client:
        assert await client.ping()
    await servers.close()


async def test_who_was_the_primary_is_left(redis_watched: RedisSentinel) -> None:
    """When the Sentinels name another primary, nobody goes on with a connection that was in use meanwhile."""
    servers = find_servers(url_of(redis_watched), connections=1)
    assert isinstance(servers, SentinelServers)
    before = await servers.commands.client_id()
    waiting = asyncio.ensure_future(servers.commands.blpop(["nothing comes here"], timeout=0.3))
    await asyncio.sleep(0.05)
    servers._pool.master_address = ("192.0.2.1", 1)  # that it was, for all that is known
    await servers.refresh_primary()
    await waiting
    after = await servers.commands.client_id()
    await servers.close()

    assert before != after


@pytest.mark.parametrize(("scheme", "connection"), [("redis", Connection), ("rediss", SSLConnection)])
async def test_messages_are_as_secret_as_commands(monkeypatch: pytest.MonkeyPatch, scheme: str, connection: type) -> None:
    """A connection to a node of a Cluster for messages is one of TLS where those for commands are."""
    servers = find_servers(f"{scheme}+cluster://node.example:6379", connections=1)

    async def known() -> None:
        pass

    monkeypatch.setattr(servers.commands, "initialize", known)
    monkeypatch.setattr(servers.commands, "get_primaries", lambda: [ClusterNode("node.example", 6379)])
    async with await servers.listener() as client:
        assert connection is client.connection_pool.connection_class
    await servers.close()
