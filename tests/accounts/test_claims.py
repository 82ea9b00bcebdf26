"""
What claims say of somebody.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.accounts.claims import principal_of
from holdfast.service.accounts.errors import TokenRefused
from holdfast.service.core.principals import EVERY_CAPABILITY, Capability, Principal
from holdfast.storage.records import Subject, Tenant

DEFAULT = Tenant("1")


def test_everything() -> None:
    """Each claim has its place."""
    claims = {
        "sub": "kelp",
        "tenant": 100,
        "roles": "admin account_holder",
        "entitlements": ["Distribution List Manager"],
        "capabilities": ["view", "fly"],
    }
    expected = Principal(
        tenant=Tenant("100"),
        subject=Subject("kelp"),
        roles=frozenset({"admin", "account_holder"}),
        entitlements=frozenset({"Distribution List Manager"}),
        capabilities=frozenset({Capability.VIEW}),
    )

    assert expected == principal_of(claims, default_tenant=DEFAULT)


def test_little() -> None:
    """Who says nothing of it is in the default tenant, has no role and every capability."""
    found = principal_of({"sub": "kelp"}, default_tenant=DEFAULT)

    assert (DEFAULT, frozenset(), frozenset(), EVERY_CAPABILITY) == (
        found.tenant,
        found.roles,
        found.entitlements,
        found.capabilities,
    )
    assert not found.trusted


def test_nothing_is_not_everything() -> None:
    """Who is given an empty list of capabilities has none; only who says nothing of it has all."""
    for nothing in ([], "", ["fly"]):
        assert frozenset() == principal_of({"sub": "kelp", "capabilities": nothing}, default_tenant=DEFAULT).capabilities


def test_one_entitlement_may_have_blanks() -> None:
    """A text is one entitlement, whatever blanks are in it; of roles and capabilities it is a list."""
    found = principal_of({"sub": "kelp", "entitlements": "Distribution List Manager"}, default_tenant=DEFAULT)

    assert frozenset({"Distribution List Manager"}) == found.entitlements


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": True},
        {"sub": 5.0},
        {"sub": [5]},
        {"sub": 10**300},
        {"sub": "a\nb"},
        {"sub": "a/b"},
        {"sub": "a" * 256},
        {"tenant": ""},
        {"tenant": True},
        {"tenant": 1.5},
        {"tenant": ["1"]},
        {"tenant": "../1"},
        {"roles": 5},
        {"roles": [5]},
        {"roles": {"admin": True}},
        {"roles": ["a"] * 65},
        {"entitlements": [""]},
        {"capabilities": 1},
    ],
    ids=str,
)
def test_refused(changed: dict[str, object]) -> None:
    """Claims of another type, empty, too long or too many describe nobody."""
    with pytest.raises(TokenRefused):
        principal_of({"sub": "kelp", **changed}, default_tenant=DEFAULT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["sub", "tenant", "roles", "entitlements", "capabilities", "x"]), json_values))
def test_anything(claims: dict[str, object]) -> None:
    """Whatever stands there, it is a principal of some tenant or refused, and never trusted."""
    try:
        found = principal_of(claims, default_tenant=DEFAULT)
    except TokenRefused:
        return

    assert found.tenant
    assert found.subject
    assert not found.trusted
