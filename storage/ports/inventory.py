"""
The port by which facts and bytes are compared: a byte store that has an inventory can be reconciled with the records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Key, UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A thing that a byte store keeps: a file, an object, a multipart upload that nobody completed."""

    name: str
    """As the store calls it."""
    key: Key
    """The upload that it is of."""
    size: int | None
    """Bytes; None where the store does not tell."""
    changed_at: float
    """Seconds since the epoch."""


class Inventory(Protocol):
    """
    Says what a byte store keeps, and what of it the records need: both ways of a reconciliation.
    """

    def stored(self) -> AsyncIterator[Stored]:
        """
        Yield all that there is, in any order.  What is not named as the store names things is nobody's, and left out.

        :raises Unavailable: the store does not answer.
        """
        ...

    def needed(self, record: UploadRecord) -> frozenset[str]:
        """
        Return the names of all things in which the content of *record* may be.
        """
        ...

    async def examine(self, record: UploadRecord) -> None:
        """
        Return when the content of *record* up to its offset is there, as far as names and sizes tell.

        :raises NotFound, Corrupted: it is not; the message says what is missing.
        :raises Unavailable: the store does not answer.
        """
        ...

    async def remove(self, stored: Stored) -> None:
        """
        Remove a thing.  One that is not there is no error.

        :raises Unavailable: it may still be there.
        """
        ...

    async def close(self) -> None:
        """
        Let go of threads and connections.
        """
        ...
