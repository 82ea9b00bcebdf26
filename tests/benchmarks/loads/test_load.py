"""
`benchmarks.loads.load`
"""

from __future__ import annotations

import pytest

from benchmarks.loads.load import CONCURRENCY, Sent, dealt, shares, together


@pytest.mark.parametrize(
    ("whole", "parts", "expected"),
    [(8, 1, [8]), (8, 3, [3, 3, 2]), (2, 8, [1, 1]), (0, 4, [])],
)
def test_shares(whole: int, parts: int, expected: list[int]) -> None:
    """
    Shares are nearly equal, lose nothing and are never empty.
    """

    assert expected == shares(whole, parts)


def test_together() -> None:
    """
    Time runs from the first beginning to the last end, and everybody's paths are told.
    """
    sent = together([Sent(began=2.0, ended=5.0, paths=("a",)), Sent(began=1.0, ended=4.0, paths=("b", "c"))])

    assert Sent(began=1.0, ended=5.0, paths=("a", "b", "c")) == sent
    assert sent.seconds == 4.0


def test_dealt() -> None:
    """
    Small requests are dealt to as many connections as there are, and to none in vain.
    """
    paths = [str(index) for index in range(CONCURRENCY + 1)]

    assert [["0", str(CONCURRENCY)], ["1"]] == [list(part) for part in dealt(paths)[:2]]
    assert [["0"], ["1"]] == [list(part) for part in dealt(paths[:2])]
