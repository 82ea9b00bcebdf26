"""The keys that verify tokens: a shared secret, a file, or a set that a server publishes and rotates."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from holdfast.service.accounts.asking import ask
from holdfast.service.accounts.errors import AccountsUnavailable, TokenRefused

logger = logging.getLogger("holdfast")

KiB = 1024
MIN_SECRET = 32  # bytes; RFC 7518, section 3.2
SYMMETRIC = ("HS256",)
RSA, EC = ("RS256", "RS512"), ("ES256",)
ASYMMETRIC = (*RSA, *EC)
MAX_SET = 256 * KiB
MAX_KEYS = 100
SECONDS = 1.0
TIMEOUT = 5 * SECONDS
FRESH = 300 * SECONDS
"""Seconds after which a set is fetched again."""
STALE = 3600 * SECONDS
"""Seconds for which an old set is used while fetching a new one fails."""
PATIENCE = 10 * SECONDS
"""Seconds between two fetches that unknown keys cause."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """
    A key, its algorithms, and its name (`kid`).

    The algorithms are all of one kind: a token can never make a public key serve as a shared secret.
    """

    material: Any
    algorithms: tuple[str, ...]
    name: str | None = None


class KeySource(Protocol):
    """Finds the key that a token was signed with."""

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key for a token with this (unverified) *header*.

        :raises TokenRefused: no key fits.
        :raises AccountsUnavailable: the keys cannot be read or fetched now.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Secret:
    """A secret that issuers share with this service (HS256 only)."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET:
            raise ValueError(f"the secret must have at least {MIN_SECRET} bytes")
        self._key = VerifyingKey(secret, SYMMETRIC)

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """Return the key, if the token names its algorithm."""
        return _fitting([self._key], {**header, "kid": None})

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


class KeyFile:
    """A file with one public key (PEM) or a set of keys (JWKS), read again when it changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[float, Sequence[VerifyingKey]] | None = None
        self._keys()  # a broken file stops the start

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """Return the key that the token names, or the only one that fits."""
        try:
            keys = await asyncio.to_thread(self._keys)
        except (OSError, ValueError) as error:
            raise AccountsUnavailable("the key file cannot be read") from error
        return _fitting(keys, header)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _keys(self) -> Sequence[VerifyingKey]:
        changed = os.stat(self._path).st_mtime
        if self._read is None or self._read[0] != changed:
            with open(self._path, "rb") as file:
                self._read = changed, parse_keys(file.read(MAX_SET + 1))
        return self._read[1]


class PublicKeys:
    """The set of keys (JWKS, RFC 7517) that a server publishes at *url*."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        require_safe(url)
        self._url = url
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=TIMEOUT)
        self._turn = asyncio.Lock()
        self._keys: Sequence[VerifyingKey] = ()
        self._refreshing: asyncio.Task[None] | None = None
        self._fetched_at = self._tried_at = float("-inf")

    async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
        """
        Return the key that the token names, fetching the set again if it lacks that key.

        A set that is due for renewal still serves while the new one is fetched.
        """
        age = self._clock() - self._fetched_at
        if age > STALE:
            await self._refresh()
        elif age > FRESH and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        try:
            return _fitting(self._keys, header)
        except TokenRefused:
            if header.get("alg") not in ASYMMETRIC:
                raise
            await self._refresh()
            return _fitting(self._keys, header)

    async def close(self) -> None:
        """Cancel a fetch under way and close the connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        await self._client.aclose()

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled() and task.exception() is not None:
            logger.info("cannot fetch the keys at %s: %s", self._url, task.exception())

    async def _refresh(self) -> None:
        asked_at = self._clock()
        async with self._turn:
            if self._tried_at >= asked_at or self._clock() - self._tried_at < PATIENCE:
                self._refuse_stale()
                return  # another request has just tried
            self._tried_at = self._clock()
            try:
                answer = await ask(self._client, "GET", self._url, most=MAX_SET, seconds=TIMEOUT)
                if answer.status != httpx.codes.OK:
                    raise AccountsUnavailable(f"the answer is {answer.status}")
                self._keys = parse_keys(answer.content)
                self._fetched_at = self._clock()
            except (AccountsUnavailable, ValueError) as error:
                logger.warning("cannot fetch the keys at %s: %s", self._url, error)
                self._refuse_stale()

    def _refuse_stale(self) -> None:
        if self._clock() - self._fetched_at > STALE:
            raise AccountsUnavailable("the keys cannot be fetched")


def parse_keys(content: bytes) -> Sequence[VerifyingKey]:
    """
    Return the public signature keys of a PEM or a JWKS; other keys are left out.

    :raises ValueError: the content is neither, or too large.
    """
    if len(content) > MAX_SET:
        raise ValueError(f"the keys take more than {MAX_SET} bytes")
    if b"-----BEGIN" in content:
        return [_from_pem(content)]
    try:
        values = json.loads(content)
    except RecursionError as error:
        raise ValueError("the keys are nested too deep") from error
    keys = values.get("keys") if isinstance(values, dict) else None
    if not isinstance(keys, list):
        raise ValueError("there is no list of keys")  # noqa: TRY004 - the file is wrong, not a type in our code
    found = []
    for value in keys[:MAX_KEYS]:
        key = _from_jwk(value) if isinstance(value, dict) and _is_public(value) else None
        if key is not None:
            found.append(key)
    return found


def require_safe(url: str) -> None:
    """
    Refuse a URL whose answers could be changed on the network.

    :raises ValueError: the URL is neither https nor http to this machine.
    """
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError(f"{url} must be https, or http to this machine")


def _is_public(value: Mapping[str, Any]) -> bool:
    """Say whether a JWK is a public signature key."""
    return value.get("kty") in ("RSA", "EC") and value.get("use", "sig") == "sig" and "d" not in value


def _from_jwk(value: Mapping[str, Any]) -> VerifyingKey | None:
    """
    Return the key that a JWK describes; None if it is not understood.

    RFC 7517, section 5: "Implementations SHOULD ignore JWKs within a JWK Set that use … values … out of the supported ranges".
    """
    try:
        key = jwt.PyJWK(dict(value))
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return None  # PyJWT and cryptography raise all of these for malformed values
    name = value.get("kid")
    if key.algorithm_name not in ASYMMETRIC:
        return None
    # RFC 7517, section 4.4: "alg" names the key's algorithm; a key without it serves all algorithms of its kind.
    algorithms = (key.algorithm_name,) if "alg" in value else _of_a_kind(key.algorithm_name)
    return VerifyingKey(key.key, algorithms, name if isinstance(name, str) else None)


def _from_pem(content: bytes) -> VerifyingKey:
    for algorithm in ASYMMETRIC:
        try:
            key = jwt.get_algorithm_by_name(algorithm).prepare_key(content)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return VerifyingKey(key, _of_a_kind(algorithm))
    raise ValueError(f"the file has no public key for {', '.join(ASYMMETRIC)}")


def _of_a_kind(algorithm: str) -> tuple[str, ...]:
    return RSA if algorithm in RSA else EC


def _fitting(keys: Sequence[VerifyingKey], header: Mapping[str, Any]) -> VerifyingKey:
    """Return the key of that name, or the only one for the algorithm; the key decides the algorithm, not the token."""
    name = header.get("kid")
    fitting = [key for key in keys if header.get("alg") in key.algorithms and name in (None, key.name)]
    if len(fitting) != 1:
        raise TokenRefused("the token was signed with an unknown key")
    return fitting[0]
