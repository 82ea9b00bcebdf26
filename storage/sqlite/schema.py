"""
Brings an SQLite file to the current schema: files of earlier versions are migrated, all others refused with a reason.

The version of a file (``PRAGMA user_version``) counts the steps that it went through.  One step was changed after files had
been made with it: those say version 2 and lack columns.  So the columns are checked as well, and a missing one is added as the
step would have added it.

Two versions of Holdfast share a file during an upgrade, and neither opens a file with a greater version than it knows.  So new
things are not steps but *additions*, which leave the version as it is: a table that older versions do not know, or a column
that they ignore, because each statement names its columns.  Such a column is nullable or has a default, since older versions
insert rows without it.  A step is for what an older version must not touch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from holdfast.storage.errors import Unavailable
from holdfast.storage.sqlite.connection import roll_back

Columns = Mapping[str, Mapping[str, str | None]]
"""By table and column: the definition with which the column can be added to a table with rows, or None if it cannot."""


def prepare(connection: sqlite3.Connection, path: str, schema: Sequence[str], additions: str = "") -> None:
    """
    Bring the file at *path* to the newest version, in one transaction.

    :param schema: scripts, each of which leads from one version to the next
    :param additions: statements that make what a file has besides, after all steps
    :raises Unavailable: this is impossible; nothing was changed.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = len(schema)
    if version > newest:
        raise Unavailable(
            f"{path} was written by a newer Holdfast: its schema is version {version}, this Holdfast knows versions"
            f" up to {newest}; start the newer Holdfast again, or use another data folder"
        )
    try:
        with closing(sqlite3.connect(":memory:")) as pristine:
            pristine.executescript("".join(schema))
            required = _made(pristine).keys()
            pristine.executescript(additions)
            wanted, added = _columns(pristine), {name: made for name, made in _made(pristine).items() if name not in required}
        if version == newest and not [*_missing(connection, wanted)] and added.keys() <= _made(connection).keys():
            return  # without a write: the disk may be full
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(schema[version:])}")
        found = _made(connection)
        for statement in (added[name] for name in added if name not in found):  # a table before its indexes
            connection.execute(statement)
        for table, column, definition in [*_missing(connection, wanted)]:
            if definition is None:
                raise _unknown(path, version, newest, f"the column {table}.{column} is missing")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
        connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise _unknown(path, version, newest, str(error)) from error
    finally:
        roll_back(connection)


def _unknown(path: str, version: int, newest: int, why: str) -> Unavailable:
    return Unavailable(
        f"{path} says that its schema is version {version}, but {why}; this Holdfast knows versions 1 to {newest}:"
        " start the version that made the file, or use another data folder"
    )


def _missing(connection: sqlite3.Connection, wanted: Columns) -> Iterator[tuple[str, str, str | None]]:
    found = _columns(connection)
    for table, columns in wanted.items():
        for column, definition in columns.items():
            if column not in found.get(table, ()):
                yield table, column, definition


def _made(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return the statement that made each table and index, by name."""
    return dict(map(tuple, connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")))


def _columns(connection: sqlite3.Connection) -> Columns:
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    return {table: dict(_definitions(connection, table)) for (table,) in map(tuple, tables)}


def _definitions(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str | None]]:
    for _, name, kind, required, default, is_key in map(tuple, connection.execute(f"PRAGMA table_info({table})")):
        if is_key or (required and default is None):
            yield name, None
        else:
            yield name, f"{kind}{' NOT NULL' if required else ''}{f' DEFAULT {default}' if default is not None else ''}"
