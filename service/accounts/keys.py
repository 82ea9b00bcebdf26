"""
The keys that tokens are verified with: a secret, a file, or a set that a server publishes and rotates.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import jwt

from service.accounts.errors import TokenRefused, Unavailable

KiB = 1024
MIN_SECRET = 32  # bytes; RFC 7518, section 3.2
SYMMETRIC = ("HS256",)
ASYMMETRIC = ("RS256", "ES256")
MAX_SET = 256 * KiB
MAX_KEYS = 100
SECONDS = 1.0
TIMEOUT = 5 * SECONDS
FRESH = 300 * SECONDS
"""A set is fetched again after this."""
STALE = 3600 * SECONDS
"""So long an old set is used while no new one can be had."""
PATIENCE = 10 * SECONDS
"""An unknown key has the set fetched again, but not more often than this."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key, the one algorithm that it is for, and its name."""

    material: Any
    algorithm: str
    name: str | None = None


class KeySource(Protocol):
    """Knows which key a token was signed with."""

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key for a token with this (unverified) *header*.

        :raises TokenRefused: there is none for it.
        :raises Unavailable: the keys cannot be had now.
        """
        ...

    async def close(self) -> None:
        """
        Let go of connections.
        """
        ...


class Secret:
    """
    A secret that issuers share with this service: HS256 only.
    """

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET:
            raise ValueError(f"the secret needs at least {MIN_SECRET} bytes")
        self._key = VerifyingKey(secret, "HS256")

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key, if the token says the algorithm that it is for.
        """
        return _fitting([self._key], {**header, "kid": None})

    async def close(self) -> None:
        """
        There is nothing to let go of.
        """


class KeyFile:
    """
    A public key (PEM) or a set of keys (JWKS) in a file, which is read again when it changes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[float, Sequence[VerifyingKey]] | None = None
        self._keys()  # a file that is no good is found at the start

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key that the token names, or the only one that fits.
        """
        try:
            keys = await asyncio.to_thread(self._keys)
        except (OSError, ValueError) as error:
            raise Unavailable("the key file cannot be read") from error
        return _fitting(keys, header)

    async def close(self) -> None:
        """
        There is nothing to let go of.
        """

    def _keys(self) -> Sequence[VerifyingKey]:
        changed = os.stat(self._path).st_mtime
        if self._read is None or self._read[0] != changed:
            with open(self._path, "rb") as file:
                self._read = changed, parse_keys(file.read(MAX_SET + 1))
        return self._read[1]


class PublicKeys:
    """
    The set of keys (JWKS, RFC 7517) that a server publishes at *url*.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        require_safe(url)
        self._url = url
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=TIMEOUT)
        self._turn = asyncio.Lock()
        self._keys: Sequence[VerifyingKey] = ()
        self._fetched_at = self._tried_at = float("-inf")

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key that the token names; one that is not known may have been published since.
        """
        if self._clock() - self._fetched_at > FRESH:
            await self._refresh()
        try:
            return _fitting(self._keys, header)
        except TokenRefused:
            if header.get("alg") not in ASYMMETRIC:
                raise
            await self._refresh()
            return _fitting(self._keys, header)

    async def close(self) -> None:
        """
        Let go of connections.
        """
        await self._client.aclose()

    async def _refresh(self) -> None:
        asked_at = self._clock()
        async with self._turn:
            if self._tried_at >= asked_at or self._clock() - self._tried_at < PATIENCE:
                self._refuse_stale()
                return  # somebody else just did
            self._tried_at = self._clock()
            try:
                self._keys = parse_keys(await self._fetch())
                self._fetched_at = self._clock()
            except (httpx.HTTPError, ValueError):
                self._refuse_stale()

    async def _fetch(self) -> bytes:
        content = b""
        async with self._client.stream("GET", self._url) as response:
            response.raise_for_status()
            async for block in response.aiter_bytes():
                content += block
                if len(content) > MAX_SET:
                    raise ValueError("the set is too large")
        return content

    def _refuse_stale(self) -> None:
        if self._clock() - self._fetched_at > STALE:
            raise Unavailable("the keys cannot be had")


def parse_keys(content: bytes) -> Sequence[VerifyingKey]:
    """
    Return the public keys of a PEM or a JWKS; those that are for something else are left out.

    :raises ValueError: it is neither, or too large.
    """
    if len(content) > MAX_SET:
        raise ValueError("the keys are too many")
    if b"-----BEGIN" in content:
        return [_from_pem(content)]
    values = json.loads(content)
    keys = values.get("keys") if isinstance(values, dict) else None
    if not isinstance(keys, list):
        raise ValueError("there are no keys")  # noqa: TRY004 - it is what the file says that is wrong
    found = []
    for value in keys[:MAX_KEYS]:
        if (
            isinstance(value, dict)
            and value.get("kty") in ("RSA", "EC")
            and value.get("use", "sig") == "sig"
            and "d" not in value
        ):
            try:
                key = jwt.PyJWK(value)
            except jwt.PyJWTError:
                continue
            if key.algorithm_name in ASYMMETRIC:
                name = value.get("kid")
                found.append(VerifyingKey(key.key, key.algorithm_name, name if isinstance(name, str) else None))
    return found


def require_safe(url: str) -> None:
    """
    Refuse a URL whose answer somebody on the way could change.

    :raises ValueError: it is neither https nor http to this machine.
    """
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError(f"{url} has to be https, or http to this machine")


def _is_public(value: Mapping[str, Any]) -> bool:
    """Say whether a JWK is a public key, for signatures."""
    return value.get("kty") in ("RSA", "EC") and value.get("use", "sig") == "sig" and "d" not in value


def _from_pem(content: bytes) -> VerifyingKey:
    for algorithm in ASYMMETRIC:
        try:
            key = jwt.get_algorithm_by_name(algorithm).prepare_key(content)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return VerifyingKey(key, algorithm)
    raise ValueError("the file has no public key for RS256 or ES256")


def _fitting(keys: Sequence[VerifyingKey], header: Mapping[str, Any]) -> VerifyingKey:
    """Return the key of that name, or the only one for the algorithm; the key says which that is, never the token alone."""
    name = header.get("kid")
    fitting = [key for key in keys if key.algorithm == header.get("alg") and name in (None, key.name)]
    if len(fitting) != 1:
        raise TokenRefused("the token was signed by somebody else")
    return fitting[0]
