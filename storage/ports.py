"""
The promises that Holdfast stands on.  Their docstrings are the contract.

Each port has one conformance suite in ``tests/storage/`` that runs over every backend; a backend of your own is done when it
passes.  The methods of one object may be called concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from storage.notes import Notes
from storage.objects import Event, LoggedEvent, ObjectRecord, SlotRecord
from storage.records import Key, ObjectRef, Parts, Ref, SlotRef, Tenant, UploadRecord
from storage.room import Room
from storage.salvage import Salvage

SECONDS = 1.0
# A disk that takes longer than this for what was begun is as good as gone.
PATIENCE = 20 * SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What an append made durable: *received* bytes since it began, and what the store must remember of them."""

    received: int
    parts: Parts


Checkpoint = Callable[[Receipt], Awaitable[None]]
"""Records how far an append is while it goes on; what it raises ends the append."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to change one upload, until a newcomer takes it."""

    ref: Ref
    epoch: int
    """Grows with every lease of this upload."""
    forced: bool
    """Whether an earlier holder never let go, and so may wake up and act later: the facts have to be fenced against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of an upload without disturbing anybody: its newest record, and whether somebody alive has its lease."""

    record: UploadRecord
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A lease that was taken, and the record as the holder before left it."""

    lease: Lease
    record: UploadRecord


Record = UploadRecord | ObjectRecord | SlotRecord


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


async def unrecorded(_receipt: Receipt) -> None:
    """Record nothing: the `Checkpoint` of whoever waits for the end."""


class ByteStore(Salvage, Room, Protocol):
    """
    Keeps the content of uploads.

    Every method that returns has made its effect as durable as the store was told to be.
    """

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        """
        Write *content* at *record.offset*, and return what is durable now.

        The recorded offset rules: what an earlier append left beyond it is overwritten and never read.  Each block of
        *content* is valid until the next is asked for.  An error of *content* itself is raised again, and promises nothing
        beyond the last checkpoint.

        While content goes on, *checkpoint* is told what became durable meanwhile, never twice at once, and never of less than
        before.  An empty block is the wish for one; whether, and when else, is for the store to say, which knows what it costs.

        The caller holds the lease.  Where that lease was forced, it has stored *record* with the next generation first.  In
        return nothing that a caller with an earlier generation still does, however long it slept, reaches this content.

        :raises NoSpace: the room is used up; its receipt says what did become durable.
        :raises Corrupted: the bytes before *record.offset* are missing.
        :raises Unavailable: nothing is promised about this append beyond the last checkpoint.
        """
        ...

    async def complete(self, record: UploadRecord) -> None:
        """
        Publish the first *record.offset* bytes as content that will not change any more.

        Doing it again is no error, nor is it one after a crash in the middle.

        :raises Corrupted: not all these bytes are there.
        :raises NoSpace: there is no room to publish it.
        :raises Unavailable: it may or may not have happened; do it again.
        """
        ...

    def exposed(self, record: UploadRecord) -> Parts:
        """
        Return the parts that an open upload has to have been recorded with before it is read, so that appends know of that.
        """
        ...

    def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        """
        Yield the bytes from *start* up to, not including, *stop*; each block is valid until the next is asked for.

        Works when it is complete, and while it is open (up to *record.offset*; see `exposed`).  A reader that has begun is not
        disturbed by `delete`.

        :raises NotFound: there is no content of that name.
        :raises Corrupted: the content ends before *stop*.
        """
        ...

    def file(self, record: UploadRecord) -> AbstractAsyncContextManager[int | None]:
        """
        Have a descriptor of a file whose first *record.offset* bytes are the content, to read from; None where there is no file.

        What holds of `read` holds of it.

        :raises NotFound: there is no content of that name.
        """
        ...

    async def delete(self, record: UploadRecord) -> None:
        """
        Remove the content, published or not.  Content that is not there is no error.

        :raises Unavailable: it may still be there.
        """
        ...

    async def ping(self) -> None:
        """
        Return when the store can take bytes now.

        :raises StorageError: it cannot.
        """
        ...

    async def close(self) -> None:
        """
        Let go of threads and connections.
        """
        ...


class MetadataStore(Notes, Protocol):
    """
    Keeps the records of uploads, objects and slots, and the events that tell of their changes.
    """

    async def create(self, record: UploadRecord, events: Sequence[Event] = ()) -> None:
        """
        Store a new upload, and the events of it.

        :raises AlreadyExists: the key was ever used before, or the tenant has a record with the same idempotency key (then the
            error carries that record).
        :raises NoSpace, Unavailable: see `storage.errors`.
        """
        ...

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

    async def replace(self, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
        """
        Store *new* if the stored record still has the revision of *old*; *new.revision* is one more.

        :raises PreconditionFailed: the record has another revision, or is gone.
        :raises NoSpace, Unavailable: see `storage.errors`.  After Unavailable, read before trying again.
        """
        ...

    async def commit(self, changes: Sequence[Change], events: Sequence[Event] = ()) -> None:
        """
        Store every change and every event, or nothing: a reader sees all of it or none.  They are all of one tenant.

        :raises PreconditionFailed: a record has another revision than the *old* of its change, or is gone.
        :raises AlreadyExists: what should begin is there already, or an event of that id.
        :raises NoSpace, Unavailable: see `storage.errors`.  After Unavailable, read before trying again.
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


class Leases(Protocol):
    """
    Lets the newest request have an upload at once, wherever the one before it runs.

    Leases are for politeness: truth is `MetadataStore.replace` and the fence of the byte store.
    """

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        """
        Take the lease of an upload from whoever has it.

        A holder is told at once, by push: its *evicted* is called, once, in its event loop.  It has *wait* seconds to let go;
        then it is passed over, and the new lease is *forced*.  A holder whose process is gone is passed over at once.  One whose
        *evicted* returns True is at work that cannot be interrupted, and will let go by itself: it is waited for as long as its
        process answers, up to `PATIENCE`.

        :raises LeaseLost: a newer caller asked for the same lease while this one was waiting, or the holder is still at work.
        :raises NoSpace, Unavailable: nothing was taken.
        """
        ...

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        """
        Let go, and tell the newcomer who waits.  A lease that was lost meanwhile is no error.

        *fenced* says whether the facts were fenced since a forced lease began; where they were not, the next lease is forced too.
        """
        ...

    async def held(self, ref: Ref) -> bool:
        """
        Say whether anybody alive, in any process, has the lease of an upload, or was passed over and is not fenced off yet.
        """
        ...

    async def ping(self) -> None:
        """
        Return when leases can be taken now.

        :raises StorageError: they cannot.
        """
        ...

    async def close(self) -> None:
        """
        Let go of sockets and files.
        """
        ...


class Desk(Protocol):
    """
    Uploads and their leases together: what a store that keeps both in one place does in one step.

    `storage.desk.SeparateDesk` does it over any two that know nothing of each other.
    """

    async def look(self, ref: Ref) -> Sight:
        """
        Return the newest record of an upload, and whether somebody has it now.

        :raises NotFound: this tenant has none of that key.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        """
        Take the lease of an upload, as `Leases.acquire` does, and return the record as the holder before left it.

        *permit* is given the newest record before anybody is told to let go; what it raises is raised again, and the lease is
        with whoever had it.

        :raises NotFound: this tenant has no upload of that key.
        :raises LeaseLost, NoSpace, Unavailable: as of `Leases.acquire`; nothing was taken.
        """
        ...

    async def settle(self, hold: Hold, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
        """
        Store *new* in the place of *old*, as `MetadataStore.replace` does, and let go of the lease.

        :raises PreconditionFailed, NoSpace, Unavailable: as of `MetadataStore.replace`; the lease is still held.
        """
        ...

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        """
        Let go, as `Leases.release` does.
        """
        ...
