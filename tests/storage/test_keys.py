"""
What keys promise.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.keys import ALPHABET, LENGTH, new_key, parse_key, shard
from holdfast.storage.records import Key


def test_new_keys_are_keys() -> None:
    """A new key has ten characters of the alphabet, and no two are the same."""
    keys = [new_key() for _ in range(2000)]

    assert len(keys) == len(set(keys))
    assert set(ALPHABET) == set("".join(keys))
    assert {LENGTH} == set(map(len, keys))
    assert keys == [parse_key(key) for key in keys]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "012345678",
        "0123456789a",
        "012345678\n",
        "0123456789\n",
        "../../etc/",
        "012345678/",
        "012345678.",
        "012345678-",
        "\uff10123456789",
        "\u00e9123456789",
    ],
)
def test_what_is_no_key(text: str) -> None:
    """Nothing but ten digits and letters of ASCII is a key: no path, no line end, no digit of another script."""
    assert parse_key(text) is None


@given(st.text())
def test_a_key_stays_in_its_place(text: str) -> None:
    """Whatever a client says is either no key, or one that cannot leave a folder."""
    key = parse_key(text)

    assert key is None or (key == text and key.isascii() and key.isalnum() and len(key) == LENGTH)


def test_shard() -> None:
    """Keys are spread over folders by their first two characters."""
    assert "Ab" == shard(Key("Ab34567890"))
