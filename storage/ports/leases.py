"""
The port for leases: who may change an upload.  The docstrings are the contract.

A conformance suite in ``tests/storage/ports/`` runs over every backend; a backend of your own is done when it passes.  The
methods of one object may be called concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.storage.errors import StorageError
from holdfast.storage.records import Ref, UploadRecord

SECONDS = 1.0


# A disk that takes longer than this for what was begun is as good as gone.
PATIENCE = 20 * SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to change one upload, until a newcomer takes it."""

    ref: Ref
    epoch: int
    """Grows with every lease of this upload."""
    forced: bool
    """Whether an earlier holder never let go, and so may wake up and act later: the facts have to be fenced against it."""
    leases: Leases = field(compare=False, repr=False)
    """What it was taken from."""

    async def let_go(self) -> None:
        """
        Let go after a commit that is stored: that does not fail any more, and a lease is lost at the latest with its process.
        """
        with suppress(StorageError):
            await self.leases.release(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStatus:
    """What is seen of an upload without disturbing anybody: its newest record, and whether somebody alive has its lease."""

    record: UploadRecord
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A lease that was taken, and the record as the holder before left it."""

    lease: Lease
    record: UploadRecord


class Leases(Protocol):
    """
    Lets the newest request have an upload at once, wherever the one before it runs.

    Leases are for politeness: truth is `MetadataStore.commit` and the fence of the byte store.
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


class LeasedUploads(Protocol):
    """
    Uploads and their leases together: what a store that keeps both in one place does in one step.

    `holdfast.storage.leases.separate.SeparateLeasedUploads` does it over any two that know nothing of each other.
    """

    async def status(self, ref: Ref) -> LeaseStatus:
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
