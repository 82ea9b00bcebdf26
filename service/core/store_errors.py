"""
What stores say of their trouble, in the words of uploads.

That a store does not answer is told in the log by whoever watches over all of them, once; what is lost is told here, each time.
"""

from __future__ import annotations

import logging

from holdfast.service.core.errors import ContentLost, CursorUnknown, Evicted, OutOfSpace, StoreFailed, UploadError, UploadNotFound
from holdfast.storage import errors as storage_errors
from holdfast.storage.records import UploadRecord

logger = logging.getLogger("holdfast")

# What a store says of its inside is for the log; clients get these sentences.  A newcomer changed the record, or waits for its
# lease: both mean that this request has lost its place.
STORAGE_ERRORS: dict[type[storage_errors.StorageError], tuple[type[UploadError], str]] = {
    storage_errors.NotFound: (UploadNotFound, "there is no such upload"),
    storage_errors.PreconditionFailed: (Evicted, "a newer request has the upload now"),
    storage_errors.LeaseLost: (Evicted, "a newer request has the upload now"),
    storage_errors.NoSpace: (OutOfSpace, "there is no room left"),
    storage_errors.QuotaExceeded: (OutOfSpace, "a quota is used up"),
    storage_errors.Unavailable: (StoreFailed, "a store does not answer"),
    storage_errors.UnknownPosition: (CursorUnknown, "after has to be what a page before told as next"),
    storage_errors.Corrupted: (StoreFailed, "a store has lost something"),
}


OUTAGES = (storage_errors.Unavailable, storage_errors.NoSpace, StoreFailed, OutOfSpace)


class translated:  # noqa: N801 - it is a context manager, and often used: a generator for each would cost more
    """
    Raise storage errors in the words of uploads, but for those that the caller knows what to do about.
    """

    __slots__ = ("_known",)

    def __init__(self, *known: type[storage_errors.StorageError]) -> None:
        self._known = known

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, storage_errors.StorageError) or isinstance(error, self._known):
            return
        # Stores have errors of their own below those that all have.
        kind, message = next(STORAGE_ERRORS[each] for each in type(error).__mro__ if each in STORAGE_ERRORS)
        if isinstance(error, storage_errors.Corrupted):
            logger.error("%s: %s", message, error)
        raise kind(message) from error


def lost(record: UploadRecord, error: storage_errors.StorageError) -> ContentLost:
    """
    Return the error that the content of a complete upload is not there, and tell the log.
    """
    logger.error("the content of %s, which was complete, is lost: %s", record.key, error)
    return ContentLost("the server has lost the content of this attachment", record)


def log_level(error: Exception) -> int:
    """
    Return the level at which the log is told of *error*: an outage is told once for all, by whoever watches over stores.
    """
    return logging.DEBUG if isinstance(error, OUTAGES) else logging.WARNING
