"""
Keys that a server publishes, and rotates.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from holdfast.service.accounts.errors import AccountsUnavailable, TokenRefused
from holdfast.service.accounts.keys import FRESH, PATIENCE, STALE, PublicKeys, parse_keys, require_safe
from tests.accounts.tokens import EC, OTHER_RSA, RSA, Answering, Clock, answering, jwk, pem

OLD = {"alg": "RS256", "kid": "old"}
NEW = {"alg": "ES256", "kid": "new"}


@pytest.fixture
def server() -> Iterator[Answering]:
    """Return a server that publishes one key."""
    with answering() as found:
        found.publish(jwk(RSA, "old"))
        yield found


async def is_known(keys: PublicKeys, token: dict[str, str]) -> bool:
    """Say whether the key of *token* is one that is trusted now."""
    try:
        await keys.find(token)
    except TokenRefused:
        return False
    return True


async def test_rotation(server: Answering) -> None:
    """A new key is found at once, an old one that is gone is refused soon after the set is old."""
    clock = Clock()
    keys = PublicKeys(server.url, clock=clock)
    await keys.find(OLD)
    server.publish(jwk(RSA, "old"), jwk(EC, "new"))
    clock.now += PATIENCE
    await keys.find(NEW)
    server.publish(jwk(EC, "new"))
    await keys.find(OLD)
    clock.now += FRESH + 1
    await keys.find(NEW)
    async with asyncio.timeout(10):
        while await is_known(keys, OLD):
            await asyncio.sleep(0.001)
    await keys.find(NEW)
    await keys.close()

    assert 3 == len(server.asked)


async def test_nobody_waits_for_a_set_that_is_still_good(server: Answering) -> None:
    """A set that is old is fetched again behind the backs of those who ask; a server that hangs is in nobody's way."""
    clock = Clock()
    keys = PublicKeys(server.url, clock=clock)
    await keys.find(OLD)
    server.publish(jwk(RSA, "old"), jwk(EC, "new"))
    server.free.clear()
    clock.now += FRESH + 1
    async with asyncio.timeout(2):
        found = await asyncio.gather(*(keys.find(OLD) for _ in range(20)))
    assert {"old"} == {key.name for key in found}
    server.free.set()

    assert "new" == (await keys.find(NEW)).name
    assert 2 == len(server.asked)
    await keys.close()


async def test_close_while_a_set_is_fetched(server: Answering) -> None:
    """Whoever closes does not wait for a server that hangs."""
    clock = Clock()
    keys = PublicKeys(server.url, clock=clock)
    await keys.find(OLD)
    server.free.clear()
    clock.now += FRESH + 1
    await keys.find(OLD)
    async with asyncio.timeout(2):
        await keys.close()


ODD = [
    {"kty": "RSA", "n": 5, "e": "AQAB"},
    {"kty": "RSA", "n": "AQ", "e": "AQ"},
    {"kty": "RSA", "alg": "RS256", "n": "!!", "e": "%%"},
    {"kty": "RSA", "alg": ["a"], "n": "AQ", "e": "AQAB"},
    {"kty": "RSA", "alg": "RS256", "n": None, "e": {}},
    {"kty": "RSA", "alg": "ES256"},
    {"kty": "EC", "crv": "P-256", "x": None, "y": None},
    {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
    {"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"},
    {"kty": "EC", "crv": ["P-256"], "x": "AQ", "y": "AQ"},
    {"kty": ["RSA"]},
    {"kty": "RSA", "use": ["sig"]},
    {"kty": "oct", "k": "AQ"},
    {},
    5,
    None,
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_odd_keys_are_passed_over(odd: object) -> None:
    """A key that cannot be understood is no reason to refuse the others (RFC 7517, section 5)."""
    found = parse_keys(json.dumps({"keys": [odd, jwk(RSA, "good")]}).encode())

    assert ["good"] == [key.name for key in found]


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")], ids=["RSA", "EC"])
def test_private_keys_are_none(key: Any, algorithm: str) -> None:  # noqa: ANN401 - as jwt
    """Whoever publishes a private key has published nothing that can be trusted."""
    private = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key))

    assert "d" in private
    assert [] == list(parse_keys(json.dumps({"keys": [private, jwk(key, "b", use="enc")]}).encode()))


@pytest.mark.parametrize(
    ("named", "algorithms"),
    [({}, ("RS256", "RS512")), ({"alg": "RS256"}, ("RS256",)), ({"alg": "RS512"}, ("RS512",)), ({"alg": "HS256"}, None)],
    ids=str,
)
def test_what_a_key_is_for(named: dict[str, str], algorithms: tuple[str, ...] | None) -> None:
    """A key is for what it says, else for all of its kind; never for a secret's."""
    found = parse_keys(json.dumps({"keys": [{**jwk(RSA, "a"), **named}]}).encode())

    assert ([] if algorithms is None else [algorithms]) == [key.algorithms for key in found]


async def test_unknown_keys_have_to_be_patient(server: Answering) -> None:
    """One unknown name after the other has the set fetched no more often than every few seconds."""
    clock = Clock()
    keys = PublicKeys(server.url, clock=clock)
    counts = []
    for _ in range(3):
        for step in (0.0, PATIENCE / 2, PATIENCE / 2 - 0.1):
            clock.now += step
            assert not await is_known(keys, NEW)
        counts.append(len(server.asked))
        clock.now += 0.1
    await keys.close()

    assert [1, 2, 3] == counts


async def test_unknown_keys_do_not_flood_the_server(server: Answering) -> None:
    """However many unknown names come, and however many at once, the set is fetched seldom."""
    keys = PublicKeys(server.url, clock=Clock())
    results = await asyncio.gather(*(keys.find({"alg": "RS256", "kid": f"k{at}"}) for at in range(200)), return_exceptions=True)
    await keys.close()

    assert {TokenRefused} == {type(result) for result in results}
    assert 1 == len(server.asked)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, b""),
        (404, b"{}"),
        (302, b""),
        (200, b"not JSON"),
        (200, b"[]"),
        (200, b'{"keys": 5}'),
        (200, b" " * 300_000),
        (200, b"[" * 100_000),
    ],
    ids=["error", "missing", "elsewhere", "garbage", "list", "no keys", "too large", "too deep"],
)
async def test_old_keys_while_there_are_no_new_ones(server: Answering, status: int, content: bytes) -> None:
    """A server that is down for a while harms nobody; when it is down for too long, nobody can be verified."""
    clock = Clock()
    keys = PublicKeys(server.url, clock=clock)
    await keys.find(OLD)
    server.status, server.content = status, content
    clock.now += FRESH + 1
    await keys.find(OLD)
    clock.now += STALE
    with pytest.raises(AccountsUnavailable):
        await keys.find(OLD)
    await keys.close()


async def test_a_server_that_never_answered() -> None:
    """Without any keys nobody is refused for good: it cannot be known."""
    keys = PublicKeys("http://127.0.0.1:9/", clock=Clock())
    with pytest.raises(AccountsUnavailable):
        await keys.find(OLD)
    await keys.close()


@pytest.mark.parametrize(
    ("header", "is_found"),
    [
        ({"alg": "RS256", "kid": "a"}, True),
        ({"alg": "RS512", "kid": "a"}, True),
        ({"alg": "RS384", "kid": "a"}, False),
        ({"alg": "RS256"}, False),
        ({"alg": "ES256"}, True),
        ({"alg": "ES256", "kid": "a"}, False),
        ({"alg": "HS256", "kid": "a"}, False),
        ({"alg": "none"}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_which_key(server: Answering, header: dict[str, str], is_found: bool) -> None:
    """By name; without one, only where one key is for the algorithm.  The key says the algorithm, not the token."""
    server.publish(jwk(RSA, "a"), jwk(OTHER_RSA, "b"), jwk(EC, "c"), jwk(EC, "d", use="enc"), jwk(EC, "e", alg="ES384"))
    keys = PublicKeys(server.url, clock=Clock())
    if is_found:
        assert header["alg"] in (await keys.find(header)).algorithms
    else:
        with pytest.raises(TokenRefused):
            await keys.find(header)
    await keys.close()


@pytest.mark.parametrize("url", ["http://id.example/jwks", "ftp://id.example", "file:///etc/passwd", "", "//id.example"])
def test_unsafe(url: str) -> None:
    """Keys that somebody on the way could change are none."""
    with pytest.raises(ValueError, match="https"):
        require_safe(url)


def test_pem() -> None:
    """A PEM is one key; a private key or nonsense is none."""
    assert [("RS256", "RS512"), ("ES256",)] == [parse_keys(pem(key))[0].algorithms for key in (RSA, EC)]
    with pytest.raises(ValueError, match="public key"):
        parse_keys(b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n")
