"""
Files of earlier versions are brought to the newest one, and what cannot be is refused by name.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import Unavailable
from holdfast.storage.records import FIELDS, Key, ObjectRef, Ref
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from holdfast.storage.sqlite.tables import SCHEMA
from tests.storage.backends import TENANT, changed, new_upload, replace_upload, store_upload

# As of 2026-11-24 12:40: version 2 was given two columns of uploads some minutes later, and files that had been made kept none.
BEFORE_ATTACHED = (
    SCHEMA[1]
    .replace("ALTER TABLE uploads ADD COLUMN creator TEXT;", "")
    .replace("ALTER TABLE uploads ADD COLUMN attached TEXT NOT NULL DEFAULT '[]';", "")
)
KELP = """
INSERT INTO uploads (key, tenant, created_at, state, revision, generation, offset, length, verify_type, parts)
    VALUES ('kelp000000', '1', 1700000000, 'open', 3, 0, 4, 8, 0, '');
"""
ROCK = """
INSERT INTO objects (tenant, kind, id, created_at, updated_at, etag, revision, attributes)
    VALUES ('1', 'user', 'rock', 1700000000, 1700000000, 'e', 0, '{}');
"""
REF = Ref(tenant=TENANT, key=Key("kelp000000"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the records are."""
    return tmp_path / "holdfast.sqlite"


def make(path: Path, *steps: str, version: int) -> None:
    """Make a file that went through *steps*, and says that it has *version*."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {''.join(steps)} PRAGMA user_version = {version}")


OLD = {
    "1": (1, (SCHEMA[0], KELP)),
    "2-of-a251403": (2, (SCHEMA[0], BEFORE_ATTACHED, KELP, ROCK)),
    "2": (2, (*SCHEMA[:2], KELP, ROCK)),
    "3": (3, (*SCHEMA[:3], KELP, ROCK)),
    # Opened by a later Holdfast, which found nothing wrong, and then answered every request with 503.
    "newest-of-a251403": (len(SCHEMA), (SCHEMA[0], BEFORE_ATTACHED, *SCHEMA[2:], KELP, ROCK)),
}


@pytest.mark.parametrize("name", OLD)
async def test_an_earlier_file_is_upgraded(path: Path, name: str) -> None:
    """What it holds can be read and changed, and new records get in."""
    version, steps = OLD[name]
    make(path, *steps, version=version)
    store = SqliteMetadataStore(str(path), Durability.NONE)
    kelp = await store.get(REF)
    await replace_upload(store, kelp, changed(kelp, offset=8))
    await store_upload(store, new_upload())
    if ROCK in steps:
        await store.get_object(ObjectRef(tenant=TENANT, kind="user", id="rock"))
    found = await store.get(REF)
    await store.close()

    assert (4, 8, None, ()) == (kelp.offset, found.offset, found.creator, found.attached)
    with closing(sqlite3.connect(path)) as connection:
        assert len(SCHEMA) == connection.execute("PRAGMA user_version").fetchone()[0]
        assert set(FIELDS) <= {row[1] for row in connection.execute("PRAGMA table_info(uploads)")}


async def test_an_upgrade_that_is_done_writes_nothing(path: Path) -> None:
    """A file of the newest version is opened as it is, also where nothing can be written."""
    store = SqliteMetadataStore(str(path), Durability.NONE)
    await store_upload(store, new_upload())
    await store.close()
    before = path.read_bytes()
    await SqliteMetadataStore(str(path), Durability.NONE).close()

    assert before == path.read_bytes()


STRANGE = {
    "no-keys": (2, ("CREATE TABLE uploads (name TEXT);", *SCHEMA[1:2]), "the column uploads.key is missing"),
    "no-version": (0, (SCHEMA[0],), "table uploads already exists"),
    "no-table": (len(SCHEMA), SCHEMA[:1], "the column objects.tenant is missing"),
    "newer": (len(SCHEMA) + 1, SCHEMA, "newer Holdfast"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_cannot_be_upgraded_is_refused_by_name(path: Path, name: str) -> None:
    """The refusal says which file, which version it has, which ones are known, what is wrong and what to do."""
    version, steps, why = STRANGE[name]
    make(path, *steps, version=version)
    with closing(sqlite3.connect(path)) as connection:
        before = [*connection.iterdump()]
    with pytest.raises(Unavailable) as refused:
        SqliteMetadataStore(str(path))
    said = str(refused.value)

    assert said.startswith(str(path))
    assert f"version {version}" in said
    assert f" {len(SCHEMA)}" in said
    assert why in said
    assert "use another data folder" in said
    with closing(sqlite3.connect(path)) as connection:
        assert before == [*connection.iterdump()]
        assert version == connection.execute("PRAGMA user_version").fetchone()[0]
