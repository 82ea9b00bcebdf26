"""
`benchmarks.load`
"""

from __future__ import annotations

import pytest

from benchmarks.load import Sent, elapsed, shares


@pytest.mark.parametrize(
    ("whole", "parts", "expected"),
    [(8, 1, [8]), (8, 3, [3, 3, 2]), (2, 8, [1, 1]), (0, 4, [])],
)
def test_shares(whole: int, parts: int, expected: list[int]) -> None:
    """
    Shares are nearly equal, lose nothing and are never empty.
    """

    assert expected == shares(whole, parts)


def test_elapsed() -> None:
    """
    Time runs from the first beginning to the last end.
    """

    assert elapsed([Sent(began=2.0, ended=5.0, paths=()), Sent(began=1.0, ended=4.0, paths=())]) == 4.0
