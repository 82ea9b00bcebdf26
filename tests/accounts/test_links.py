"""
Signed links.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.accounts.errors import TokenExpired, TokenRefused
from holdfast.service.accounts.links import Links
from holdfast.service.core.principals import Capability
from holdfast.storage.keys import new_key
from holdfast.storage.records import Key, Subject, Tenant

NOW = 1_800_000_000.0
LINKS = Links(b"secret", clock=lambda: NOW)
KEY = Key("AbCdEf0123")


def sign(
    purpose: Capability = Capability.VIEW,
    *,
    tenant: str = "1",
    subject: str | None = "kelp",
    seconds: int = 60,
    key: Key = KEY,
    owns_key: bool = True,
) -> str:
    """Return a link."""
    by = None if subject is None else Subject(subject)
    expires_at = int(NOW) + seconds
    return LINKS.sign(purpose=purpose, tenant=Tenant(tenant), key=key, expires_at=expires_at, subject=by, owns_key=owns_key)


LINK = sign()


@pytest.mark.parametrize("purpose", Capability)
@pytest.mark.parametrize("subject", [None, "kelp", "kelp ü"])
@pytest.mark.parametrize("owns_key", [True, False])
def test_what_it_opens(purpose: Capability, subject: str | None, owns_key: bool) -> None:
    """One capability, one tenant, one upload, and no more."""
    key = new_key()
    found = LINKS.verify(sign(purpose, tenant="7", subject=subject, key=key, owns_key=owns_key), now=NOW)

    assert (frozenset({purpose}), Tenant("7"), key, subject) == (found.capabilities, found.tenant, found.key, found.subject)
    assert owns_key == found.owns_key
    assert (frozenset(), frozenset(), False) == (found.roles, found.entitlements, found.trusted)


@pytest.mark.parametrize("longest", ["\U0001f600" * 255, '"' * 255, "\\" * 255], ids=["emoji", "quotes", "backslashes"])
def test_longest_names(longest: str) -> None:
    """A link of whoever has the longest names there can be is as good as any."""
    found = LINKS.verify(sign(tenant=longest, subject=longest), now=NOW)

    assert (longest, longest) == (found.tenant, found.subject)


def test_it_lapses() -> None:
    """At its time, and not before."""
    LINKS.verify(LINK, now=NOW + 59)
    with pytest.raises(TokenExpired):
        LINKS.verify(LINK, now=NOW + 60)


def test_it_does_not_hold_for_ever() -> None:
    """One that would hold longer than the longest is not signed."""
    with pytest.raises(ValueError, match="at most"):
        sign(seconds=3601)


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
    for cut in (LINK[:length], LINK[length + 1 :], LINK + LINK[:length] if length else "x" * 5000):
        with pytest.raises(TokenRefused):
            LINKS.verify(cut, now=NOW)


def test_links_have_a_key_of_their_own() -> None:
    """What somebody else signs with the same secret, a token say, is never a link."""
    signed, _, _ = LINK.rpartition(".")
    forged = urlsafe_b64encode(hmac.digest(b"secret", signed.encode(), hashlib.sha256)).rstrip(b"=").decode()
    with pytest.raises(TokenRefused):
        LINKS.verify(f"{signed}.{forged}", now=NOW)
