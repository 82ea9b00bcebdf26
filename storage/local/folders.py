"""
The folders of files, and whether their names are durable.

A name is durable once its folder was synced.  A process that made a folder may have been killed before it synced its name, so
each process syncs the name of each folder once, also of one that exists already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from holdfast.storage import files
from holdfast.storage.errors import StorageError


class Folders:
    """What this process knows of folders.  Its methods block."""

    def __init__(self) -> None:
        self._durable: set[str] = set()
        self._doubtful: set[str] = set()
        """Folders whose sync failed: the kernel then drops what it did not write, so the next sync proves nothing."""

    def make(self, path: str) -> None:
        """Make a folder, if it does not exist."""
        self._durable.discard(path)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def above(self, path: str) -> Sequence[str]:
        """Return the folders to sync for a name in the folder *path* to be durable."""
        return (path,) if path in self._durable else (path, os.path.dirname(path))

    def sync(self, paths: Sequence[str]) -> None:
        """Return once the names in the folders *paths* are durable."""
        for path in paths:
            if path in self._doubtful:
                # A change makes the kernel write the folder, with the names beside it.
                with files.os_errors(), tempfile.NamedTemporaryFile(dir=path, prefix="."):
                    pass
            try:
                files.sync_folders([path])
            except StorageError:
                self._doubtful.add(path)
                raise
            self._doubtful.discard(path)
        self._durable.update(path for path in paths if os.path.dirname(path) in paths)


def make_root(path: str, *, syncs: bool) -> None:
    """Make the folder *path* and those above it; *syncs* says whether their names must be durable."""
    path = os.path.abspath(path)
    missing = path
    while not os.path.exists(missing):
        missing = os.path.dirname(missing)
    os.makedirs(path, mode=0o700, exist_ok=True)
    if not syncs:
        return
    while True:
        path, name = os.path.split(path)
        with suppress(PermissionError):  # another user's folder existed before
            files.sync_folders([path])
        if not name or len(path) <= len(missing):
            return
