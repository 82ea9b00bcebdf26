"""
The port for records.  The docstrings are the contract.

A backend is complete when it passes the conformance suite in ``tests/storage/ports/``.  The methods of one object may be called
concurrently, from one event loop.
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
"""The largest value of a counter: every store counts exactly up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Replaces *old* by *new*, its next revision, or creates *new* if *old* is None."""

    old: Record | None
    new: Record

    def __post_init__(self) -> None:
        old = self.old
        if old is not None and (type(old), old.ref, old.revision + 1) != (type(self.new), self.new.ref, self.new.revision):
            raise ValueError("new must be the next revision of the same record as old")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    Adds *by* to the counter *name* of a tenant.

    An increase is refused if the counter would pass *at_most* (None: `MOST`).  A decrease is never refused, and stops at 0.
    Counters begin at 0.
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
        """The largest value after an increase."""
        return MOST if self.at_most is None else min(self.at_most, MOST)

    def apply(self, value: int) -> int:
        """
        Return the value of a counter after this adjustment of *value*.

        :raises QuotaExceeded: it would pass the bound.
        """
        if self.by > 0 and value + self.by > self.bound:
            raise QuotaExceeded(self.name)
        return max(0, value + self.by)


class MetadataStore(Notes, Protocol):
    """Keeps the records of uploads, objects and slots, the events of their changes, and counters; only `commit` writes them."""

    async def get(self, ref: Ref) -> UploadRecord:
        """
        Return the newest stored record.

        :raises NotFound: this tenant has no upload of that key.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_many(self, refs: Sequence[Ref]) -> Sequence[UploadRecord]:
        """Return the newest record of each of *refs*, all of one tenant, in their order; the errors are those of `get`."""
        ...

    async def counter(self, tenant: Tenant, name: str) -> int:
        """
        Return the value of a counter; 0 if it was never adjusted.

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
        Store every change, adjustment and event, or none: readers see all of it or nothing.  All belong to one tenant.

        Once all is stored, the lease *release* is let go, as by `Leases.release`; in the same step if the store keeps leases
        too.  If the commit fails, the lease is still held.

        :raises PreconditionFailed: a record has another revision than the *old* of its change, or is gone.
        :raises AlreadyExists: a new record or event exists already (upload keys are unique over all tenants), or another upload
            of the tenant has the idempotency key: then the error carries its record.
        :raises QuotaExceeded: a counter would pass its bound; nothing else prevented the commit.
        :raises NoSpace, Unavailable: see `holdfast.storage.errors`.  After Unavailable it may be stored: read before a retry.
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
        Return up to *limit* objects of one kind, ordered by id, whose ids come after *after*.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_slot(self, ref: SlotRef) -> SlotRecord:
        """
        Return the newest stored record.

        :raises NotFound: the slot was never used.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def get_slots(self, ref: ObjectRef) -> Sequence[SlotRecord]:
        """
        Return every slot of an object that was ever used, ordered by name.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def events(self, tenant: Tenant, after: str, limit: int, attachment: Key | None = None) -> Sequence[LoggedEvent]:
        """
        Return up to *limit* events in the order of their commits, from the position *after* on ("": the first).

        With *attachment*, only events of that attachment.  No event ever appears before a position that was read.

        :raises UnknownPosition: this tenant has no event at *after*.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def due(self, now: float, limit: int, after: UploadRecord | None = None) -> Sequence[UploadRecord]:
        """
        Return up to *limit* records with *expires_at* at or before *now* (seconds since the epoch), ordered by *expires_at* and
        key.  *after* is the last record of the page before; it may have changed since.

        :raises Unavailable: the store does not answer.
        """
        ...

    def uploads(self) -> AsyncIterator[UploadRecord]:
        """
        Yield the record of every upload of every tenant, tombstones included, in any order.

        An upload that exists throughout is yielded at least once, with a record that it had meanwhile.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def ping(self) -> None:
        """
        Return if the store can take records now.

        :raises StorageError: it cannot.
        """
        ...

    async def close(self) -> None:
        """Close files and connections."""
        ...
