"""
The port for leases: which request may change an upload.  The docstrings are the contract.

A backend is complete when it passes the conformance suite in ``tests/storage/ports/``.  The methods of one object may be called
concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.storage.errors import StorageError
from holdfast.storage.records import Ref, UploadRecord

SECONDS = 1.0
# A disk that needs longer than this for a write counts as failed.
PATIENCE = 20 * SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to change one upload, until a new holder takes it."""

    ref: Ref
    epoch: int
    """Greater than that of every earlier lease of this upload."""
    forced: bool
    """Whether an earlier holder never let go and may still write: a new generation must fence it off first."""
    leases: Leases = field(compare=False, repr=False)
    """The `Leases` that granted it."""

    async def let_go(self) -> None:
        """Let go after a commit that is stored, ignoring errors: the lease ends at the latest with its process."""
        with suppress(StorageError):
            await self.leases.release(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStatus:
    """An upload as seen without disturbing its holder: its newest record, and whether a live holder has its lease."""

    record: UploadRecord
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A lease, and the record as the previous holder left it."""

    lease: Lease
    record: UploadRecord


class Leases(Protocol):
    """
    Gives an upload to the newest request at once, in whichever process the previous holder runs.

    Leases only make requests take turns; revisions (`MetadataStore.commit`) and generations (the byte store) protect the data.
    """

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        """
        Take the lease of an upload from its holder.

        The store calls the holder's *evicted* once, in the holder's event loop; it must neither block nor raise.  After *wait*
        seconds an unresponsive holder is fenced off, and the new lease is *forced*; a holder whose process is dead is replaced
        at once.  If *evicted* returns True, the holder does work that cannot be interrupted and will let go by itself: the
        store waits while its process answers, up to `PATIENCE` seconds.

        :raises LeaseLost: a newer caller asked for the same lease meanwhile, or the holder is still at work.
        :raises NoSpace, Unavailable: no lease was taken.
        """
        ...

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        """
        Let go, and notify the new holder if one waits.  A lease that was lost meanwhile is no error.

        If *lease* was forced and *fenced* is False (no new generation was stored), the next lease is forced too.
        """
        ...

    async def held(self, ref: Ref) -> bool:
        """Return whether a live holder has the lease of an upload, or an unresponsive one is not fenced off yet."""
        ...

    async def ping(self) -> None:
        """
        Return if leases can be taken now.

        :raises StorageError: they cannot.
        """
        ...

    async def close(self) -> None:
        """Close sockets and files."""
        ...


class LeasedUploads(Protocol):
    """
    Uploads and their leases together, for stores that can read or write both in one step.

    `holdfast.storage.leases.separate.SeparateLeasedUploads` combines any two independent stores.
    """

    async def status(self, ref: Ref) -> LeaseStatus:
        """
        Return the newest record of an upload, and whether a live holder has its lease.

        :raises NotFound: this tenant has no upload of that key.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        """
        Take the lease of an upload, as `Leases.acquire` does, and return the record as the previous holder left it.

        *permit* is called with the newest record before the holder is notified.  It must not block.  An error that it raises is
        raised again, and the holder keeps its lease.

        :raises NotFound: this tenant has no upload of that key.
        :raises LeaseLost, NoSpace, Unavailable: see `Leases.acquire`; no lease was taken.
        """
        ...
