"""
The folders of files, and whether their names are on the disk.

A name is there for good when the folder that it is in was synced.  Whoever made a folder may have been killed before it did that,
so a process believes nobody: it syncs the name of each folder once, also of one that was there already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from holdfast.storage import files
from holdfast.storage.errors import StorageError


class Folders:
    """
    What this process knows of folders.  Its methods block.
    """

    def __init__(self) -> None:
        self._there_for_good: set[str] = set()
        self._doubtful: set[str] = set()
        """Those of which a sync failed: the system has forgotten what it did not write, so that the next one proves nothing."""

    def make(self, path: str) -> None:
        """
        Make a folder, if it is not there.
        """
        self._there_for_good.discard(path)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def above(self, path: str) -> Sequence[str]:
        """
        Return the folders that have to be synced for a name in the folder *path* to be there for good.
        """
        return (path,) if path in self._there_for_good else (path, os.path.dirname(path))

    def sync(self, paths: Sequence[str]) -> None:
        """
        Return when the names in the folders *paths* are on the disk.
        """
        for path in paths:
            if path in self._doubtful:
                # What changes is written, and with it what is beside it.
                with files.os_errors(), tempfile.NamedTemporaryFile(dir=path, prefix="."):
                    pass
            try:
                files.sync_folders([path])
            except StorageError:
                self._doubtful.add(path)
                raise
            self._doubtful.discard(path)
        self._there_for_good.update(path for path in paths if os.path.dirname(path) in paths)


def make_root(path: str, *, syncs: bool) -> None:
    """
    Make the folder *path* and those above it; *syncs* says whether their names have to be on the disk.
    """
    path = os.path.abspath(path)
    missing = path
    while not os.path.exists(missing):
        missing = os.path.dirname(missing)
    os.makedirs(path, mode=0o700, exist_ok=True)
    if not syncs:
        return
    while True:
        path, name = os.path.split(path)
        with suppress(PermissionError):  # a folder of somebody else, which was there long before
            files.sync_folders([path])
        if not name or len(path) <= len(missing):
            return
