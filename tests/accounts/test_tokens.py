"""
Tokens: what is taken, and everything that is not.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from holdfast.service.accounts.errors import TokenExpired, TokenRefused, Unauthenticated
from holdfast.service.accounts.keys import KeyFile, KeySource, Secret, VerifyingKey
from holdfast.service.accounts.making import make_token
from holdfast.service.accounts.tokens import MAX_TOKEN, TokenVerifier
from holdfast.service.core.principals import Capability, Principal
from holdfast.storage.records import Subject, Tenant
from tests.accounts.tokens import EC, OTHER_RSA, RSA, SECRET, Clock, claims, jwk, pem, signed

DEFAULT = Tenant("1")


def verifier(keys: KeySource | None = None, **settings: Any) -> TokenVerifier:  # noqa: ANN401 - as TokenVerifier
    """Return a verifier with these keys."""
    return TokenVerifier(keys or Secret(SECRET), default_tenant=DEFAULT, **settings)


def unsigned(algorithm: str) -> str:
    """Return a token that says it has no signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, claims())]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


async def test_taken() -> None:
    """A token that is signed with the secret is from whom it says."""
    assert Subject("kelp") == (await verifier().verify(signed())).subject


@pytest.mark.parametrize("subject", [12345678900000, 0])
async def test_a_number_is_a_subject(subject: int) -> None:
    """A subject that is a whole number, as Symphony's tokens have it, is who its digits say."""
    assert str(subject) == (await verifier().verify(signed(sub=subject))).subject


async def test_made_here() -> None:
    """What `holdfast token` makes says all that it was asked for."""
    token = make_token(
        secret=SECRET, tenant="9", subject="kelp", roles=["admin"], entitlements=["a b"], capabilities=["view"], audience="us"
    )
    found = await verifier(audience="us").verify(token)

    assert (
        Principal(
            tenant=Tenant("9"),
            subject=Subject("kelp"),
            roles=frozenset({"admin"}),
            entitlements=frozenset({"a b"}),
            capabilities=frozenset({Capability.VIEW}),
        )
        == found
    )


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (signed(exp=int(time.time()) - 60), TokenExpired),
        (signed(nbf=int(time.time()) + 3600), TokenRefused),
        (signed(exp=None), TokenRefused),
        (signed(exp="soon"), TokenRefused),
        (signed(exp=10**400), TokenRefused),
        (signed(sub=None), TokenRefused),
        (signed("another secret, just as long as it"), TokenRefused),
        (signed(SECRET.upper()), TokenRefused),
        (jwt.encode(claims(), SECRET * 2, algorithm="HS512"), TokenRefused),
        (unsigned("none"), TokenRefused),
        (unsigned("None"), TokenRefused),
        (unsigned("NONE"), TokenRefused),
        (unsigned("HS256"), TokenRefused),
        (jwt.encode(claims(), SECRET, headers={"crit": ["b64"], "b64": True}), TokenRefused),
        (signed(filler="x" * MAX_TOKEN), TokenRefused),
        ("", TokenRefused),
        ("...", TokenRefused),
        ("\ud800.a.b", TokenRefused),
    ],
    ids=[
        "expired",
        "not yet",
        "without an end",
        "an end that is no time",
        "an end beyond time",
        "from nobody",
        "another key",
        "nearly the key",
        "another algorithm",
        "none",
        "None",
        "NONE",
        "no signature",
        "critical extension",
        "too long",
        "empty",
        "dots",
        "no text",
    ],
)
async def test_refused(token: str, error: type[Unauthenticated]) -> None:
    """Each is refused, by a sentence that tells nothing of keys."""
    with pytest.raises(error) as caught:
        await verifier().verify(token)

    assert SECRET not in caught.value.reason


@pytest.mark.parametrize("at", range(0, len(signed()), 3))
async def test_cut(at: int) -> None:
    """A token that was cut anywhere is refused."""
    token = signed()
    for broken in (token[:at], token[at + 1 :]):
        with pytest.raises(TokenRefused):
            await verifier().verify(broken)


@pytest.mark.parametrize(
    ("settings", "changed", "is_taken"),
    [
        ({"issuer": "us"}, {"iss": "us"}, True),
        ({"issuer": "us"}, {"iss": "them"}, False),
        ({"issuer": "us"}, {}, False),
        ({"audience": "us"}, {"aud": "us"}, True),
        ({"audience": "us"}, {"aud": ["them", "us"]}, True),
        ({"audience": "us"}, {"aud": "them"}, False),
        ({"audience": "us"}, {}, False),
    ],
)
async def test_issuer_and_audience(settings: dict[str, Any], changed: dict[str, Any], is_taken: bool) -> None:
    """Where they are told, they have to agree."""
    token = signed(**changed)
    if is_taken:
        await verifier(**settings).verify(token)
    else:
        with pytest.raises(TokenRefused):
            await verifier(**settings).verify(token)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "RS512"), (EC, "ES256")])
async def test_key_file(tmp_path: Path, key: object, algorithm: str) -> None:
    """A public key in a file takes what its private half signed, and is no secret that could sign."""
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))  # type: ignore[arg-type]
    keys = verifier(KeyFile(str(path)))
    await keys.verify(signed(key, algorithm))
    confused = ".".join(unsigned("HS256").split(".")[:2])
    mac = jwt.get_algorithm_by_name("HS256").sign(confused.encode(), pem(key))  # type: ignore[arg-type]
    for token in (signed(OTHER_RSA, "RS256"), f"{confused}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}", signed()):
        with pytest.raises(TokenRefused):
            await keys.verify(token)


async def test_key_file_that_changes(tmp_path: Path) -> None:
    """A file is read again when it was written again."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(RSA, "a")]}))
    keys = verifier(KeyFile(str(path)))
    await keys.verify(signed(RSA, "RS256", "a"))
    path.write_text(json.dumps({"keys": [jwk(OTHER_RSA, "b"), jwk(EC, "c")]}))
    os.utime(path, (1, 1))
    await keys.verify(signed(OTHER_RSA, "RS256", "b"))
    await keys.verify(signed(EC, "ES256"))
    with pytest.raises(TokenRefused):
        await keys.verify(signed(RSA, "RS256", "a", other=1))


async def test_it_remembers_and_forgets() -> None:
    """A token is verified once a minute, and ends on time all the same."""
    clock = Clock()
    asked = []

    class Counting(Secret):
        async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
            asked.append(header)
            return await super().find(header)

    keys = TokenVerifier(Counting(SECRET), default_tenant=DEFAULT, leeway=0, clock=clock)
    token = signed(exp=int(clock.now) + 2)
    for _ in range(10):
        await keys.verify(token)
    clock.now += 3
    await keys.verify(signed())

    assert 2 == len(asked)
    assert clock.now > next(iter(keys._known.values()))[0]


async def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered has a bound; what was verified last is kept."""
    monkeypatch.setattr("holdfast.service.accounts.tokens.REMEMBERED", 2)
    asked: list[str] = []

    class Telling(Secret):
        async def find(self, header: Mapping[str, Any]) -> VerifyingKey:
            asked.append(header["kid"])
            return await super().find(header)

    keys = verifier(Telling(SECRET))
    tokens = {name: signed(kid=name) for name in "abc"}
    for name in "abcbca":
        await keys.verify(tokens[name])

    assert [*"abca"] == asked


@pytest.mark.parametrize("secret", ["", "short", SECRET[1:]])
def test_short_secrets(secret: str) -> None:
    """A secret that could be guessed is not taken."""
    with pytest.raises(ValueError, match="32 bytes"):
        Secret(secret)
