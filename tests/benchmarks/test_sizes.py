"""
`benchmarks.sizes`
"""

from __future__ import annotations

import pytest

from benchmarks.sizes import GiB, KiB, MiB, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("4096", 4096), ("64K", 64 * KiB), ("512MiB", 512 * MiB), ("4 gib", 4 * GiB)],
)
def test_parse_size(text: str, expected: int) -> None:
    """
    Units are powers of two, however they are written.
    """

    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "GiB", "1.5GiB", "-1", "1TiB", "1GB", "1 GiB more"])
def test_parse_size_refuses(text: str) -> None:
    """
    What is no size is refused, and so are units of ten, which would be taken for others.
    """
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 bytes"), (1000, "1000 bytes"), (4 * MiB, "4 MiB"), (1280 * MiB, "1280 MiB")]
)
def test_format_size(count: int, expected: str) -> None:
    """
    A size is told in the largest unit that leaves no fraction.
    """

    assert expected == format_size(count)
