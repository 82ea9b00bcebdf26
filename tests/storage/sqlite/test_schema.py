"""
Files of earlier versions are brought to the newest one, and what cannot be is refused by name.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import Unavailable
from holdfast.storage.ports.metadata import Adjustment, Change
from holdfast.storage.records import FIELDS, Key, ObjectRef, Ref, State
from holdfast.storage.sqlite.database import Database
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from holdfast.storage.sqlite.tables import SCHEMA
from tests.storage.backends import NOW, TENANT, changed, new_upload, replace_upload, store_upload
from tests.storage.ports.test_metadata_store_objects import begins, new_event, new_object, new_slot, stored_events

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


async def test_a_newer_version_shares_the_file(path: Path) -> None:
    """What only a newer version knows stays as it is when this one reads, changes and adds records."""
    old = SqliteMetadataStore(str(path), Durability.NONE)
    user = new_object()
    slot, event = new_slot(user), new_event()
    upload, scanned = new_upload(expires_at=NOW), new_upload(expires_at=NOW)
    await old.commit(begins(upload, scanned, user, slot), events=[event])
    with closing(sqlite3.connect(path)) as newer:
        for table in ("uploads", "objects", "slots", "events"):
            newer.execute(f"ALTER TABLE {table} ADD COLUMN frond TEXT NOT NULL DEFAULT 'short'")
            newer.execute(f"UPDATE {table} SET frond = 'long'")
        newer.execute("CREATE TABLE quotas (name TEXT)")
        newer.execute("UPDATE uploads SET state = 'scanned' WHERE key = ?", (scanned.key,))
        newer.commit()
    found = await old.get(scanned.ref)
    changes = [Change(old=found, new=changed(found, generation=1)), Change(old=upload, new=changed(upload, offset=4))]
    changes += [Change(old=each, new=dataclasses.replace(each, revision=1, etag="b")) for each in (user, slot)]
    await old.commit(changes, events=[new_event()])
    listed = {record.key: record.state for record in await old.due(NOW, 10)}
    events = await stored_events(old)
    await old.close()
    await SqliteMetadataStore(str(path), Durability.NONE).close()

    assert {upload.key: State.OPEN, scanned.key: State.UNKNOWN} == listed
    assert 2 == len(events)
    with closing(sqlite3.connect(path)) as newer:
        assert [("open", "long"), ("scanned", "long")] == sorted(newer.execute("SELECT state, frond FROM uploads"))
        for table in ("objects", "slots"):
            assert [("b", "long")] == newer.execute(f"SELECT etag, frond FROM {table}").fetchall()
        assert [("long",), ("short",)] == newer.execute("SELECT frond FROM events ORDER BY position").fetchall()


async def test_an_addition_leaves_the_version(path: Path) -> None:
    """What a file of an older version lacks is added to it, and the older version still opens it."""
    make(path, *SCHEMA, KELP, version=len(SCHEMA))
    store = SqliteMetadataStore(str(path), Durability.NONE)
    await store.commit([], adjustments=[Adjustment(tenant=TENANT, name="bytes", by=7)])
    await store.close()
    older = Database(str(path), SCHEMA, "NORMAL")
    found = await older.call(lambda connection: connection.execute("SELECT value FROM counters").fetchone()[0])
    await older.close()

    assert 7 == found


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
