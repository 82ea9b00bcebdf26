"""
How many requests a process takes with the descriptors that it has.
"""

from __future__ import annotations

import pytest

from holdfast.service.server.descriptors import Descriptors


@pytest.mark.parametrize(
    ("connections", "requests", "expected"), [(122, 2, False), (123, 2, True), (124, 1, False), (8, 60, True)]
)
def test_used_up(connections: int, requests: int, expected: bool) -> None:
    """A connection takes one descriptor and each of its requests two: a file, and for a download the connection once more."""
    descriptors = Descriptors(256)

    assert 128 == descriptors.room
    assert expected is descriptors.are_used_up(range(connections), range(requests))
