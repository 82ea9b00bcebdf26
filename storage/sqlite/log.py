"""
The log of an SQLite file in WAL mode: when it is written back into the file, begun anew, or written again.

After a sync that failed the system forgets what it did not write: the next one says that all is well.  Where every commit is
synced, SQLite itself writes again what was not, for the next commit takes the place of the one that failed.  Where not every
commit is, those before it would be believed that nobody synced.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from holdfast.storage.sqlite.connection import BUSY_WAIT, transaction

SECONDS = 1.0
BLOCK = 1024 * 1024
SYNC_FAILED = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
LONG_LOG = 4000  # pages
# Commits wait while the log is begun anew; readers are waited for only so long, and not all the time.
RESTART_WAIT = 0.05 * SECONDS
RESTART_AGAIN = 5 * SECONDS


class Log:
    """
    The log, by a *connection* to the file; *version* is that of its schema.  The methods block.
    """

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self._connection = connection
        self._version = version
        self._restart_from = 0.0
        self.is_doubtful = False
        """Whether a sync failed: what the log has may not be on the disk, though the next sync does not say so."""

    def notice(self, error: BaseException | None) -> None:
        """
        Doubt the log if *error* is a sync that failed.
        """
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) in SYNC_FAILED:
            self.is_doubtful = True

    @contextmanager
    def believed(self, path: str) -> Iterator[None]:
        """
        Have a log whose syncs can be believed; if a sync meanwhile fails, it is doubted.  The database is at *path*.
        """
        try:
            if self.is_doubtful:
                self.write_again(path)
            yield
        except sqlite3.Error as error:
            self.notice(error)
            raise

    def write_again(self, path: str) -> None:
        """
        Write all of the log again.

        First of all something else is written in the place of the commit that failed: nobody shall find that in the log later.
        """
        self._connection.execute(f"PRAGMA user_version = {self._version}")
        with transaction(self._connection):  # nobody else writes meanwhile
            descriptor = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
            try:
                at = 0
                while block := os.pread(descriptor, BLOCK, at):
                    at += os.pwrite(descriptor, block, at)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self.is_doubtful = False

    def write_back(self) -> None:
        """
        Write the log back into the file; one that grew long, for nobody ever paused, while others wait.
        """
        try:
            _, pages, written = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > LONG_LOG and time.monotonic() >= self._restart_from:
                pages, written = self._restart()
            if pages == written:
                # Whoever writes next begins the log anew, and syncs its head.
                self._connection.execute(f"PRAGMA user_version = {self._version}")
        except sqlite3.Error as error:
            self.notice(error)  # it is tried again

    def begin_anew(self) -> None:
        """
        Write the log back, so that what comes next needs no more room than it has, if nobody is in the way.
        """
        with suppress(sqlite3.Error):
            self._restart()

    def _restart(self) -> tuple[int, int]:
        """Have the log begun anew; return the pages of it, and how many are written back."""
        connection = self._connection
        connection.execute(f"PRAGMA busy_timeout = {RESTART_WAIT * 1000:.0f}")
        try:
            busy, pages, written = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_WAIT * 1000:.0f}")
        if busy:
            # Somebody reads for long, a backup maybe: the log has to grow until that is over.
            self._restart_from = time.monotonic() + RESTART_AGAIN
        return pages, written
