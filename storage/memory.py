"""All three ports in memory, for tests and for a service that forgets everything when it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from holdfast.storage.errors import AlreadyExists, Corrupted, LeaseLost, NotFound, PreconditionFailed, UnknownPosition
from holdfast.storage.objects import Event, LoggedEvent, ObjectRecord, SlotRecord
from holdfast.storage.ports.content import Checkpoint, unrecorded
from holdfast.storage.ports.inventory import Stored
from holdfast.storage.ports.leases import PATIENCE, Lease
from holdfast.storage.ports.metadata import Adjustment, Change, Record
from holdfast.storage.ports.notes import SECRET_BYTES
from holdfast.storage.ports.salvage import Remains
from holdfast.storage.positions import parse_position
from holdfast.storage.records import KEPT, Key, ObjectRef, Parts, Receipt, Ref, SlotRef, State, Tenant, UploadRecord
from holdfast.storage.threads import unbroken


class MemoryByteStore:
    """
    A `holdfast.storage.ports.ByteStore` of bytearrays, one for each generation of an upload, which is also its own
    `holdfast.storage.ports.Inventory`.
    """

    def __init__(self) -> None:
        self._open: dict[Key, dict[int, bytearray]] = {}
        self._published: dict[Key, bytes] = {}

    async def expect(self, record: UploadRecord) -> None:
        pass

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        mine = self._generation(record)
        del mine[record.offset :]
        reported = record.offset
        async for block in content:
            mine += block
            if not block and len(mine) > reported:
                reported = len(mine)
                await checkpoint(Receipt(received=len(mine) - record.offset, parts=record.parts))
        return Receipt(received=len(mine) - record.offset, parts=record.parts)

    async def complete(self, record: UploadRecord) -> None:
        if len(self._published.get(record.key, b"")) == record.offset and record.key in self._published:
            return
        self._published[record.key] = bytes(self._generation(record)[: record.offset])
        del self._open[record.key]

    def exposed(self, record: UploadRecord) -> Parts:
        return record.parts

    async def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        content = self._published.get(record.key)
        if content is None:
            if record.key not in self._open:
                raise NotFound(f"no content {record.key}")
            content = bytes(self._generation(record))
        if len(content) < stop:
            raise Corrupted(f"{record.key} ends at {len(content)}, not at {stop}")
        if start < stop:
            yield memoryview(content)[start:stop]

    def file(self, _record: UploadRecord) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def salvage(self, record: UploadRecord) -> Remains:
        known = self._open.get(record.key, {}).items()
        _, left = max(((number, len(content)) for number, content in known if number <= record.generation), default=(0, 0))
        return Remains(offset=min(left, record.offset), parts=record.parts)

    def lose(self, key: Key, left: int) -> None:
        """Forget all content after the first *left* bytes, as a failing disk does; all of it if *left* is 0."""
        for content in self._open.get(key, {}).values():
            del content[left:]
        if key in self._published:
            self._published[key] = self._published[key][:left]
        if not left:
            self._open.pop(key, None)
            self._published.pop(key, None)

    async def delete(self, record: UploadRecord) -> None:
        self._open.pop(record.key, None)
        self._published.pop(record.key, None)

    async def stored(self) -> AsyncIterator[Stored]:
        for key, generations in list(self._open.items()):
            for number, content in list(generations.items()):
                yield Stored(name=f"open/{key}.{number}", key=key, size=len(content), changed_at=0)
        for key, whole in list(self._published.items()):
            yield Stored(name=f"published/{key}", key=key, size=len(whole), changed_at=0)

    def needed(self, record: UploadRecord) -> frozenset[str]:
        names = frozenset({f"published/{record.key}"})
        if record.state is State.COMPLETE:
            return names
        if record.state not in KEPT:
            return frozenset()
        return names | {f"open/{record.key}.{number}" for number in range(record.generation + 1)}

    async def examine(self, record: UploadRecord) -> None:
        if record.offset and record.state in KEPT:
            async for _ in self.read(record, 0, record.offset):
                pass

    async def remove(self, stored: Stored) -> None:
        place, _, name = stored.name.partition("/")
        if place == "published":
            self._published.pop(stored.key, None)
        elif stored.key in self._open:
            self._open[stored.key].pop(int(name.partition(".")[2]), None)
            if not self._open[stored.key]:
                del self._open[stored.key]

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def _generation(self, record: UploadRecord) -> bytearray:
        """Return the bytes of the record's generation, copied from the newest earlier one if it has none yet."""
        generations = self._open.setdefault(record.key, {})
        if record.generation not in generations:
            before = max((number for number in generations if number < record.generation), default=None)
            known = b"" if before is None else generations[before]
            generations[record.generation] = bytearray(known[: record.offset])
        mine = generations[record.generation]
        if len(mine) < record.offset:
            raise Corrupted(f"{record.key} is shorter than {record.offset} bytes")
        return mine


class MemoryMetadataStore:
    """A `holdfast.storage.ports.MetadataStore` of dictionaries."""

    def __init__(self) -> None:
        self._records: dict[Key, UploadRecord] = {}
        self._objects: dict[ObjectRef | SlotRef, ObjectRecord | SlotRecord] = {}
        self._events: list[Event] = []
        self._event_ids: set[str] = set()
        self._counters: dict[tuple[Tenant, str], int] = {}
        self._secrets: dict[str, bytes] = {}
        self._notes: dict[str, str] = {}

    async def get(self, ref: Ref) -> UploadRecord:
        record = self._records.get(ref.key)
        if record is None or record.tenant != ref.tenant:
            raise NotFound(f"no upload {ref.key}")
        return record

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        return [await self.get(ref) for ref in refs]

    async def counter(self, tenant: Tenant, name: str) -> int:
        return self._counters.get((tenant, name), 0)

    async def commit(
        self,
        changes: Sequence[Change],
        *,
        adjustments: Sequence[Adjustment] = (),
        events: Sequence[Event] = (),
        release: Lease | None = None,
    ) -> None:
        for change in changes:
            if change.old is None:
                self._refuse_taken(change.new)
            elif self._stored(change.old) != (change.old.tenant, change.old.revision):
                raise PreconditionFailed(f"{change.old.ref} is no longer at revision {change.old.revision}")
        if not self._event_ids.isdisjoint(event.id for event in events):
            raise AlreadyExists("an event with this id exists")
        counters: dict[tuple[Tenant, str], int] = {}
        for each in adjustments:
            counter = (each.tenant, each.name)
            counters[counter] = each.apply(counters.get(counter, self._counters.get(counter, 0)))
        self._counters |= counters
        for change in changes:
            if isinstance(change.new, UploadRecord):
                self._records[change.new.key] = change.new
            else:
                self._objects[change.new.ref] = change.new
        self._events += events
        self._event_ids.update(event.id for event in events)
        if release is not None:
            await release.let_go()

    def _stored(self, record: Record) -> tuple[Tenant, int] | None:
        upload = isinstance(record, UploadRecord)
        stored = self._records.get(record.key) if upload else self._objects.get(record.ref)  # type: ignore[union-attr,arg-type]
        return None if stored is None else (stored.tenant, stored.revision)

    def _refuse_taken(self, record: Record) -> None:
        if isinstance(record, UploadRecord) and record.idempotency_key is not None:
            for other in self._records.values():
                if (other.tenant, other.idempotency_key) == (record.tenant, record.idempotency_key):
                    raise AlreadyExists(f"the idempotency key of {record.key} is in use", other)
        if self._stored(record) is not None:
            raise AlreadyExists(f"{record.ref} already exists")

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        found = self._objects.get(ref)
        if not isinstance(found, ObjectRecord):
            raise NotFound(f"no object {ref.id}")
        return found

    async def list_objects(self, tenant: Tenant, kind: str, after: str, limit: int) -> Sequence[ObjectRecord]:
        records = (record for record in self._objects.values() if isinstance(record, ObjectRecord))
        found = [record for record in records if (record.tenant, record.kind) == (tenant, kind) and record.id > after]
        return sorted(found, key=lambda record: record.id)[:limit]

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        found = self._objects.get(ref)
        if not isinstance(found, SlotRecord):
            raise NotFound(f"{ref.slot} of {ref.id} was never used")
        return found

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        records = (record for record in self._objects.values() if isinstance(record, SlotRecord))
        return sorted((record for record in records if record.ref.object == ref), key=lambda record: record.slot)

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        begin = parse_position(after)
        if after and not (0 < begin <= len(self._events) and self._events[begin - 1].tenant == tenant):
            raise UnknownPosition("there is no event at this position")
        places = enumerate(self._events[begin:], start=begin + 1)
        mine = (LoggedEvent(position=str(place), event=event) for place, event in places if event.tenant == tenant)
        return [logged for logged in mine if attachment in (None, logged.event.attachment)][:limit]

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        due = [record for record in self._records.values() if record.expires_at is not None and record.expires_at <= now]
        return sorted((record for record in due if after is None or _when_due(record) > _when_due(after)), key=_when_due)[:limit]

    async def uploads(self) -> AsyncIterator[UploadRecord]:
        for key in list(self._records):
            yield self._records[key]

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, secrets.token_bytes(SECRET_BYTES))

    async def note(self, name: str) -> str | None:
        return self._notes.get(name)

    async def write_note(self, name: str, text: str) -> None:
        self._notes[name] = text

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _when_due(record: UploadRecord) -> tuple[float, Key]:
    return record.expires_at or 0.0, record.key


@dataclass(slots=True)
class _Holder:
    ref: Ref
    epoch: int
    evicted: Callable[[], object]
    waiting: bool = True
    busy: bool = False
    lost: bool = False
    forced: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def evict(self) -> bool:
        """Notify the holder, once; return whether it will let go by itself."""
        if not self.lost and not self.gone.is_set():
            self.lost = True
            self.busy = self.evicted() is True
        return self.busy or self.waiting


class MemoryLeases:
    """
    `holdfast.storage.ports.Leases` of one process.

    The holders of an upload form a chain: a new holder becomes its end at once, and waits only for the one before it.
    """

    def __init__(self) -> None:
        self._holders: dict[int, _Holder] = {}
        self._ends: dict[Ref, _Holder] = {}
        self._epoch = 0

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        before = self._ends.get(ref)
        self._epoch += 1
        mine = self._holders[self._epoch] = self._ends[ref] = _Holder(ref, self._epoch, evicted)
        if before is not None:
            try:
                await unbroken(self._await_release(before, mine, wait))
            except BaseException:
                self._let_go(ref, mine, fenced=False)
                raise
        mine.waiting = False
        if mine.lost:
            self._let_go(ref, mine, fenced=False)
            raise LeaseLost(f"a newer request took {ref.key}")
        return Lease(ref=ref, epoch=mine.epoch, forced=mine.forced, leases=self)

    async def _await_release(self, before: _Holder, mine: _Holder, wait: float) -> None:
        """Wait until *before* has let go; note whether it, or an earlier holder, may still be running."""
        busy = before.evict()
        try:
            async with asyncio.timeout(max(wait, PATIENCE) if busy else wait):
                await before.gone.wait()
            mine.forced = before.forced
        except TimeoutError as error:
            if busy and self._ends.get(before.ref) is mine:
                self._ends[before.ref] = before
                raise LeaseLost(f"the holder of {before.ref.key} is still at work: try again later") from error
            mine.forced = True

    def _let_go(self, ref: Ref, mine: _Holder, *, fenced: bool) -> None:
        mine.forced = mine.forced and not fenced
        mine.gone.set()
        self._holders.pop(mine.epoch, None)
        # An end that was never fenced stays, so that the next lease is forced too.
        if self._ends.get(ref) is mine and not mine.forced:
            del self._ends[ref]

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        mine = self._holders.get(lease.epoch)
        if mine is not None:
            self._let_go(lease.ref, mine, fenced=fenced)

    async def held(self, ref: Ref) -> bool:
        return ref in self._ends

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass
