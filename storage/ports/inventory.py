"""The port for reconciliation: a byte store with an inventory can be compared with the records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Key, UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A thing that a byte store keeps: a file, an object, or a multipart upload that was not completed."""

    name: str
    """Its name in the store."""
    key: Key
    """The upload that it belongs to."""
    size: int | None
    """Bytes; None if the store does not say."""
    changed_at: float
    """Seconds since the epoch."""


class Inventory(Protocol):
    """Lists what a byte store keeps, and what of it the records need."""

    def stored(self) -> AsyncIterator[Stored]:
        """
        Yield everything in the store, in any order.  Things that do not have a name of this store are left out.

        :raises Unavailable: the store does not answer.
        """
        ...

    def needed(self, record: UploadRecord) -> frozenset[str]:
        """Return the names of all things that may have the content of *record*."""
        ...

    async def examine(self, record: UploadRecord) -> None:
        """
        Return if the content of *record* exists up to its offset, as far as names and sizes show.

        :raises NotFound, Corrupted: it does not; the message says what is missing.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def remove(self, stored: Stored) -> None:
        """
        Remove a thing.  A missing one is no error.

        :raises Unavailable: it may still exist.
        """
        ...

    async def close(self) -> None:
        """End the threads and close the connections."""
        ...
