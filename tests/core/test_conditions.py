"""
Conditions, by the words of RFC 9110.
"""

from __future__ import annotations

import pytest

from holdfast.service.core.conditions import ANY, Condition

TAG = frozenset({'"a"'})
WEAK = frozenset({'W/"a"'})
BOTH = frozenset({'"b"', '"a"'})
EMPTY = frozenset({'""'})


@pytest.mark.parametrize(
    ("condition", "etag", "holds"),
    [
        (Condition(), "", True),
        (Condition(), "a", True),
        (Condition(if_match=ANY), "a", True),
        (Condition(if_match=ANY), "", False),
        (Condition(if_match=TAG), "a", True),
        (Condition(if_match=TAG), "b", False),
        (Condition(if_match=TAG), "", False),
        (Condition(if_match=EMPTY), "", False),
        (Condition(if_match=BOTH), "a", True),
        (Condition(if_match=BOTH), "c", False),
        (Condition(if_match=WEAK), "a", False),
        (Condition(if_none_match=ANY), "a", False),
        (Condition(if_none_match=ANY), "", True),
        (Condition(if_none_match=TAG), "a", False),
        (Condition(if_none_match=WEAK), "a", False),
        (Condition(if_none_match=TAG), "b", True),
        (Condition(if_none_match=BOTH), "", True),
        (Condition(if_match=TAG, if_none_match=ANY), "a", False),
        (Condition(if_match=TAG, if_none_match=ANY), "", False),
        (Condition(if_match=ANY, if_none_match=TAG), "b", True),
        (Condition(if_match=ANY, if_none_match=TAG), "a", False),
    ],
)
def test_holds(condition: Condition, etag: str, holds: bool) -> None:
    """Both fields count; a weak tag never matches strongly, and what is not there matches nothing."""
    assert holds == condition.holds(etag)


@pytest.mark.parametrize(
    ("condition", "pinned"),
    [
        (Condition(), None),
        (Condition(if_match=ANY), None),
        (Condition(if_match=BOTH), "a"),
        (Condition(if_none_match=BOTH), None),
    ],
)
def test_pinned(condition: Condition, pinned: str | None) -> None:
    """Who names an etag wants it to stay that one until the change is made."""
    assert pinned == condition.pinned("a")
