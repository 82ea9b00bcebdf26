"""
The log of an SQLite file in WAL mode: when it is written back into the file, and begun anew.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress

from storage.sqlite_connection import BUSY_WAIT

SECONDS = 1.0
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

    def write_back(self) -> None:
        """
        Write the log back into the file; one that grew long, for nobody ever paused, while others wait.
        """
        with suppress(sqlite3.Error):  # it is tried again
            _, pages, written = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > LONG_LOG and time.monotonic() >= self._restart_from:
                pages, written = self._restart()
            if pages == written:
                # Whoever writes next begins the log anew, and syncs its head.
                self._connection.execute(f"PRAGMA user_version = {self._version}")

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
