"""
Positions of events that are counted.
"""

from __future__ import annotations

import pytest

from holdfast.storage.errors import UnknownPosition
from holdfast.storage.positions import parse_position


@pytest.mark.parametrize(("text", "position"), [("", 0), ("0", 0), ("17", 17), ("9" * 19, 2**63 - 1)])
def test_positions(text: str, position: int) -> None:
    """An empty one is before the first; none is larger than a database can compare."""
    assert position == parse_position(text)


@pytest.mark.parametrize("text", ["-1", "1.5", "a", " 1", "1_0", "\u0663", "9" * 20, "0-1"])
def test_no_positions(text: str) -> None:
    """All else is none."""
    with pytest.raises(UnknownPosition):
        parse_position(text)
