"""
What stores say of their trouble, in the words of uploads.
"""

from __future__ import annotations

import logging

from service.core.errors import CursorUnknown, Evicted, OutOfSpace, StoreFailed, UploadError, UploadNotFound
from storage import errors as storage_errors

logger = logging.getLogger("holdfast")

# What a store says of its inside is for the log; clients get these sentences.  A newcomer changed the record, or waits for its
# lease: both mean that this request has lost its place.
STORAGE_ERRORS: dict[type[storage_errors.StorageError], tuple[type[UploadError], str]] = {
    storage_errors.NotFound: (UploadNotFound, "there is no such upload"),
    storage_errors.PreconditionFailed: (Evicted, "a newer request has the upload now"),
    storage_errors.LeaseLost: (Evicted, "a newer request has the upload now"),
    storage_errors.NoSpace: (OutOfSpace, "there is no room left"),
    storage_errors.Unavailable: (StoreFailed, "a store does not answer"),
    storage_errors.UnknownPosition: (CursorUnknown, "after has to be what a page before told as next"),
    storage_errors.Corrupted: (StoreFailed, "a store has lost something"),
}


class translated:  # noqa: N801 - it is used as a context manager, and often: a generator would take four times as long
    """
    Raise storage errors in the words of uploads.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, storage_errors.StorageError):
            return
        kind, message = STORAGE_ERRORS[type(error)]
        if kind is StoreFailed:
            logger.error("store failed", exc_info=error)
        raise kind(message) from error
