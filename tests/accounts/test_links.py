"""
Signed links.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.accounts.errors import TokenExpired, TokenRefused
from service.accounts.links import Links
from service.core.principals import Capability
from storage.keys import new_key
from storage.records import Key, Subject, Tenant

NOW = 1_800_000_000.0
LINKS = Links(b"secret", clock=lambda: NOW)
KEY = Key("AbCdEf0123")
LINK = LINKS.sign(purpose=Capability.VIEW, tenant=Tenant("1"), key=KEY, expires_at=int(NOW) + 60, subject=Subject("kelp"))


@pytest.mark.parametrize("purpose", Capability)
@pytest.mark.parametrize("subject", [None, Subject("kelp"), Subject("kelp ü")])
def test_what_it_opens(purpose: Capability, subject: Subject | None) -> None:
    """One capability, one tenant, one upload, and no more."""
    key = new_key()
    link = LINKS.sign(purpose=purpose, tenant=Tenant("7"), key=key, expires_at=int(NOW) + 60, subject=subject)
    found = LINKS.verify(link, now=NOW)

    assert (frozenset({purpose}), Tenant("7"), key, subject) == (found.capabilities, found.tenant, found.key, found.subject)
    assert (frozenset(), frozenset(), False) == (found.roles, found.entitlements, found.trusted)


def test_it_lapses() -> None:
    """At its time, and not before."""
    LINKS.verify(LINK, now=NOW + 59)
    with pytest.raises(TokenExpired):
        LINKS.verify(LINK, now=NOW + 60)


def test_it_does_not_hold_for_ever() -> None:
    """One that would hold longer than the longest is not signed."""
    with pytest.raises(ValueError, match="seconds at most"):
        LINKS.sign(purpose=Capability.VIEW, tenant=Tenant("1"), key=KEY, expires_at=int(NOW) + 3601, subject=None)


def test_another_secret() -> None:
    """A link of another service is none here."""
    with pytest.raises(TokenRefused):
        Links(b"another").verify(LINK, now=NOW)


@given(at=st.integers(0, len(LINK) - 1), character=st.sampled_from("AQgwz0_-.=é "))
def test_any_other_character(at: int, character: str) -> None:
    """A link that was changed anywhere is refused."""
    changed = LINK[:at] + character + LINK[at + 1 :]
    if changed != LINK:
        with pytest.raises(TokenRefused):
            LINKS.verify(changed, now=NOW)


@pytest.mark.parametrize("length", range(len(LINK)))
def test_cut(length: int) -> None:
    """A link that was cut anywhere is refused."""
    for cut in (LINK[:length], LINK[length + 1 :], LINK + LINK[:length] if length else "x" * 3000):
        with pytest.raises(TokenRefused):
            LINKS.verify(cut, now=NOW)
