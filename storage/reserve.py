"""
Room that is kept for the time when a disk is full: to write down that something was deleted takes room, too.

It is a file of its own, and so nobody else can use that room up.  All processes of a folder share it.  Who needs some of it
truncates it by as much, and does then what needs the room.  It is made again as soon as there is room, as large as it can be,
before uploads get any.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import KEPT, UploadRecord

KiB = 1024
# Of a small disk it takes no more than this part.
PART = 32
# Given back in such pieces: others take what is not used.
PIECE = 256 * KiB
# What is being done goes on in this much.
LEFT = 64 * KiB


class Reserve:
    """
    A file at *path* of *size* bytes, or fewer on a small disk.  Its methods block, and trouble with the file is no trouble.
    """

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size
        self.is_short = False
        """Whether this process gave it back, and has not made it again."""

    def keep(self) -> None:
        """
        Make the reserve, or what there is room for, if it is not there.
        """
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
        """
        Give a piece of it back to the disk, and say whether there was one.
        """
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
    """
    Say whether room becomes free by *changes*: by the end of an upload, or by the fence that has to be there before.
    """
    return bool(changes) and all(map(_frees, changes))


def _frees(change: Change) -> bool:
    old, new = change.old, change.new
    if not (isinstance(old, UploadRecord) and isinstance(new, UploadRecord)):
        return False
    return new.state not in KEPT or new.generation != old.generation
