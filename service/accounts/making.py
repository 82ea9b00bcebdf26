"""
Makes tokens for development and for tests.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jwt


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
    Return a token (HS256) that says all this, good for *seconds*.
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
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")
