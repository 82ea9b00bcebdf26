"""
Whether a local byte store can take bytes: how much room the disk has, and a write now and then.
"""

from __future__ import annotations

import os
import resource
import tempfile
from functools import partial

from holdfast.storage import files
from holdfast.storage.errors import NoSpace, Unavailable
from holdfast.storage.local.append import RESERVE
from holdfast.storage.probe import Probe
from holdfast.storage.records import UploadRecord
from holdfast.storage.threads import Threads

FOLDERS = ("uploads", "attachments")
WRITTEN = 4 * 1024


class LocalRoom:
    """
    What the disk under *root* takes; *syncs* says whether what is written to find out has to reach it.
    """

    def __init__(self, root: str, threads: Threads, *, syncs: bool) -> None:
        self._root = root
        self._threads = threads
        self._syncs = syncs
        self._probe = Probe(partial(threads.run, self._write))

    async def ping(self) -> None:
        """
        Return when bytes can be taken now.

        :raises NoSpace, Unavailable: they cannot.
        """
        await self._threads.run(self._look)
        await self._probe.make()

    def doubt(self) -> None:
        """
        Write again the next time, also if that is soon.
        """
        self._probe.doubt()

    # What follows blocks.

    def refuse_without_room(self, record: UploadRecord) -> None:
        """
        Refuse before the first byte what does not fit.  Nothing is reserved: a client that goes away would keep it.

        :raises NoSpace: it does not.
        """
        self.refuse_what_never_fits(record)
        if (record.remaining or 0) + RESERVE > self._free():
            raise NoSpace(f"{record.remaining or 'more'} bytes do not fit")

    def refuse_what_never_fits(self, record: UploadRecord) -> None:
        """
        Refuse what is larger than the disk; what it has no room for at the moment may come as far as it fits.

        :raises NoSpace: it is.
        """
        if record.length is None or record.remaining is None:
            return
        with files.os_errors():
            disk = os.statvfs(self._root)
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if record.remaining > disk.f_blocks * disk.f_frsize or 0 <= limit < record.length:
            raise NoSpace(f"{record.remaining} bytes do not fit")

    def _look(self) -> None:
        with files.os_errors():
            for folder in FOLDERS:
                if not os.access(os.path.join(self._root, folder), os.W_OK | os.X_OK):
                    raise Unavailable(f"the folder {folder} of the byte store cannot be written")
        if self._free() < RESERVE:
            raise NoSpace(f"{self._root} has {self._free()} bytes left")

    def _write(self) -> None:
        """Write a little as an append would, into a file without a name."""
        with files.os_errors(), tempfile.TemporaryFile(dir=self._root, buffering=0) as file:
            file.write(bytes(WRITTEN))
            if self._syncs:
                os.fsync(file.fileno())

    def _free(self) -> int:
        with files.os_errors():
            disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize
