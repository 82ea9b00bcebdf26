"""
Bad weather: Redis servers that are killed, empty, frozen, slow, full, closed to us, or not there yet.

Whatever happens, who asks is told in storage words, nothing is half done, and when the weather is over the same store goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from holdfast.storage.errors import NoSpace, NotFound, PreconditionFailed, Unavailable
from holdfast.storage.redis.stores import RedisStores
from servers.ports import LOOPBACK, free_port
from servers.stores.redis import RedisServer
from tests.storage.backends import NOW, changed, new_upload, replace_upload, settle_upload, store_upload
from tests.storage.ports.test_metadata_store_objects import new_event, stored_events
from tests.storage.redis.failures.writers import Writer, lives, opened

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(120)

LONG = 10.0  # seconds
# How long a store may take to say that it has given up.
GIVES_UP = 7.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a server to be broken."""
    with RedisServer(tmp_path / "redis", options={"busy-reply-threshold": 100}) as server:
        yield server


@pytest.fixture
async def stores(server: RedisServer) -> AsyncIterator[RedisStores]:
    """Return the stores on that server."""
    async with opened(server.url) as stores:
        yield stores


async def test_restarts_with_its_data(server: RedisServer, stores: RedisStores) -> None:
    """A server that is killed in the middle of commits, and comes back, has every acknowledged one, and none twice."""
    writer = await Writer.begin(stores.metadata)
    async with writer.writing():
        for _ in range(3):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.restart)
        await asyncio.sleep(0.3)
    await lives(stores)

    assert writer.acknowledged > 3
    await writer.check(may_lose=False)


async def test_restarts_without_its_data(server: RedisServer, stores: RedisStores) -> None:
    """A server that forgot everything is an empty store: nothing is found, nothing is changed, and what is new is kept."""
    record, event = new_upload(idempotency_key="again", expires_at=NOW), new_event()
    await store_upload(stores.metadata, record, [event])
    hold = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)
    await asyncio.to_thread(server.restart_empty)
    with pytest.raises(NotFound):
        await stores.metadata.get(record.ref)
    with pytest.raises(NotFound):
        await stores.leased_uploads.status(record.ref)
    with pytest.raises(PreconditionFailed):
        await replace_upload(stores.metadata, record, changed(record))
    with pytest.raises(PreconditionFailed):
        await settle_upload(stores.metadata, hold, record, changed(record))
    await stores.leases.release(hold.lease)
    await lives(stores)
    await store_upload(stores.metadata, record, [event])

    assert record == await stores.metadata.get(record.ref)
    assert [event] == await stored_events(stores.metadata)


async def test_a_read_only_replica(server: RedisServer, stores: RedisStores, tmp_path: Path) -> None:
    """A server that became a replica can be read, is not ready, and takes nothing; as a primary it goes on."""
    record = new_upload()
    await store_upload(stores.metadata, record)
    hold = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)
    with RedisServer(tmp_path / "primary", append_only=False) as primary:
        server.ask("REPLICAOF", LOOPBACK, free_port())
        read = await stores.metadata.get(record.ref)
        for work in (
            stores.metadata.ping(),
            stores.leases.ping(),
            store_upload(stores.metadata, new_upload()),
            replace_upload(stores.metadata, record, changed(record)),
            settle_upload(stores.metadata, hold, record, changed(record)),
            stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG),
        ):
            with pytest.raises(Unavailable, match="read only"):
                await work
        server.ask("REPLICAOF", "NO", "ONE")
        assert primary.processes
    await settle_upload(stores.metadata, hold, record, changed(record))
    await lives(stores)

    assert record == read
    assert changed(record) == await stores.metadata.get(record.ref)


async def test_a_slow_answer(server: RedisServer, stores: RedisStores) -> None:
    """A server that takes a while is waited for; what was sent again meanwhile happens once."""
    record, event = new_upload(), new_event()
    await store_upload(stores.metadata, record)
    server.freeze()
    commit = asyncio.create_task(replace_upload(stores.metadata, record, changed(record), [event]))
    await asyncio.sleep(3)
    server.thaw()
    await commit

    assert changed(record) == await stores.metadata.get(record.ref)
    assert [event] == await stored_events(stores.metadata)
    await lives(stores)


async def test_no_answer(server: RedisServer, stores: RedisStores) -> None:
    """A server that stands still is given up in time; whatever it does when it wakes up, it does once."""
    record, event = new_upload(), new_event()
    await store_upload(stores.metadata, record)
    server.freeze()
    begun = time.monotonic()
    for work in (
        replace_upload(stores.metadata, record, changed(record), [event]),
        stores.metadata.get(record.ref),
        stores.metadata.ping(),
        stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG),
    ):
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await work
        assert time.monotonic() - begun < 2 * GIVES_UP  # a hold tries to take back what it does not know of
    server.thaw()
    await lives(stores)
    revision = (await stores.metadata.get(record.ref)).revision

    assert [event] * revision == await stored_events(stores.metadata)


async def test_a_pause(server: RedisServer, stores: RedisStores) -> None:
    """While Redis lets nobody write, as before a planned failover, nobody is refused."""
    record, event = new_upload(), new_event()
    await store_upload(stores.metadata, record)
    server.ask("CLIENT", "PAUSE", 1000, "WRITE")
    await replace_upload(stores.metadata, record, changed(record), [event])

    assert [event] == await stored_events(stores.metadata)


def _endless(server: RedisServer) -> None:
    with redis.Redis(port=server.port, socket_timeout=60) as client, pytest.raises(redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


@pytest.mark.parametrize("seconds", [0.5, 6.0])
async def test_a_script_that_is_killed(server: RedisServer, stores: RedisStores, seconds: float) -> None:
    """A server that is busy with the script of somebody else is waited for, for a while; when that is killed, all goes on."""
    record = new_upload()
    await store_upload(stores.metadata, record)
    script = asyncio.create_task(asyncio.to_thread(_endless, server))
    await asyncio.sleep(0.2)
    commit = asyncio.create_task(replace_upload(stores.metadata, record, changed(record)))
    await asyncio.sleep(seconds)
    gave_up = commit.done()
    server.ask("SCRIPT", "KILL")
    await script
    (result,) = await asyncio.gather(commit, return_exceptions=True)

    assert (seconds > 2) == gave_up
    assert isinstance(result, Unavailable) == gave_up
    assert int(not gave_up) == (await stores.metadata.get(record.ref)).revision
    await lives(stores)


async def test_no_memory(server: RedisServer, stores: RedisStores) -> None:
    """A server that is full takes nothing more, but lets go, and gives what it has; what has no room leaves no trace."""
    record, event = new_upload(), new_event()
    await store_upload(stores.metadata, record)
    hold = await stores.leased_uploads.hold(record.ref, lambda _record: None, lambda: None, LONG)
    size = server.ask("DBSIZE")
    server.ask("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    for work in (
        stores.metadata.ping(),
        store_upload(stores.metadata, new_upload(), [event]),
        stores.metadata.commit([], events=[event]),
        replace_upload(stores.metadata, record, changed(record), [event]),
        settle_upload(stores.metadata, hold, record, changed(record), [event]),
    ):
        with pytest.raises(NoSpace):
            await work
    during = server.ask("DBSIZE")
    read = await stores.metadata.get(record.ref)
    await stores.leases.release(hold.lease)
    is_held = await stores.leases.held(record.ref)
    server.ask("CONFIG", "SET", "maxmemory", 0)
    await replace_upload(stores.metadata, record, changed(record), [event])
    await lives(stores)

    assert size == during
    assert (record, False) == (read, is_held)
    assert [event] == await stored_events(stores.metadata)


async def test_a_wrong_password(server: RedisServer) -> None:
    """Who is not let in is told so at once, and is let in when the password is right."""
    server.ask("CONFIG", "SET", "requirepass", "right")
    place = server.url.removeprefix("redis://")
    with redis.Redis.from_url(f"redis://:right@{place}") as admin:
        for url, said in ((server.url, "authenticated"), (f"redis://:wrong@{place}", "username-password")):
            async with opened(url) as stores:
                begun = time.monotonic()
                for work in (stores.metadata.ping(), store_upload(stores.metadata, new_upload())):
                    with pytest.raises(Unavailable, match=said):
                        await work
                took = time.monotonic() - begun
                with pytest.raises(Unavailable, match=said):
                    await stores.leases.ping()

                assert took < 1
        async with opened(f"redis://:right@{place}") as stores:
            await lives(stores)
        admin.config_set("requirepass", "")


async def test_what_is_not_permitted(server: RedisServer) -> None:
    """An account that may not do what the store needs is told which command that is."""
    server.ask("ACL", "SETUSER", "kelp", "on", ">frond", "~*", "&*", "+@all", "-evalsha", "-eval")
    async with opened(server.url.replace("redis://", "redis://kelp:frond@")) as stores:
        with pytest.raises(Unavailable, match="evalsha"):
            await store_upload(stores.metadata, new_upload())


async def test_nobody_there_yet(server: RedisServer) -> None:
    """Stores are opened though no server is there; as soon as it is, they work."""
    server.stop()
    async with opened(server.url) as stores:
        for work in (stores.metadata.ping(), store_upload(stores.metadata, new_upload()), stores.leases.ping()):
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                await work
            assert time.monotonic() - begun < GIVES_UP
        server.start()
        await lives(stores)
