"""Verifies tokens (JWT, RFC 7519)."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

import jwt

from holdfast.service.accounts.claims import principal_of
from holdfast.service.accounts.errors import TokenExpired, TokenRefused
from holdfast.service.accounts.keys import KeySource
from holdfast.service.core.principals import Principal
from holdfast.storage.records import Tenant

KiB = 1024
MAX_TOKEN = 8 * KiB
SECONDS = 1.0
LEEWAY = 30 * SECONDS
REMEMBERED = 4096
REMEMBERED_FOR = 60 * SECONDS


class TokenVerifier:
    """Verifies tokens, and remembers the verified ones for a minute, since clients send many requests with one token."""

    def __init__(
        self,
        keys: KeySource,
        *,
        default_tenant: Tenant,
        issuer: str | None = None,
        audience: str | None = None,
        leeway: float = LEEWAY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._default_tenant = default_tenant
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """
        Return the principal that *token* names.

        :raises TokenRefused, TokenExpired: the token is not valid.
        :raises AccountsUnavailable: the keys cannot be read or fetched now.
        """
        if len(token) > MAX_TOKEN:
            raise TokenRefused("the token is too long")
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and self._clock() < known[0]:
            return known[1]
        principal, expires_at = await self._verify(token)
        self._known[name] = min(expires_at + self._leeway, self._clock() + REMEMBERED_FOR), principal
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def close(self) -> None:
        """Close the connections."""
        await self._keys.close()

    async def _verify(self, token: str) -> tuple[Principal, float]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused("this is not a token") from error
        if "crit" in header:
            # RFC 7515, section 4.1.11: extensions named in "crit" must be understood; this service understands none.
            raise TokenRefused("the token requires an extension that this service does not support")
        key = await self._keys.find(header)
        try:
            claims = jwt.decode(
                token,
                key.material,
                algorithms=key.algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                # Symphony's tokens have a number for a subject, which RFC 7519 forbids; `principal_of` checks it.
                options={"require": ["exp", "sub"], "verify_aud": self._audience is not None, "verify_sub": False},
            )
            expires_at = float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("the token has expired") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused("the token is not valid here") from error
        return principal_of(claims, default_tenant=self._default_tenant), expires_at
