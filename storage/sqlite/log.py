"""
The log of an SQLite file in WAL mode: when it is written back into the file, restarted, or written again.

After a failed sync the kernel drops what it did not write, and the next sync succeeds.  Where every commit is synced, SQLite
itself writes the missing pages again, since the next commit takes the place of the failed one.  Otherwise the commits before it
would count as synced though they are not.
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
# Commits wait while the log is restarted; so it waits for readers only this long, and not all the time.
RESTART_WAIT = 0.05 * SECONDS
RESTART_AGAIN = 5 * SECONDS


class Log:
    """The log, through a *connection* to the file; *version* is that of its schema.  The methods block."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self._connection = connection
        self._version = version
        self._restart_from = 0.0
        self.is_doubtful = False
        """Whether a sync failed: the log may not be on the disk, even if the next sync succeeds."""

    def notice(self, error: BaseException | None) -> None:
        """Doubt the log if *error* is a failed sync."""
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) in SYNC_FAILED:
            self.is_doubtful = True

    @contextmanager
    def believed(self, path: str) -> Iterator[None]:
        """Write a doubtful log again before the block, and doubt it if a sync in the block fails.  The database is at *path*."""
        try:
            if self.is_doubtful:
                self.write_again(path)
            yield
        except sqlite3.Error as error:
            self.notice(error)
            raise

    def write_again(self, path: str) -> None:
        """
        Write the whole log again.

        First a new commit takes the place of the failed one, so that no reader finds that in the log later.
        """
        self._connection.execute(f"PRAGMA user_version = {self._version}")
        with transaction(self._connection):  # keeps other writers out
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
        """Write the log back into the file; restart a long one, while others wait."""
        try:
            _, pages, written = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > LONG_LOG and time.monotonic() >= self._restart_from:
                pages, written = self._restart()
            if pages == written:
                # The next write restarts the log, and syncs its header.
                self._connection.execute(f"PRAGMA user_version = {self._version}")
        except sqlite3.Error as error:
            self.notice(error)  # the next call tries again

    def begin_anew(self) -> None:
        """Restart the log, if no reader prevents it: then the next commits need no more room than it has."""
        with suppress(sqlite3.Error):
            self._restart()

    def _restart(self) -> tuple[int, int]:
        """Try to restart the log; return its pages, and how many of them are written back."""
        connection = self._connection
        connection.execute(f"PRAGMA busy_timeout = {RESTART_WAIT * 1000:.0f}")
        try:
            busy, pages, written = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_WAIT * 1000:.0f}")
        if busy:
            # A long read, such as a backup: the log has to grow until it ends.
            self._restart_from = time.monotonic() + RESTART_AGAIN
        return pages, written
