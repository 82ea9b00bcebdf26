"""
What the picture of those without a picture is.
"""

from __future__ import annotations

import pytest

from holdfast.service.images.default import default_picture
from holdfast.service.images.errors import RenditionInvalid
from holdfast.service.images.inspect import inspect
from tests.images.pictures import LIMITS, decoded


@pytest.mark.parametrize("size", [1, 2, 3, 17, 128, 1024])
def test_size(size: int) -> None:
    """It is a PNG of the size that was asked for, and one that this service shows."""
    facts = inspect(default_picture(size), LIMITS)

    assert ("image/png", size, size, 1) == (facts.content_type, facts.width, facts.height, facts.frames)


@pytest.mark.parametrize("size", [-1, 0, 1025, 10**9])
def test_out_of_range(size: int) -> None:
    """A picture without pixels, or a huge one, is refused before it is drawn."""
    with pytest.raises(RenditionInvalid):
        default_picture(size)


def test_same_bytes() -> None:
    """It is the same when it is drawn again."""
    first = default_picture(64)

    assert first == default_picture(64)


def test_silhouette() -> None:
    """There are a head and shoulders, the same on both sides, in front of something lighter, and no other colours between."""
    picture = decoded(default_picture(100))
    light, dark = 0xE6, 0xA8

    assert "L" == picture.mode
    assert {light} == {picture.getpixel(place) for place in [(0, 0), (99, 0), (0, 60), (50, 10), (50, 59), (0, 99)]}
    assert {dark} == {picture.getpixel(place) for place in [(50, 37), (40, 37), (60, 37), (50, 80), (20, 98), (80, 98)]}
    assert (dark, light) == picture.getextrema()
