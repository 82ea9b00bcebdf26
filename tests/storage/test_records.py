"""
What records promise.  That every fact survives a store is tested with the stores.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from holdfast.storage.objects import Association, Event, ObjectRecord, SlotRecord
from holdfast.storage.records import FIELDS, Key, Ref, State, UploadRecord
from tests.storage.backends import NOW, OTHER_TENANT, TENANT, new_upload


def test_a_mapping_is_plain() -> None:
    """A record becomes values that any store and JSON know, and comes back from them."""
    record = new_upload(state=State.RECEIVED, length=5, verify_type=True, name="kelp.png")
    mapping = json.loads(json.dumps(record.to_mapping()))

    assert FIELDS == tuple(mapping)
    assert record == UploadRecord.from_mapping(mapping)


def test_records_outlive_versions() -> None:
    """A member that this version does not know is kept through changes; one that an earlier version did not know is missing."""
    stored = {**new_upload().to_mapping(), "frond": 3}
    record = UploadRecord.from_mapping({name: value for name, value in stored.items() if name != "content_encoding"})

    assert stored == dataclasses.replace(record, offset=5).to_mapping() | {"offset": 0}
    assert record.content_encoding is None


def test_booleans_may_come_back_as_integers() -> None:
    """Stores without booleans keep 0 and 1."""
    values = {**new_upload(verify_type=True).to_mapping(), "verify_type": 1}

    assert UploadRecord.from_mapping(values).verify_type is True


def test_a_state_that_only_a_newer_version_knows() -> None:
    """It is read as unknown, and its text is stored again, until this version knows better."""
    stored = {**new_upload().to_mapping(), "state": "kelp", "frond": 3}
    record = UploadRecord.from_mapping(stored)

    assert State.UNKNOWN is record.state
    assert stored | {"generation": 1} == dataclasses.replace(record, generation=1).to_mapping()
    assert "expired" == dataclasses.replace(record, state=State.EXPIRED).to_mapping()["state"]


SLOT = SlotRecord(
    tenant=TENANT,
    kind="user",
    id="7",
    slot="photo",
    etag="a",
    active=(Association(id="one", attachment=Key("kelp000000"), attached_at=NOW, attached_by=None),),
)
USER = ObjectRecord(tenant=TENANT, kind="user", id="7", created_at=NOW, updated_at=NOW, updated_by=None, etag="a")
GROWING: dict[str, tuple[ObjectRecord | SlotRecord | Event, str]] = {
    "object": (USER, "attributes"),
    "slot": (SLOT, "revision"),
    "event": (Event(id="one", tenant=TENANT, type="test.tried", at=NOW), "data"),
}


@pytest.mark.parametrize("kind", GROWING)
def test_objects_slots_and_events_outlive_versions(kind: str) -> None:
    """A member that this version does not know is kept through changes; one with a default may be missing."""
    record, known = GROWING[kind]
    stored = {**record.to_mapping(), "frond": [3]}
    read = type(record).from_mapping({name: value for name, value in stored.items() if name != known})

    assert record == read
    assert stored | {"tenant": "2"} == dataclasses.replace(read, tenant=OTHER_TENANT).to_mapping()


def test_associations_outlive_versions() -> None:
    """An association keeps what only a newer version knows of it, also why it ended, when it moves within its slot."""
    plain = json.loads(SLOT.to_mapping()["active"])[0]
    new = {**plain, "frond": {"length": 3}, "ending": "eaten"}
    old = {name: plain[name] for name in ("id", "attachment", "attached_at", "attached_by")}
    read = SlotRecord.from_mapping({**SLOT.to_mapping(), "active": json.dumps([new, old])})
    after = dataclasses.replace(read, active=(), ended=(*read.active[1:], dataclasses.replace(read.active[0], place=1)))

    assert ("eaten", SLOT.active[0]) == (read.active[0].ending, read.active[1])
    assert [plain, {**new, "place": 1}] == json.loads(after.to_mapping()["ended"])


def test_records_do_not_change() -> None:
    """A record that was read stays as it was read."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        new_upload().offset = 1  # type: ignore[misc]  # that it cannot be assigned to is what is tested


@pytest.mark.parametrize(("length", "offset", "remaining"), [(None, 5, None), (5, 5, 0), (5, 0, 5), (0, 0, 0)])
def test_remaining(length: int | None, offset: int, remaining: int | None) -> None:
    """What may still come is the length without the offset; nobody knows while the length is deferred."""
    assert remaining == new_upload(length=length, offset=offset).remaining


def test_ref() -> None:
    """A record is found by its tenant and its key."""
    record = new_upload()

    assert Ref(tenant=TENANT, key=record.key) == record.ref
