"""
Translates the errors of stores into those of uploads.

`holdfast.service.health.stores` logs a failing store, once; losses are logged here, each time.
"""

from __future__ import annotations

import logging

from holdfast.service.core.errors import ContentLost, CursorUnknown, Evicted, OutOfSpace, StoreFailed, UploadError, UploadNotFound
from holdfast.storage import errors as storage_errors
from holdfast.storage.records import UploadRecord

logger = logging.getLogger("holdfast")

# Details of a store are for the log; clients get these sentences.  If a newer request changed the record, or waits for its
# lease, this request has lost the upload.
STORAGE_ERRORS: dict[type[storage_errors.StorageError], tuple[type[UploadError], str]] = {
    storage_errors.NotFound: (UploadNotFound, "there is no such upload"),
    storage_errors.PreconditionFailed: (Evicted, "a newer request has the upload now"),
    storage_errors.LeaseLost: (Evicted, "a newer request has the upload now"),
    storage_errors.NoSpace: (OutOfSpace, "there is no room left"),
    storage_errors.QuotaExceeded: (OutOfSpace, "a quota is used up"),
    storage_errors.Unavailable: (StoreFailed, "a store does not answer"),
    storage_errors.UnknownPosition: (CursorUnknown, "after must be the next of an earlier page"),
    storage_errors.Corrupted: (StoreFailed, "a store has lost something"),
}


OUTAGES = (storage_errors.Unavailable, storage_errors.NoSpace, StoreFailed, OutOfSpace)


class translated:  # noqa: N801 - a context manager; it is used so often that a generator would cost too much
    """Raise storage errors as upload errors, except for *known* ones, which the caller handles."""

    __slots__ = ("_known",)

    def __init__(self, *known: type[storage_errors.StorageError]) -> None:
        self._known = known

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, storage_errors.StorageError) or isinstance(error, self._known):
            return
        # Backends raise subclasses of the common errors.
        kind, message = next(STORAGE_ERRORS[each] for each in type(error).__mro__ if each in STORAGE_ERRORS)
        if isinstance(error, storage_errors.Corrupted):
            logger.error("%s: %s", message, error)
        raise kind(message) from error


def lost(record: UploadRecord, error: storage_errors.StorageError) -> ContentLost:
    """Return the error for missing content of a complete upload, and log it."""
    logger.error("the content of %s, which was complete, is lost: %s", record.key, error)
    return ContentLost("the server has lost the content of this attachment", record)


def log_level(error: Exception) -> int:
    """Return the level at which *error* is logged: an outage is logged once, by `holdfast.service.health.stores`."""
    return logging.DEBUG if isinstance(error, OUTAGES) else logging.WARNING
