"""
A Redis whose memory is full: nothing new begins, and what is there can be ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from holdfast.storage.errors import NoSpace
from holdfast.storage.records import State
from holdfast.storage.redis.stores import RedisStores
from servers.stores.redis import RedisCluster, RedisServer, ask
from tests.storage.backends import changed, new_upload, replace_upload, settle_upload, store_upload
from tests.storage.places import Place
from tests.storage.redis.stores import redis_stores

LONG = 10.0
FIXTURES = ["redis_server", pytest.param("redis_cluster", marks=pytest.mark.topology)]


class Memory:
    """The memory of every server."""

    def __init__(self, server: RedisServer | RedisCluster) -> None:
        self._ports = server.ports if isinstance(server, RedisCluster) else [server.port]

    def limit(self, size: int) -> None:
        """Let each have *size* bytes; 0 for any number."""
        for port in self._ports:
            ask(port, "CONFIG", "SET", "maxmemory", size, "maxmemory-policy", "noeviction")


@pytest.fixture(params=FIXTURES)
def fixture(request: pytest.FixtureRequest) -> str:
    """Return the name of the fixture of a server, and of a cluster."""
    name: str = request.param
    return name


@pytest.fixture
def memory(fixture: str, place: Place) -> Iterator[Memory]:
    """Return memory that gets full, and is not when the test ends."""
    memory = Memory(place.ask(fixture))
    yield memory
    memory.limit(0)


@pytest.fixture
async def stores(fixture: str, place: Place) -> AsyncIterator[RedisStores]:
    """Return stores there."""
    stores = redis_stores(fixture, place)
    yield stores
    await stores.metadata.close()
    await stores.leases.close()


async def test_a_deletion_gets_through(memory: Memory, stores: RedisStores) -> None:
    """A lease can be had, and an upload be ended with it; a creation and an offset are refused, and a ping tells of it."""
    record = new_upload(length=8)
    await store_upload(stores.metadata, record)
    memory.limit(1)
    for work in (
        stores.metadata.ping(),
        store_upload(stores.metadata, new_upload()),
        replace_upload(stores.metadata, record, changed(record, offset=4)),
    ):
        with pytest.raises(NoSpace):
            await work
    hold = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)
    ended = changed(record, state=State.CANCELLED)
    await replace_upload(stores.metadata, record, ended)
    await settle_upload(stores.metadata, hold, ended, changed(ended, expires_at=None))
    is_held = await stores.leases.held(record.ref)
    found = await stores.metadata.get(record.ref)

    assert (State.CANCELLED, 2, False) == (found.state, found.revision, is_held)


async def test_a_sleeper_is_fenced_off(memory: Memory, stores: RedisStores) -> None:
    """Who passes a holder over can say so, as it has to before it ends an upload."""
    record = new_upload(length=8)
    await store_upload(stores.metadata, record)
    memory.limit(1)
    lease = await stores.leases.acquire(record.ref, lambda: None, LONG)
    forced = await stores.leases.acquire(record.ref, lambda: None, 0.4)
    fenced = changed(record, generation=1)
    await replace_upload(stores.metadata, record, fenced)
    await replace_upload(stores.metadata, fenced, changed(fenced, state=State.EXPIRED))
    await stores.leases.release(forced)
    await stores.leases.release(lease)

    assert forced.forced
    assert State.EXPIRED is (await stores.metadata.get(record.ref)).state
