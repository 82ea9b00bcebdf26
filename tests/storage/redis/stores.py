"""
Stores in the Redis servers of the tests.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.leased_uploads import RedisLeasedUploads
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.metadata import RedisMetadataStore
from holdfast.storage.redis.names import RedisNames
from holdfast.storage.redis.stores import RedisStores, open_redis
from servers.ports import LOOPBACK
from servers.stores.redis import RedisCluster, RedisServer
from servers.stores.sentinel import RedisSentinel
from tests.storage.places import Place

AnyRedis = RedisServer | RedisCluster | RedisSentinel
# What a backend is called, and the fixture that starts its server.
SERVERS = {"redis": "redis_server", "redis-cluster": "redis_cluster", "redis-sentinel": "redis_watched"}


def url_of(server: AnyRedis) -> str:
    """Return the URL by which the service finds *server*."""
    match server:
        case RedisServer():
            return server.url
        case RedisCluster():
            return f"redis+cluster://{_hosts(server.ports)}"
        case RedisSentinel():
            return f"redis+sentinel://{_hosts(server.sentinel_ports)}/{server.name}"


def _hosts(ports: list[int]) -> str:
    return ",".join(f"{LOOPBACK}:{port}" for port in ports)


def prefix_of(folder: Path) -> str:
    """Return what names begin with that are for the test with that folder."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16] + ":"


def redis_stores(fixture: str, place: Place) -> RedisStores:
    """Return stores on one line, under names that the test has for itself."""
    return open_redis(url_of(place.ask(fixture)), prefix_of(place.folder))


def redis_metadata(fixture: str, place: Place) -> RedisMetadataStore:
    """Return a metadata store on a line of its own."""
    return RedisMetadataStore(RedisClient(url_of(place.ask(fixture))), RedisNames(prefix_of(place.folder)))


def redis_leases(fixture: str, place: Place) -> RedisLeases:
    """Return leases on a line of their own."""
    return RedisLeases(RedisClient(url_of(place.ask(fixture))), RedisNames(prefix_of(place.folder)))


def redis_desk(fixture: str, place: Place) -> tuple[RedisLeasedUploads, RedisMetadataStore, RedisLeases]:
    """Return a desk, and what keeps its facts and its leases."""
    stores = redis_stores(fixture, place)
    return stores.leased_uploads, stores.metadata, stores.leases
