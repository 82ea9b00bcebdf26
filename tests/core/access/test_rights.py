"""
Who is named by the policy of a slot.
"""

from __future__ import annotations

import pytest

from holdfast.service.core.access import rights
from holdfast.service.core.errors import Forbidden, UploadNotFound
from holdfast.service.core.policies import PROFILE_PHOTO
from holdfast.service.core.principals import Capability, Principal
from holdfast.storage.keys import new_key
from holdfast.storage.records import Key, SlotRef, State, Subject
from tests.storage.backends import TENANT, new_upload

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
KEY, OTHER = new_key(), new_key()


def photo(name: str, kind: str = "user") -> SlotRef:
    """Return the photo of an object."""
    return SlotRef(tenant=TENANT, kind=kind, id=name, slot="ProfilePhoto")


@pytest.mark.parametrize(
    ("subject", "slot", "is_self"),
    [
        ("alice", photo("alice"), True),
        ("alice", photo("Alice"), False),
        ("ALICE", photo("alice"), False),
        ("\u212aim", photo("kim"), False),
        ("\u212aim", photo("Kim"), False),
        ("alice", photo("alice", "group"), False),
        (GUID, photo(GUID), True),
        (GUID.upper(), photo(GUID), True),
        ("{" + GUID.upper() + "}", photo(GUID), True),
        (GUID, photo(GUID[:-1] + "f"), False),
        (None, photo("None"), False),
    ],
)
def test_self(subject: str | None, slot: SlotRef, is_self: bool) -> None:
    """Names are who they are, letter by letter; but a GUID is the same however it is written."""
    principal = Principal(tenant=TENANT, subject=None if subject is None else Subject(subject))
    if is_self:
        rights.refuse_change(principal, PROFILE_PHOTO, slot, None)
    else:
        with pytest.raises(Forbidden):
            rights.refuse_change(principal, PROFILE_PHOTO, slot, None)


@pytest.mark.parametrize(
    ("attachment", "error"), [(KEY, None), (OTHER, UploadNotFound), (None, Forbidden)], ids=["its own", "another", "the slot"]
)
def test_links_and_slots(attachment: Key | None, error: type[Exception] | None) -> None:
    """A link to attach is for its own upload, not for what others put into the slot, nor for the slot as a whole."""
    capabilities = frozenset({Capability.ATTACH})
    link = Principal(tenant=TENANT, subject=Subject("kelp"), capabilities=capabilities, key=KEY, owns_key=True)
    if error is None:
        rights.refuse_change(link, PROFILE_PHOTO, photo("kelp"), attachment)
    else:
        with pytest.raises(error):
            rights.refuse_change(link, PROFILE_PHOTO, photo("kelp"), attachment)


@pytest.mark.parametrize("owns_key", [True, False])
def test_links_own_what_their_maker_owned(owns_key: bool) -> None:
    """A link to what is somebody else's is no better than its maker, and shows nothing that is in no slot."""
    capabilities = frozenset({Capability.VIEW})
    record = new_upload(state=State.COMPLETE, creator=Subject("wrack"))
    link = Principal(tenant=TENANT, subject=Subject("kelp"), capabilities=capabilities, key=record.key, owns_key=owns_key)

    assert owns_key == rights.owns(link, record)
    if owns_key:
        rights.refuse_view(link, record)
    else:
        with pytest.raises(Forbidden):
            rights.refuse_view(link, record)


def test_history_is_for_accounts() -> None:
    """Who owns an upload hears what happened to it; a link to it does not, for others' names are told there."""
    record = new_upload(state=State.COMPLETE, creator=Subject("kelp"))
    owner = Principal(tenant=TENANT, subject=Subject("kelp"))
    link = Principal(tenant=TENANT, subject=Subject("kelp"), capabilities=owner.capabilities, key=record.key, owns_key=True)
    rights.refuse_history(owner, record)
    with pytest.raises(Forbidden):
        rights.refuse_history(link, record)
    with pytest.raises(Forbidden):
        rights.refuse_history(Principal(tenant=TENANT, subject=Subject("wrack")), record)
