"""
Records in a Redis, for services on many machines: one server, Sentinels or a Cluster.

Each commit is one script in the hash slot of its tenant, and so is atomic, also in a Cluster.  It carries an operation id, which
is stored with what it changed: a commit that is sent again because its answer was lost finds that it has happened, and does
nothing.  If another commit changed the record in between, it raises PreconditionFailed, since the record is no longer the one
that was read.

Two things belong to no tenant.  Upload keys are unique over all tenants, so a key is reserved before its record exists; a crash
in between leaves the reservation, which does no harm: keys are random.  And the set of tenants is where the sweeper begins.

Tested with Redis 7.0.  The server must not evict keys (``maxmemory-policy noeviction``).  How durable a commit is follows its
configuration: ``appendonly yes`` with ``appendfsync always`` or ``everysec``.

A failover may take the last commits back, which lowers revisions and offsets; the byte store goes on from the recorded ones.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from holdfast.storage.errors import (
    AlreadyExists,
    Corrupted,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    StorageError,
    UnknownPosition,
)
from holdfast.storage.leases.claims import Claim, Claims
from holdfast.storage.objects import ASSOCIATION_SIZE, Event, LoggedEvent, ObjectRecord, SlotRecord
from holdfast.storage.ports.leases import Lease
from holdfast.storage.ports.metadata import Adjustment, Change
from holdfast.storage.ports.notes import SECRET_BYTES
from holdfast.storage.records import UNKNOWN, Key, ObjectRef, Ref, SlotRef, Tenant, UploadRecord
from holdfast.storage.redis.client import Call, RedisClient, Script
from holdfast.storage.redis.commits import RedisCommit, plan_commit
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.names import (
    RedisNames,
    behind_moment,
    encoded,
    moment,
    parse_place,
    parse_place_of_one,
    when_due,
)
from holdfast.storage.reserve import frees
from holdfast.storage.threads import aside, unbroken

T = TypeVar("T")

PAGE = 1000
# Records that one script reads; other commands run in between.
AT_ONCE = 100
# Tenants that one pipeline asks for.
TOGETHER = 256
# Where the key begins in a member of the due index.
BEHIND_MOMENT = len(moment(0))
ALL = -1

FREEING_COMMIT = Script("commit", frees=True)
COMMIT, RESERVE, UNRESERVE, IDEMPOTENCY = Script("commit"), Script("reserve"), Script("unreserve"), Script("idempotency")
LIST, EVENTS, EVENTS_OF_ONE, SECRET = Script("list"), Script("events"), Script("events_of_one"), Script("secret")
MANY = Script("many")


class RedisMetadataStore:
    """A `holdfast.storage.ports.MetadataStore` in a Redis, under names that begin with a prefix."""

    def __init__(self, redis_client: RedisClient, names: RedisNames) -> None:
        self._redis = redis_client
        self._names = names
        redis_client.join()

    async def get(self, ref: Ref) -> UploadRecord:
        return read_upload(ref, await self._redis.call("HGET", self._names.record(ref), "document"))

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        records: list[UploadRecord] = []
        for begin in range(0, len(refs), AT_ONCE):
            asked = refs[begin : begin + AT_ONCE]
            found = await self._redis.run(MANY, [self._names.record(ref) for ref in asked])
            records += map(read_upload, asked, found)
        return records

    async def counter(self, tenant: Tenant, name: str) -> int:
        return int(await self._redis.call("HGET", self._names.counters(tenant), encoded(name)) or 0)

    async def commit(
        self,
        changes: Sequence[Change],
        *,
        adjustments: Sequence[Adjustment] = (),
        events: Sequence[Event] = (),
        release: Lease | None = None,
    ) -> None:
        tenants = {each.tenant for each in (*(change.new for change in changes), *adjustments, *events)}
        if tenants:
            (tenant,) = tenants
            commit = RedisCommit(tenant=tenant, changes=changes, adjustments=adjustments, events=events)
            await unbroken(self._commit(commit, release))
        elif release is not None:
            await release.let_go()

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        found = await self._redis.call("HGET", self._names.record(ref), "document")
        if found is None:
            raise NotFound(f"no object {ref.id}")
        return _read(ObjectRecord.from_mapping, found)

    async def list_objects(self, tenant: Tenant, kind: str, after: str, limit: int) -> Sequence[ObjectRecord]:
        index, base = self._names.all_objects(tenant, kind), self._names.objects(tenant, kind)
        found = await self._redis.run(LIST, [index], [base, b"(" + encoded(after), "+", limit, 0])
        return [_read(ObjectRecord.from_mapping, document) for document in found]

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        found = await self._redis.call("HGET", self._names.record(ref), "document")
        if found is None:
            raise NotFound(f"{ref.slot} of {ref.id} was never used")
        return await aside(partial(_read, SlotRecord.from_mapping, found), size=len(found) // ASSOCIATION_SIZE)

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        found = await self._redis.run(LIST, [self._names.all_slots(ref)], [self._names.slots(ref), "-", "+", ALL, 0])
        return await aside(partial(_read_slots, found), size=sum(map(len, found)) // ASSOCIATION_SIZE)

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        log = self._names.events(tenant)
        if attachment is None:
            found = await self._redis.run(EVENTS, [log], [parse_place(after), limit, after])
        else:
            index = self._names.events_of(tenant, attachment)
            found = await self._redis.run(EVENTS_OF_ONE, [log, index], [parse_place_of_one(after), limit, after])
        if found is None:
            raise UnknownPosition("there is no event at this position")
        pairs = zip(found[::2], found[1::2], strict=True)
        return [
            LoggedEvent(position=position.decode(), event=_read(Event.from_mapping, document)) for position, document in pairs
        ]

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        place = None if after is None else when_due(after)
        first = b"-" if place is None else b"(" + place
        pages = []
        async for tenants in self._tenants():
            calls: list[Call] = [
                ([self._names.due(tenant)], [self._names.uploads(tenant), first, behind_moment(now), limit, BEHIND_MOMENT])
                for tenant in tenants
            ]
            pages += [_read_uploads(found) for found in await self._redis.run_many(LIST, calls)]
        merged = heapq.merge(*pages, key=lambda record: when_due(record) or b"")
        return [record for record, _ in zip(merged, range(limit), strict=False)]

    async def uploads(self) -> AsyncIterator[UploadRecord]:
        async for tenants in self._tenants():
            for tenant in tenants:
                index, base, first = self._names.all_uploads(tenant), self._names.uploads(tenant), b"-"
                while page := _read_uploads(await self._redis.run(LIST, [index], [base, first, "+", PAGE, 0])):
                    for record in page:
                        yield record
                    first = b"(" + page[-1].key.encode()

    async def secret(self, name: str) -> bytes:
        value: bytes = await self._redis.run(SECRET, [self._names.secret(name)], [secrets.token_bytes(SECRET_BYTES)])
        return value

    async def note(self, name: str) -> str | None:
        found: bytes | None = await self._redis.call("GET", self._names.note(name))
        return None if found is None else found.decode()

    async def write_note(self, name: str, text: str) -> None:
        await self._redis.call("SET", self._names.note(name), text)

    async def ping(self) -> None:
        # A write: a replica, or a server that is full, still answers reads.
        await self._redis.call("SET", self._names.ping, "pong")

    async def close(self) -> None:
        await self._redis.leave()

    async def _commit(self, commit: RedisCommit, release: Lease | None) -> None:
        operation = secrets.token_hex(8)
        changes = commit.changes
        begins = [change.new for change in changes if change.old is None and isinstance(change.new, UploadRecord)]
        if begins:
            await self._reserve(begins, operation)
        claims = self._claims(release)
        mine = None if release is None or claims is None else claims.find(release)
        try:
            await self._run(commit, operation, mine)
        except (AlreadyExists, PreconditionFailed, QuotaExceeded):
            await self._unreserve(begins, operation)
            raise
        if claims is not None and mine is not None:
            claims.remove(mine, fenced=True)
        elif release is not None:
            await release.let_go()

    def _claims(self, release: Lease | None) -> Claims | None:
        """Return the claims that *release* is one of, if they are kept in the same Redis."""
        leases = None if release is None else release.leases
        return leases.claims if isinstance(leases, RedisLeases) and leases.redis_client is self._redis else None

    async def _run(self, commit: RedisCommit, operation: str, releasing: Claim | None) -> None:
        plan = await aside(partial(plan_commit, self._names, commit, operation, releasing), size=len(commit.changes))
        match await self._redis.run(FREEING_COMMIT if frees(commit.changes) else COMMIT, plan.keys, plan.arguments):
            case [b"changed", number]:
                change = commit.changes[number - 1]
                raise PreconditionFailed(f"{change.new.ref} is no longer at revision {change.new.revision - 1}")
            case [b"taken", number]:
                raise AlreadyExists(f"{commit.changes[number - 1].new.ref} already exists")
            case [b"repeated", number]:
                raise AlreadyExists(f"the event {commit.events[number - 1].id} already exists")
            case [b"exceeded", number]:
                raise QuotaExceeded(commit.adjustments[number - 1].name)
            case [b"again", document]:
                raise AlreadyExists("the idempotency key is in use", _read(UploadRecord.from_mapping, document))

    async def _reserve(self, records: Sequence[UploadRecord], operation: str) -> None:
        """Reserve the keys of new uploads, and add their tenant to the set of tenants before its first upload exists."""
        keys = [self._redis.run(RESERVE, [self._names.reservation(record.key)], [operation]) for record in records]
        entered = self._redis.call("SADD", self._names.tenants, encoded(records[0].tenant))
        *ours, _ = await asyncio.gather(*keys, entered)
        if all(ours):
            return
        taken = records[ours.index(0)]
        await self._unreserve(records, operation)
        known = None
        if taken.idempotency_key is not None:
            index, key = self._names.idempotency(taken.tenant), encoded(taken.idempotency_key)
            known = await self._redis.run(IDEMPOTENCY, [index], [key])
        existing = None if known is None else _read(UploadRecord.from_mapping, known)
        raise AlreadyExists(f"the key {taken.key} is in use", existing)

    async def _unreserve(self, records: Sequence[UploadRecord], operation: str) -> None:
        for record in records:
            with suppress(StorageError):  # the caller's error matters more than a few bytes
                await self._redis.run(UNRESERVE, [self._names.reservation(record.key)], [operation])

    async def _tenants(self) -> AsyncIterator[Sequence[Tenant]]:
        """Yield every tenant that has an upload, in pages."""
        names = await self._redis.call("SMEMBERS", self._names.tenants)
        found = sorted(Tenant(name.decode("utf-8", "surrogatepass")) for name in names)
        for begin in range(0, len(found), TOGETHER):
            yield found[begin : begin + TOGETHER]


def read_upload(ref: Ref, document: bytes | None, failover_epoch: str = UNKNOWN) -> UploadRecord:
    """
    Return the record of *document*, as read in *failover_epoch*.

    :raises NotFound: there is no document.
    :raises Corrupted: it is not a record.
    """
    if document is None:
        raise NotFound(f"no upload {ref.key}")
    return _read(partial(UploadRecord.from_mapping, failover_epoch=failover_epoch), document)


def _read_uploads(documents: Sequence[bytes]) -> list[UploadRecord]:
    return [_read(UploadRecord.from_mapping, document) for document in documents]


def _read_slots(documents: Sequence[bytes]) -> list[SlotRecord]:
    return [_read(SlotRecord.from_mapping, document) for document in documents]


def _read(make: Callable[[Mapping[str, Any]], T], document: bytes) -> T:
    try:
        return make(json.loads(document))
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupted(f"a record in Redis is damaged: {error}") from error
