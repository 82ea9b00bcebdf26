"""
What is said of how a Redis is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.redis import RedisCluster, RedisServer
from storage.redis.advice import judge
from storage.redis.stores import RedisStores, open_redis
from tests.storage.redis.stores import url_of


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"appendonly": "yes", "save": ""}, []),
        ({"appendonly": "no", "save": ""}, ["keeps nothing on disk"]),
        ({"appendonly": "no", "save": "3600 1"}, ["keeps snapshots only"]),
        ({"maxmemory": "0", "maxmemory-policy": "allkeys-lru"}, []),
        ({"maxmemory": "1000", "maxmemory-policy": "noeviction"}, []),
        ({"maxmemory": "1000", "maxmemory-policy": "allkeys-lru"}, ["maxmemory-policy allkeys-lru"]),
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


async def test_a_server_that_does_not_tell(own_server: RedisServer) -> None:
    """Where it is forbidden to ask, nothing is said."""
    own_server.ask("CONFIG", "SET", "appendonly", "no")
    own_server.ask("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all", "-config")

    assert [] == await asked(open_redis(url_of(own_server)))
