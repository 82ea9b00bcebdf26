"""
What sniffing promises.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core.content.sniffing import SIGNATURES, SNIFFED_BYTES, canonical, is_utf8, sniff


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


@given(st.text(max_size=20), st.integers(0, 80))
def test_utf8(text: str, cut: int) -> None:
    """What begins as UTF-8 is UTF-8, wherever it is cut; whole content has whole characters only."""
    content = text.encode("utf-8", "surrogatepass")
    start = content[:cut]
    try:
        is_text = start.decode() is not None
    except UnicodeDecodeError as error:
        is_text, is_cut = False, error.reason == "unexpected end of data"
        assert is_utf8(start, whole=False) is is_cut

    assert is_utf8(start, whole=True) is is_text
