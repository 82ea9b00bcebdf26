"""Commits to an SQLite file: what they store, and how one of a group is made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.storage.sqlite.connection import REFUSED
from holdfast.storage.threads import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteCommit:
    """
    Statements that take effect together, or not at all.

    *make* is called within a transaction, maybe more than once, on a thread or the event loop.  *synced*: it must reach the
    disk also in a database that does not sync every commit.  *large*: it takes too long for the event loop.  *frees*: it frees
    room, and so may use the reserve.
    """

    make: Callable[[sqlite3.Connection], None]
    synced: bool = False
    large: bool = False
    frees: bool = False


@dataclass(slots=True)
class Turn:
    """A waiting commit and its result."""

    commit: SqliteCommit
    result: Result[None]
    error: BaseException | None = None

    def finish(self) -> None:
        """Wake the caller with the result."""
        if self.error is None:
            self.result.set_result(None)
        else:
            self.result.set_exception(self.error)


def make_one(connection: sqlite3.Connection, turn: Turn) -> None:
    """Make one commit of a group; a refusal is kept in its turn, any other error is raised."""
    turn.error = None
    connection.execute("SAVEPOINT one")
    try:
        turn.commit.make(connection)
    except REFUSED as error:
        connection.execute("ROLLBACK TO one")
        turn.error = error
    connection.execute("RELEASE one")
