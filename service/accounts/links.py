"""
Signed links: a link allows one capability on one upload for a limited time, without an account.

    v2.<payload, base64url of JSON>.<HMAC-SHA-256 of both, base64url>
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from holdfast.service.accounts.errors import TokenExpired, TokenRefused
from holdfast.service.core.principals import Capability, Principal
from holdfast.storage.keys import parse_key
from holdfast.storage.records import Key, Subject, Tenant

VERSION = "v2"
MAX_LINK = 4096  # characters; tenant and subject have 255 each, and four bytes for each of them at most
SECRET_BYTES = 32

_LINK = re.compile(r"(v2\.[0-9A-Za-z_-]+)\.([0-9A-Za-z_-]{43})")


class Links:
    """Signs and verifies links, which are valid for at most *longest* seconds."""

    def __init__(self, secret: bytes | None = None, *, longest: float = 3600, clock: Callable[[], float] = time.time) -> None:
        """Without *secret*, sign with a random one, which no other process can verify, until `use` sets one."""
        self.use(secret or secrets.token_bytes(SECRET_BYTES))
        self._longest = longest
        self._clock = clock

    def use(self, secret: bytes) -> None:
        """Sign with *secret* from now on."""
        # A derived key: a signature made with the same secret for another purpose never verifies as a link.
        self._key = hmac.digest(secret, b"holdfast link", "sha256")

    def sign(
        self, *, purpose: Capability, tenant: Tenant, key: Key, expires_at: int, subject: Subject | None, owns_key: bool
    ) -> str:
        """
        Return a link.

        :param expires_at: seconds since the epoch
        :param owns_key: whether the upload belongs to *subject*
        :raises ValueError: it would be valid for too long.
        """
        if expires_at > self._clock() + self._longest:
            raise ValueError(f"a link is valid for at most {self._longest} seconds")
        values = [purpose.value, tenant, key, expires_at, subject, owns_key]
        signed = f"{VERSION}.{_encoded(json.dumps(values, ensure_ascii=False, separators=(',', ':')).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def verify(self, link: str, *, now: float) -> Principal:
        """
        Return the principal that a link stands for.

        :raises TokenRefused: the signature is wrong.
        :raises TokenExpired: the link has expired at *now* (seconds since the epoch).
        """
        match = _LINK.fullmatch(link) if len(link) <= MAX_LINK else None
        if match is None or not hmac.compare_digest(self._signature(match[1]), match[2]):
            raise TokenRefused("the link is not valid")
        payload = match[1].removeprefix(f"{VERSION}.")
        values = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        purpose, tenant, key, expires_at, subject, owns_key = values
        if expires_at <= now:
            raise TokenExpired("the link has expired")
        return Principal(
            tenant=Tenant(tenant),
            subject=None if subject is None else Subject(subject),
            capabilities=frozenset({Capability(purpose)}),
            key=parse_key(key),
            owns_key=owns_key,
        )

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
