"""Whether a local byte store can take bytes: free space on the disk, and a test write now and then."""

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
    """The free space under *root*; *syncs* says whether a test write must reach the disk."""

    def __init__(self, root: str, threads: Threads, *, syncs: bool) -> None:
        self._root = root
        self._threads = threads
        self._syncs = syncs
        self._probe = Probe(partial(threads.run, self._write))

    async def ping(self) -> None:
        """
        Return if the store can take bytes now.

        :raises NoSpace, Unavailable: it cannot.
        """
        await self._threads.run(self._look)
        await self._probe.make()

    def doubt(self) -> None:
        """Make the next ping write again, however recent the last test write was."""
        self._probe.doubt()

    # The methods below block.

    def refuse_without_room(self, record: UploadRecord) -> None:
        """
        Refuse content that does not fit, before its first byte.  Nothing is reserved: an interrupted upload would hold it.

        :raises NoSpace: it does not fit.
        """
        self.refuse_what_never_fits(record)
        if (record.remaining or 0) + RESERVE > self._free():
            raise NoSpace(f"{record.remaining or 'more'} bytes do not fit on the disk")

    def refuse_what_never_fits(self, record: UploadRecord) -> None:
        """
        Refuse content that is larger than the disk, or than files may be; other content may come as far as it fits.

        :raises NoSpace: it is larger.
        """
        if record.length is None or record.remaining is None:
            return
        with files.os_errors():
            disk = os.statvfs(self._root)
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if record.remaining > disk.f_blocks * disk.f_frsize or 0 <= limit < record.length:
            raise NoSpace(f"{record.remaining} bytes never fit on the disk")

    def _look(self) -> None:
        with files.os_errors():
            for folder in FOLDERS:
                if not os.access(os.path.join(self._root, folder), os.W_OK | os.X_OK):
                    raise Unavailable(f"the folder {folder} of the byte store is not writable")
        if self._free() < RESERVE:
            raise NoSpace(f"{self._root} has {self._free()} bytes left")

    def _write(self) -> None:
        """Write a little, as an append would, into a file without a name."""
        with files.os_errors(), tempfile.TemporaryFile(dir=self._root, buffering=0) as file:
            file.write(bytes(WRITTEN))
            if self._syncs:
                os.fsync(file.fileno())

    def _free(self) -> int:
        with files.os_errors():
            disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize
