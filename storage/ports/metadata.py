"""
The port for records: what a metadata store promises.  The docstrings are the contract.

A conformance suite in ``tests/storage/ports/`` runs over every backend; a backend of your own is done when it passes.  The
methods of one object may be called concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.errors import QuotaExceeded
from holdfast.storage.objects import Event, LoggedEvent, ObjectRecord, SlotRecord
from holdfast.storage.ports.leases import Lease
from holdfast.storage.ports.notes import Notes
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef, Tenant, UploadRecord

Record = UploadRecord | ObjectRecord | SlotRecord

MOST = 2**53 - 1
"""What a counter can be at most: up to here every store counts exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One record becomes another, or a new one begins.

    *new* has the next revision of *old*; of what is new, *old* is None.
    """

    old: Record | None
    new: Record

    def __post_init__(self) -> None:
        old = self.old
        if old is not None and (type(old), old.ref, old.revision + 1) != (type(self.new), self.new.ref, self.new.revision):
            raise ValueError("a replacement is the next revision of the same record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    Adds *by* to the counter *name* of a tenant.

    One that grows the counter is refused where it would pass *at_most* (None: `MOST`).  One that lowers it never is, and stops
    at 0.  A counter begins at 0.
    """

    tenant: Tenant
    name: str
    by: int
    at_most: int | None = None

    def __post_init__(self) -> None:
        if not (-MOST <= self.by <= MOST and self.bound >= 0):
            raise ValueError("counters and their bounds are numbers from 0 to 2**53 - 1")

    @property
    def bound(self) -> int:
        """What the counter can be at most afterwards, if this grows it."""
        return MOST if self.at_most is None else min(self.at_most, MOST)

    def apply(self, value: int) -> int:
        """
        Return what a counter is afterwards that is *value* now.

        :raises QuotaExceeded: it would pass the bound.
        """
        if self.by > 0 and value + self.by > self.bound:
            raise QuotaExceeded(self.name)
        return max(0, value + self.by)


class MetadataStore(Notes, Protocol):
    """
    Keeps the records of uploads, objects and slots, the events that tell of their changes, and counters.

    `commit` is its only write of them.
    """

    async def get(self, ref: Ref) -> UploadRecord:
        """
        Return the newest stored record.

        :raises NotFound: this tenant has none of that key.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        """
        Return the newest stored record of each of *refs*, which are of one tenant, in their order; raise what `get` raises.
        """
        ...

    async def counter(self, tenant: Tenant, name: str) -> int:
        """
        Return what a counter is; 0 if nothing was ever added to it.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def commit(
        self,
        changes: Sequence[Change],
        *,
        adjustments: Sequence[Adjustment] = (),
        events: Sequence[Event] = (),
        release: Lease | None = None,
    ) -> None:
        """
        Store every change, adjustment and event, or nothing: a reader sees all of it or none.  They are all of one tenant.

        Once all is stored, *release* is let go of, as by `Leases.release`: in the same step where the store keeps leases as
        well.  When this fails, the lease is still held.

        :raises PreconditionFailed: a record has another revision than the *old* of its change, or is gone.
        :raises AlreadyExists: what should begin is there already (the key of an upload is used once, by whatever tenant), or an
            event of that id; or the tenant has an upload with the same idempotency key: then the error carries its record.
        :raises QuotaExceeded: a counter would pass its bound; everything else would have been stored.
        :raises NoSpace, Unavailable: see `holdfast.storage.errors`.  After Unavailable, read before trying again.
        """
        ...

    async def get_object(self, ref: ObjectRef) -> ObjectRecord:
        """
        Return the newest stored record.

        :raises NotFound: this tenant has no such object.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def list_objects(self, tenant: Tenant, kind: str, after: str, limit: int) -> Sequence[ObjectRecord]:
        """
        Return up to *limit* objects of one kind, ordered by id, beginning behind the id *after*.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        """
        Return the newest stored record.

        :raises NotFound: nothing was ever in that slot.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        """
        Return every slot of an object in which anything ever was, ordered by name.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        """
        Return up to *limit* events in the order of their commits, beginning behind the position *after* ("": the first).

        Given *attachment*, only those that name it.  No event appears later before a position that was read.

        :raises UnknownPosition: this tenant has no event at *after*.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        """
        Return up to *limit* records with *expires_at* at or before *now*, the longest due first, by key where that is equal.

        *after* is the last record of the page before: those up to it are left out, whatever became of it meanwhile.

        :raises Unavailable: the store does not answer.
        """
        ...

    def uploads(self) -> AsyncIterator[UploadRecord]:
        """
        Yield the record of every upload, tombstones as well, of every tenant, in any order.

        One that is there from the beginning to the end is yielded once at least; its record is one that it had meanwhile.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def ping(self) -> None:
        """
        Return when the store can take facts now.

        :raises StorageError: it cannot.
        """
        ...

    async def close(self) -> None:
        """
        Let go of files and connections.
        """
        ...
