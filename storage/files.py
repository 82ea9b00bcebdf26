"""Calls of the file system, with errors raised as storage errors.  Everything here blocks."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from contextlib import ContextDecorator

from holdfast.storage.errors import Corrupted, NoSpace, StorageError, Unavailable
from holdfast.storage.records import NO_PARTS, Receipt

# EFBIG: the file-size limit (ulimit, RLIMIT_FSIZE) is reached.
ERRORS: dict[int, type[StorageError]] = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EFBIG: NoSpace,
}


SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h
# Python has no name for this call of Linux.
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class os_errors(ContextDecorator):  # noqa: N801 - used often: a generator for each would cost more
    """Raise the operating system's errors as storage errors."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise ERRORS.get(error.errno or 0, Unavailable)(str(error)) from error


def copy(source: int, target: int, length: int) -> None:
    """Copy the first *length* bytes of one file into another."""
    at = 0
    while at < length:
        copied = os.copy_file_range(source, target, length - at, at, at)
        if not copied:
            raise Corrupted(f"the content ends at {at}, not at {length}")
        at += copied


def write(descriptor: int, block: memoryview, offset: int) -> None:
    """
    Write all of *block* at *offset*.

    :raises NoSpace: the disk is full; its receipt says how many bytes were written.
    """
    written = 0
    while written < len(block):
        try:
            with os_errors():
                written += os.pwrite(descriptor, block[written:], offset + written)
        except NoSpace as error:
            # The bytes before it are valid, and may have cost the client mobile data: keep them.
            error.receipt = Receipt(received=written, parts=NO_PARTS)
            raise


def refuse_shorter(descriptor: int, length: int) -> None:
    """
    Refuse a file that something cut to less than *length* bytes: writing behind its end would leave zeros in between.

    :raises Corrupted: it is shorter.
    """
    with os_errors():
        size = os.fstat(descriptor).st_size
    if size < length:
        raise Corrupted(f"the content ends at {size}, not at {length}")


def read(descriptor: int, start: int, length: int) -> bytes:
    """Return up to *length* bytes from *start* on."""
    with os_errors():
        return os.pread(descriptor, length, start)


def truncate(descriptor: int, length: int) -> None:
    """Cut a file off after *length* bytes."""
    with os_errors():
        os.ftruncate(descriptor, length)


def begin_sync(descriptor: int, start: int, length: int) -> bool:
    """
    Ask the kernel to begin writing a range to the disk, and return whether it understood; nothing is promised.

    It waits only while the disk is busy (sync_file_range(2), SYNC_FILE_RANGE_WRITE).
    """
    return _sync_file_range is not None and not _sync_file_range(descriptor, start, length, SYNC_FILE_RANGE_WRITE)


def sync(descriptor: int) -> None:
    """Return once the content of a file is on the disk."""
    with os_errors():
        os.fdatasync(descriptor)


def sync_folders(paths: Sequence[str]) -> None:
    """Return once the names in the folders *paths* are on the disk."""
    with os_errors():
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def size(path: str) -> int | None:
    """Return the size of a file in bytes, or None if it does not exist."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None
