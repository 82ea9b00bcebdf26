"""Transactions that are made on the event loop, by a connection that never waits for another process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from holdfast.storage.errors import Unavailable
from holdfast.storage.sqlite.commits import Turn, make_one
from holdfast.storage.sqlite.connection import roll_back
from holdfast.storage.sqlite.log import Log


class Writer:
    """
    One transaction after another.  `holdfast.storage.sqlite.database` says why they are made here, and what follows if one fails.
    """

    def __init__(self, connection: sqlite3.Connection, log: Log, look: Callable[[], None], *, syncs: bool) -> None:
        """Take *connection*, which *syncs* each commit or not; *look* raises Unavailable where the file was replaced."""
        self._connection = connection
        self._log = log
        self._look = look
        self._syncs = syncs

    def begin(self, *, syncs: bool) -> bool:
        """Begin a transaction; return False if that would have to wait."""
        if self._log.is_doubtful:
            return False
        try:
            self._look()
            if syncs is not self._syncs:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if syncs else 'NORMAL'}")
                self._syncs = syncs
            self._connection.execute("BEGIN IMMEDIATE")
        except (Unavailable, OSError, sqlite3.Error):
            return False  # the thread will raise the error
        return True

    def make(self, group: Sequence[Turn], *, commits: bool) -> bool:
        """
        Run the statements of *group*, and commit if it *commits*; return False on any error but the refusal of single commits.
        """
        try:
            for turn in group:
                make_one(self._connection, turn)
            if commits:
                self.commit()
        except Exception as error:  # noqa: BLE001 - the thread raises it again, to the callers
            self.undo(error)
            return False
        return True

    def commit(self) -> None:
        """Commit; where that syncs, it blocks until the disk has it."""
        self._connection.execute("COMMIT")

    def undo(self, error: BaseException) -> None:
        """Roll back what failed with *error*."""
        self._log.notice(error)
        roll_back(self._connection)
