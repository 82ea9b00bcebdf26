"""
What only the Redis store promises: commits that are sent again, keys of another type, services that share a server.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from holdfast.storage.errors import AlreadyExists, Corrupted, PreconditionFailed
from holdfast.storage.ports.metadata import Adjustment, Change, Record
from holdfast.storage.records import State, Tenant, UploadRecord
from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.metadata import TOGETHER, RedisMetadataStore
from holdfast.storage.redis.names import RedisNames
from servers.stores.redis import RedisServer
from tests.storage.backends import NOW, TENANT, changed, new_upload, replace_upload, store_upload
from tests.storage.ports.test_metadata_store_objects import begins, new_event, new_object, new_slot, stored_events
from tests.storage.redis.stores import prefix_of
from tests.storage.redis.wire import Wire, wire_to

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

STRANGE = [Tenant(text) for text in ("", "{", "}", "{}", "a}b{c", "%", "ä", " ", "\0", "a:b", "x" * 1000)]


@pytest.fixture
async def wire(redis_server: RedisServer) -> AsyncIterator[Wire]:
    """Return the way to the server."""
    async with wire_to(redis_server.port) as wire:
        yield wire


@pytest.fixture
def names(tmp_path: Path) -> RedisNames:
    """Return the names that the test has for itself."""
    return RedisNames(prefix_of(tmp_path))


@pytest.fixture
async def store(wire: Wire, names: RedisNames) -> AsyncIterator[RedisMetadataStore]:
    """Return a store whose answers can be lost."""
    store = RedisMetadataStore(RedisClient(wire.url), names)
    yield store
    await store.close()


@pytest.mark.parametrize("before", [False, True], ids=["answer", "request"])
async def test_a_commit_that_is_sent_again(store: RedisMetadataStore, wire: Wire, before: bool) -> None:
    """Whatever is lost on the way, a commit that succeeds has happened, once, with its events."""
    upload, user = new_upload(idempotency_key="again", expires_at=NOW), new_object()
    slot = new_slot(user)
    events = [new_event(attachment=upload.key), new_event()]
    await store_upload(store, new_upload())  # the server knows the scripts
    groups: list[list[Record]] = [[upload], [user, slot]]
    for number, records in enumerate(groups):
        wire.lose(2, b"EVALSHA", before=before)
        await store.commit(begins(*records), events=events[number : number + 1])
    news = [
        changed(upload, idempotency_key=None, expires_at=None),
        *(dataclasses.replace(old, revision=1) for old in (user, slot)),
    ]
    wire.lose(2, b"EVALSHA", before=before)
    olds: list[Record] = [upload, user, slot]
    changes = [Change(old=old, new=new) for old, new in zip(olds, news, strict=True)]
    late = new_event(attachment=upload.key)
    await store.commit(changes, events=[late])

    assert 6 == wire.lost
    assert news == [await store.get(upload.ref), await store.get_object(user.ref), await store.get_slot(slot.ref)]
    assert [*events, late] == await stored_events(store)
    assert [events[0], late] == await stored_events(store, TENANT, upload.key)
    assert [] == list(await store.due(NOW, 10))


async def test_a_commit_without_events_that_is_sent_again(store: RedisMetadataStore, wire: Wire) -> None:
    """A commit that tells of nothing is known by what it has stored: when its answer is lost, it has succeeded all the same."""
    record = new_upload()
    await store_upload(store, record)
    wire.lose(1, b"EVALSHA")
    await replace_upload(store, record, changed(record, offset=1))

    assert (1, 1) == (wire.lost, (await store.get(record.ref)).offset)


async def test_only_events_that_are_sent_again(store: RedisMetadataStore, wire: Wire) -> None:
    """A commit of nothing but events is known by these."""
    await store_upload(store, new_upload())
    events = [new_event(), new_event()]
    wire.lose(3, b"EVALSHA")
    await store.commit([], events=events)

    assert 3 == wire.lost
    assert events == await stored_events(store)
    with pytest.raises(AlreadyExists):
        await store.commit([], events=events)


@pytest.mark.parametrize("alone", [False, True], ids=["with a change", "alone"])
async def test_adjustments_that_are_sent_again(store: RedisMetadataStore, wire: Wire, alone: bool) -> None:
    """However often an adjustment is sent, it is made once, and one that was made is not refused by its own bound."""
    await store_upload(store, new_upload())
    wire.lose(3, b"EVALSHA")
    changes = [] if alone else [Change(old=None, new=new_upload())]
    await store.commit(changes, adjustments=[Adjustment(tenant=TENANT, name="bytes", by=7, at_most=10)])

    assert (3, 7) == (wire.lost, await store.counter(TENANT, "bytes"))


async def test_a_failure_that_is_told_again(store: RedisMetadataStore, wire: Wire) -> None:
    """A commit that was refused, and whose answer was lost, is refused again."""
    record = new_upload()
    await store_upload(store, record)
    await replace_upload(store, record, changed(record))
    wire.lose(1, b"EVALSHA")
    with pytest.raises(PreconditionFailed):
        await replace_upload(store, record, changed(record, offset=2))

    assert 0 == (await store.get(record.ref)).offset


async def test_what_was_changed_meanwhile(
    store: RedisMetadataStore, names: RedisNames, redis_server: RedisServer, wire: Wire
) -> None:
    """When the answer is lost, and somebody else goes on from what was stored, its event tells that it has happened, once."""
    record, event = new_upload(), new_event()
    await store_upload(store, record)
    other = RedisMetadataStore(RedisClient(redis_server.url), names)
    first = changed(record, offset=1)

    async def goes_on() -> None:
        while (await other.get(record.ref)).revision == 0:
            await asyncio.sleep(0)
        await replace_upload(other, first, changed(first, offset=2))

    wire.lose(1, b"EVALSHA")
    await asyncio.gather(replace_upload(store, record, first, [event]), goes_on())
    await other.close()

    assert 2 == (await store.get(record.ref)).offset
    assert [event] == await stored_events(store)


async def test_scripts_are_sent_anew(store: RedisMetadataStore, redis_server: RedisServer) -> None:
    """A server that has forgotten the scripts is told them again."""
    record = new_upload(expires_at=NOW)
    await store_upload(store, record)
    redis_server.ask("SCRIPT", "FLUSH")
    await replace_upload(store, record, changed(record))
    redis_server.ask("SCRIPT", "FLUSH")

    assert [changed(record)] == list(await store.due(NOW, 10))


async def test_a_reservation_in_vain(store: RedisMetadataStore, names: RedisNames, redis_server: RedisServer) -> None:
    """A key that came to nothing because of the idempotency key is free again."""
    await store_upload(store, new_upload(idempotency_key="again"))
    second = new_upload(idempotency_key="again")
    with pytest.raises(AlreadyExists):
        await store_upload(store, second)
    left = redis_server.ask("EXISTS", names.reservation(second.key).decode())
    await store_upload(store, dataclasses.replace(second, idempotency_key=None))

    assert 0 == left


def _dump(server: RedisServer, prefix: str) -> dict[bytes, bytes]:
    """Return all that is there under *prefix*, but for reservations, which nothing follows from."""
    keys = [key for key in server.ask("KEYS", f"{prefix}*") if not key.startswith(f"{prefix}key:".encode())]
    return {key: server.ask("DUMP", key) for key in keys}


KEYS = 12


@pytest.mark.parametrize("number", range(KEYS))
async def test_a_key_of_another_type(
    store: RedisMetadataStore, names: RedisNames, redis_server: RedisServer, tmp_path: Path, number: int
) -> None:
    """When any key of a commit holds something else, that is said, and nothing has happened."""
    upload, user = new_upload(idempotency_key="again", expires_at=NOW), new_object()
    slot, event = new_slot(user), new_event(attachment=upload.key)
    of_tenant = names.tenant(TENANT)
    keys = [
        *(names.record(record.ref).decode() for record in (upload, user, slot)),
        names.events_of(TENANT, upload.key).decode(),
        names.event(event).decode(),
        *(of_tenant + name for name in ("again", "due", "events", "uploads")),
        names.all_objects(TENANT, user.kind),
        names.all_slots(user.ref),
        names.reservation(upload.key).decode(),
    ]
    wrong = keys[number]
    redis_server.ask("LPUSH", wrong, "something else")
    before = _dump(redis_server, prefix_of(tmp_path))
    with pytest.raises(Corrupted):
        await store.commit(begins(user, slot, upload), events=[event])

    assert len(keys) == KEYS
    tenants = names.tenants.encode()
    assert before == {key: value for key, value in _dump(redis_server, prefix_of(tmp_path)).items() if key != tenants}


@pytest.mark.parametrize("document", ["", "[]", "{}", "kelp", '{"tenant": 1}'])
async def test_a_record_that_is_none(
    store: RedisMetadataStore, names: RedisNames, redis_server: RedisServer, document: str
) -> None:
    """What cannot be read as a record is told from a record that is not there."""
    record = new_upload()
    await store_upload(store, record)
    redis_server.ask("HSET", names.record(record.ref).decode(), "document", document)

    with pytest.raises(Corrupted):
        await store.get(record.ref)


async def test_services_share_a_server(store: RedisMetadataStore, redis_server: RedisServer) -> None:
    """Services with different prefixes see nothing of each other, and may use the same upload keys."""
    record = new_upload(idempotency_key="again", expires_at=NOW)
    await store_upload(store, record, [new_event()])
    other = RedisMetadataStore(RedisClient(redis_server.url), RedisNames("another:"))
    seen: Sequence[UploadRecord] = await other.due(NOW, 10)
    await store_upload(other, record)
    again = await other.due(NOW, 10)
    await other.close()

    assert ([], [record]) == (list(seen), list(again))


async def test_strange_tenants(store: RedisMetadataStore) -> None:
    """Whatever a tenant is called, its uploads, objects and events are its own."""
    records = {tenant: new_upload(tenant=tenant, expires_at=NOW) for tenant in STRANGE}
    users = {tenant: new_object(tenant=tenant, id="{}") for tenant in STRANGE}
    events = {tenant: new_event(tenant=tenant) for tenant in STRANGE}
    for tenant in STRANGE:
        await store.commit(begins(records[tenant], users[tenant]), events=[events[tenant]])
    for tenant in STRANGE:
        assert records[tenant] == await store.get(records[tenant].ref)
        assert [users[tenant]] == list(await store.list_objects(tenant, "user", "", 10))
        assert [events[tenant]] == await stored_events(store, tenant)

    assert set(records.values()) == set(await store.due(NOW, 100))


async def test_many_tenants(store: RedisMetadataStore) -> None:
    """However many tenants there are, the longest due come first, and a sweep finds every one."""
    records = [new_upload(tenant=Tenant(str(number)), expires_at=NOW - number) for number in range(TOGETHER + 10)]
    await asyncio.gather(*(store_upload(store, record) for record in records))
    page = await store.due(NOW, 20)
    found = {record.key async for record in store.uploads()}

    assert list(reversed(records))[:20] == list(page)
    assert {record.key for record in records} == found


async def test_event_ids_are_forgotten(store: RedisMetadataStore, names: RedisNames, redis_server: RedisServer) -> None:
    """What is kept only to know a repetition is not kept for ever."""
    event = new_event()
    await store.commit([], events=[event])
    left = redis_server.ask("TTL", names.event(event).decode())

    assert 3000 < left <= 3600


async def test_a_newer_version_shares_the_server(store: RedisMetadataStore, redis_server: RedisServer, names: RedisNames) -> None:
    """Members and states that only a newer version knows stay as they are when this one reads and changes records."""
    user = new_object()
    slot, event = new_slot(user), new_event()
    upload, scanned = new_upload(expires_at=NOW), new_upload(expires_at=NOW)
    records: list[Record] = [upload, user, slot, scanned]
    await store.commit(begins(*records), events=[event])
    other = RedisClient(redis_server.url)
    other.join()
    for record in records:
        values = {**record.to_mapping(), "frond": [3], **({"state": "scanned"} if record is scanned else {})}
        await other.call("HSET", names.record(record.ref), "document", json.dumps(values))
    await other.call("XADD", names.events(TENANT), "*", "event", json.dumps({**new_event().to_mapping(), "frond": [3]}))
    found: list[Record] = [await store.get(upload.ref), await store.get_object(user.ref), await store.get_slot(slot.ref)]
    found.append(await store.get(scanned.ref))
    await store.commit([Change(old=each, new=dataclasses.replace(each, revision=1)) for each in found])
    stored = [json.loads(await other.call("HGET", names.record(each.ref), "document")) for each in records]
    listed = {record.key: record.state for record in await store.due(NOW, 10)}
    await other.leave()

    assert [(1, [3])] * 4 == [(each["revision"], each["frond"]) for each in stored]
    assert "scanned" == stored[-1]["state"]
    assert {upload.key: State.OPEN, scanned.key: State.UNKNOWN} == listed
    assert 2 == len(await stored_events(store))
