"""
Conditions as fields write them.
"""

from __future__ import annotations

import time

import pytest

from holdfast.service.core.conditions import ANY
from holdfast.service.protocols.http.wire import ProtocolError, condition_of


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, None),
        ("*", ANY),
        (" * ", ANY),
        ('"a"', {'"a"'}),
        ('W/"a"', {'W/"a"'}),
        ('"a", W/"b","c"', {'"a"', 'W/"b"', '"c"'}),
        (', "a" ,, ', {'"a"'}),
        ('"a,b"', {'"a,b"'}),
        ('""', {'""'}),
        ('"\xe9"', {'"\xe9"'}),
    ],
)
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
def test_lists(name: str, value: str | None, tags: frozenset[str] | None) -> None:
    """A list of entity tags, weak ones among them, or a star."""
    found = condition_of({} if value is None else {name: value})

    assert tags == (found.if_match if name == "if-match" else found.if_none_match)
    assert (found.if_none_match if name == "if-match" else found.if_match) is None


@pytest.mark.parametrize("value", ["", ",", "a", '"a', '"a" "b"', '*, "a"', 'w/"a"', '"a b"', '"a\x7f"', '"*'])
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
def test_no_lists(name: str, value: str) -> None:
    """What is none is refused, and not taken for no condition."""
    with pytest.raises(ProtocolError):
        condition_of({name: value})


@pytest.mark.parametrize(
    ("value", "tags"),
    [("", set()), ("*", ANY), ('a, "b"', {'"b"'}), ('"a" W/"b', {'"a"'}), ('"a', set())],
)
def test_readers_are_not_refused(value: str, tags: frozenset[str]) -> None:
    """A malformed field of a request that only reads is no error: the entity tags in it count, and nothing else."""
    assert tags == condition_of({"if-none-match": value}, strict=False).if_none_match


def test_no_trick_costs_time() -> None:
    """Thousands of spaces and commas are refused at once."""
    begin = time.process_time()
    with pytest.raises(ProtocolError):
        condition_of({"if-match": ",  \t " * 5_000 + "x"})

    assert time.process_time() - begin < 0.5
