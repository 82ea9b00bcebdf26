"""
What is said of how a Redis is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage.redis.advice import judge
from holdfast.storage.redis.stores import RedisStores, open_redis
from servers.stores.redis import RedisCluster, RedisServer
from tests.storage.redis.stores import url_of


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"aof_enabled": "1", "save": ""}, []),
        ({"aof_enabled": "0", "save": ""}, ["keeps nothing on disk"]),
        ({"aof_enabled": "0", "save": "3600 1"}, ["only keeps snapshots"]),
        ({"aof_enabled": "0"}, ["no append-only file"]),
        ({"maxmemory": "0", "maxmemory_policy": "allkeys-lru"}, []),
        ({"maxmemory": "1000", "maxmemory_policy": "noeviction"}, []),
        ({"maxmemory": "1000", "maxmemory_policy": "allkeys-lru"}, ["maxmemory-policy allkeys-lru"]),
    ],
    ids=str,
)
def test_judgement(settings: dict[str, str], words: list[str]) -> None:
    """What may lose records is told, with what to do about it."""
    said = judge(settings)

    assert len(words) == len(said)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a server that this test alone has."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


async def asked(stores: RedisStores) -> list[str]:
    """Return what there is to say, and close."""
    try:
        return list(await stores.advice())
    finally:
        await stores.leases.close()
        await stores.metadata.close()


async def test_a_real_server(own_server: RedisServer) -> None:
    """A server tells how it is set up, and what may be wrong with it."""
    for name, value in (("appendonly", "no"), ("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")):
        own_server.ask("CONFIG", "SET", name, value)

    assert 2 == len(await asked(open_redis(url_of(own_server))))


async def test_a_cluster_tells_it_too(redis_cluster: RedisCluster) -> None:
    """One node of a Cluster is asked for all; that of the tests has no files."""
    assert 1 == len(await asked(open_redis(url_of(redis_cluster))))


async def test_a_server_that_is_as_it_should_be(own_server: RedisServer) -> None:
    """Of one that writes everything down, and evicts nothing, nothing is said."""
    own_server.ask("CONFIG", "SET", "maxmemory", "100mb")

    assert [] == await asked(open_redis(url_of(own_server)))


@pytest.mark.parametrize(("forbidden", "count"), [(("-config",), 2), (("-config", "-info"), 0)])
async def test_a_server_that_does_not_tell(own_server: RedisServer, forbidden: tuple[str, ...], count: int) -> None:
    """Where settings may not be asked for, what is told besides is enough; where nothing may be asked, nothing is said."""
    for name, value in (("appendonly", "no"), ("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")):
        own_server.ask("CONFIG", "SET", name, value)
    own_server.ask("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all", *forbidden)

    assert count == len(await asked(open_redis(url_of(own_server))))
