"""
Turns the claims of a token into a principal.

=============  ==============================================================================
claim          meaning
=============  ==============================================================================
sub            the user, a string or a number; required
tenant         the user's tenant, a string or a number; absent: the default tenant
roles          a list, or a string with spaces between: ``admin``, ``account_holder``
entitlements   a list
capabilities   a list of ``upload``, ``view``, ``attach``; absent: all of them
=============  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.service.accounts.errors import TokenRefused
from holdfast.service.core.principals import EVERY_CAPABILITY, Capability, Principal
from holdfast.storage.records import Subject, Tenant

MAX_NAME = 255  # characters
MAX_NAMES = 64
LARGEST = 10**MAX_NAME
RESERVED = frozenset("/?#%&")


def principal_of(claims: Mapping[str, object], *, default_tenant: Tenant) -> Principal:
    """
    Return the principal that *claims* describe.

    :raises TokenRefused: a claim is missing or malformed; the message names it.
    """
    tenant = _as_text(claims.get("tenant", default_tenant))
    capabilities = EVERY_CAPABILITY
    if "capabilities" in claims:
        named = _names(claims, "capabilities")
        capabilities = frozenset(capability for capability in Capability if capability in named)
    return Principal(
        tenant=Tenant(_name(tenant, "tenant")),
        subject=Subject(_name(_as_text(claims.get("sub")), "sub")),
        roles=_names(claims, "roles"),
        entitlements=_names(claims, "entitlements", split=False),
        capabilities=capabilities,
    )


def _as_text(value: object) -> object:
    """Return an integer as text, and any other value unchanged."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
    return str(value) if is_number else value


def _name(value: object, claim: str) -> str:
    # Names become parts of URLs and of records, so characters that delimit those are refused.
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable() or set(value) & RESERVED:
        raise TokenRefused(f"the token has no usable {claim}")
    return value


def _names(claims: Mapping[str, object], claim: str, *, split: bool = True) -> frozenset[str]:
    value = claims.get(claim, [])
    if isinstance(value, str):
        value = value.split() if split else [value]
    if not isinstance(value, list) or len(value) > MAX_NAMES or not all(isinstance(name, str) for name in value):
        raise TokenRefused(f"the token has no usable {claim}")
    return frozenset(_name(name, claim) for name in value)
