"""Makes tokens for development and for tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jwt

from holdfast.service.accounts.claims import principal_of
from holdfast.storage.records import Tenant


def make_token(
    *,
    secret: str,
    tenant: str,
    subject: str,
    roles: Sequence[str] = (),
    entitlements: Sequence[str] = (),
    capabilities: Sequence[str] | None = None,
    seconds: int = 3600,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """
    Return a token (HS256) with these claims, valid for *seconds*.

    :raises TokenRefused: the service would refuse a claim.
    """
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "tenant": tenant,
        "roles": list(roles),
        "entitlements": list(entitlements),
        "capabilities": None if capabilities is None else list(capabilities),
        "iat": now,
        "exp": now + seconds,
        "iss": issuer,
        "aud": audience,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    principal_of(present, default_tenant=Tenant(tenant))
    return jwt.encode(present, secret, algorithm="HS256")
