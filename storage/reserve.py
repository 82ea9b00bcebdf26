"""
Space that is reserved for a full disk, since recording a deletion takes space, too.

The reserve is a file, so no other program can use that space.  All processes of a folder share it.  A process that needs space
truncates the file, and then writes.  The file grows again as soon as there is space, before uploads get any.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import KEPT, UploadRecord

KiB = 1024
# It takes at most this part of a small disk.
PART = 32
# Freed in steps of this size, since other programs may take what is not used.
PIECE = 256 * KiB
# Left free for writes under way.
LEFT = 64 * KiB


class Reserve:
    """A file at *path* of *size* bytes, or fewer on a small disk.  Its methods block, and ignore errors of the file."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size
        self.is_short = False
        """Whether the file is smaller than it should be."""

    def keep(self) -> None:
        """Make the file, or make it larger, as far as there is space."""
        with suppress(OSError):
            disk = os.statvfs(os.path.dirname(self._path))
            wanted = min(self._size, disk.f_blocks * disk.f_frsize // PART)
            held = self._held()
            size = min(wanted, held + disk.f_bavail * disk.f_frsize - LEFT)
            self.is_short = size < wanted
            if size <= held:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)

    def give_back(self) -> bool:
        """Free a step of the reserve; return whether there was anything to free."""
        self.is_short = True
        try:
            held = self._held()
            os.truncate(self._path, max(0, held - PIECE))
        except OSError:
            return False
        return held > 0

    def _held(self) -> int:
        try:
            return os.stat(self._path).st_blocks * 512  # stat(2): always units of 512 bytes
        except FileNotFoundError:
            return 0


def frees(changes: Sequence[Change]) -> bool:
    """Say whether *changes* free space: by ending uploads, or by the fence that must come before."""
    return bool(changes) and all(map(_frees, changes))


def _frees(change: Change) -> bool:
    old, new = change.old, change.new
    if not (isinstance(old, UploadRecord) and isinstance(new, UploadRecord)):
        return False
    return new.state not in KEPT or new.generation != old.generation
