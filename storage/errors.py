"""
The errors of stores.

StorageError
├── NotFound               no record, or no content, of that name
├── AlreadyExists          the name, or the idempotency key, is in use
├── PreconditionFailed     the record changed since it was read
├── QuotaExceeded          a counter would pass its bound
├── LeaseLost              a newer request took the lease
├── NoSpace                the disk or the quota is full
├── Unavailable            the store fails; trying again may help
├── Corrupted              durable bytes are missing: an operator must act
└── UnknownPosition        no page of events ended there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.storage.records import Receipt, UploadRecord


class StorageError(Exception):
    """A store failed, or refused the call."""


class NotFound(StorageError):
    """The record or content does not exist."""


class AlreadyExists(StorageError):
    """The name is in use; *existing* is the record with the same idempotency key, if that is the reason."""

    def __init__(self, message: str, existing: UploadRecord | None = None) -> None:
        super().__init__(message)
        self.existing = existing


class PreconditionFailed(StorageError):
    """Another commit changed the record since it was read."""


class QuotaExceeded(StorageError):
    """The counter of that name would pass its bound."""

    def __init__(self, counter: str) -> None:
        super().__init__(f"the counter {counter} would pass its bound")
        self.counter = counter


class LeaseLost(StorageError):
    """A newer request took the lease."""


class NoSpace(StorageError):
    """The disk or the quota is full; *receipt* says what had become durable before, if that is known."""

    def __init__(self, message: str, receipt: Receipt | None = None) -> None:
        super().__init__(message)
        self.receipt = receipt


class Unavailable(StorageError):
    """The store fails now; a later call may succeed."""


class Corrupted(StorageError):
    """Bytes or records that were acknowledged are missing."""


class UnknownPosition(StorageError):
    """No page of events ended at that position."""
