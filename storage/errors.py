"""
What can go wrong in a store, in storage words.

StorageError
├── NotFound               no record, or no content, of that name
├── AlreadyExists          the name, or the idempotency key, is taken
├── PreconditionFailed     the record is no longer the one that was read
├── QuotaExceeded          a counter would pass its bound
├── LeaseLost              a newcomer took the lease
├── NoSpace                the disk or the quota is full
├── Unavailable            the store does not answer; trying again may help
├── Corrupted              bytes that were durable are missing: an operator must look
└── UnknownPosition        no page of events ended there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.storage.records import Receipt, UploadRecord


class StorageError(Exception):
    """A store could not do what it was asked."""


class NotFound(StorageError):
    """There is no such record or content."""


class AlreadyExists(StorageError):
    """The name is taken; *existing* is the record that holds the same idempotency key, if that is why."""

    def __init__(self, message: str, existing: UploadRecord | None = None) -> None:
        super().__init__(message)
        self.existing = existing


class PreconditionFailed(StorageError):
    """Somebody else changed the record since it was read."""


class QuotaExceeded(StorageError):
    """The counter of that name would pass its bound."""

    def __init__(self, counter: str) -> None:
        super().__init__(f"the counter {counter} would pass its bound")
        self.counter = counter


class LeaseLost(StorageError):
    """A newer request took the lease."""


class NoSpace(StorageError):
    """No room is left; *receipt* says what had become durable before, when that is known."""

    def __init__(self, message: str, receipt: Receipt | None = None) -> None:
        super().__init__(message)
        self.receipt = receipt


class Unavailable(StorageError):
    """The store does not answer, or not now."""


class Corrupted(StorageError):
    """Bytes or facts that were promised are not there."""


class UnknownPosition(StorageError):
    """No page of events ever ended at that position."""
