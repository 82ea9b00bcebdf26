"""
What records promise.  That every fact survives a store is tested with the stores.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from holdfast.storage.records import FIELDS, Ref, State, UploadRecord
from tests.storage.backends import TENANT, new_upload


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


def test_an_unknown_state_is_refused() -> None:
    """A state that this version does not know is not taken for another one."""
    with pytest.raises(ValueError, match="kelp"):
        UploadRecord.from_mapping({**new_upload().to_mapping(), "state": "kelp"})


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
