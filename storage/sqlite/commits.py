"""
Commits to an SQLite file: what is asked for, who waits for it, and how one of many is made.
"""

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

    *make* is called within a transaction, maybe more than once.  *synced* says whether it has to reach the disk in a database
    that does not sync every commit, *large* whether making it takes too long for the event loop, and *frees* whether it makes
    room, and so may use the reserve.
    """

    make: Callable[[sqlite3.Connection], None]
    synced: bool = False
    large: bool = False
    frees: bool = False


@dataclass(slots=True)
class Turn:
    """
    A commit that waits, and what became of it.
    """

    commit: SqliteCommit
    told: Result[None]
    error: BaseException | None = None

    def tell(self) -> None:
        """
        Tell who waits for it.
        """
        if self.error is None:
            self.told.set_result(None)
        else:
            self.told.set_exception(self.error)


def make_one(connection: sqlite3.Connection, turn: Turn) -> None:
    """
    Make one commit of many, or refuse it; what else is wrong is raised.
    """
    turn.error = None
    connection.execute("SAVEPOINT one")
    try:
        turn.commit.make(connection)
    except REFUSED as error:
        connection.execute("ROLLBACK TO one")
        turn.error = error
    connection.execute("RELEASE one")
