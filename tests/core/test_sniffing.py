"""
What sniffing promises.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.sniffing import SIGNATURES, SNIFFED_BYTES, canonical, sniff


@pytest.mark.parametrize("signature", SIGNATURES, ids=repr)
def test_signatures(signature: bytes) -> None:
    """Content is known by its first bytes, whole and in their place."""
    kind = SIGNATURES[signature]

    assert kind == sniff(signature)
    assert kind == sniff((signature + b"more")[:SNIFFED_BYTES])
    assert {None} == {sniff(signature[:-1]), sniff(b" " + signature), sniff(signature[:-1] + b"?")}


@given(st.binary(max_size=20))
def test_nothing_else_is_known(start: bytes) -> None:
    """What begins with no signature is of no known type."""
    known: set[str | None] = {kind for signature, kind in SIGNATURES.items() if start[: len(signature)] == signature}
    expected = known or {None}

    assert expected == {sniff(start)}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", "image/png"),
        (" IMAGE/Png ; charset=utf-8", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("image/pjpeg;q=1", "image/jpeg"),
        ("text/plain", "text/plain"),
        ("", ""),
    ],
)
def test_canonical(content_type: str, expected: str) -> None:
    """One type has one name."""
    assert expected == canonical(content_type) == canonical(canonical(content_type))
