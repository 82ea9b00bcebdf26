"""
What the policies of slots promise.
"""

from __future__ import annotations

import pytest

from holdfast.service.core.errors import SlotUnknown
from holdfast.service.core.policies import BUILT_IN, GROUP_AVATAR, Policies, Policy
from holdfast.storage.records import SlotRef
from tests.storage.backends import TENANT


def ref(kind: str, slot: str) -> SlotRef:
    """Return a slot of object 1."""
    return SlotRef(tenant=TENANT, kind=kind, id="1", slot=slot)


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.slot)
def test_built_in(policy: Policy) -> None:
    """The slots of the three systems are there, take one image each, and somebody may fill them."""
    assert policy is Policies().of(ref(policy.kind, policy.slot))
    assert (1, frozenset({"image/jpeg", "image/png", "image/gif"})) == (policy.most, policy.types)
    assert policy.who


def test_two_megabytes() -> None:
    """ "2MB or less" is taken as the larger of what it may mean, itself included."""
    assert 2_097_152 == GROUP_AVATAR.max_bytes


@pytest.mark.parametrize(
    ("kind", "slot"), [("user", "GroupAvatar"), ("group", "ProfilePhoto"), ("user", "profilephoto"), ("", "")]
)
def test_unknown(kind: str, slot: str) -> None:
    """A slot of another kind of objects, or of nearly the same name, is none."""
    with pytest.raises(SlotUnknown):
        Policies().of(ref(kind, slot))


def test_the_first_kind_that_has_a_slot() -> None:
    """A name of a slot alone means the kind that was named first: a file that adds kinds takes nothing from those built in."""
    policies = Policies([*BUILT_IN, Policy(kind="bot", slot="ProfilePhoto"), Policy(kind="bot", slot="Icon")])

    assert ("user", "bot") == (policies.kinds()["ProfilePhoto"], policies.kinds()["Icon"])
