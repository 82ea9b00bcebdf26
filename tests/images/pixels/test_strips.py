"""
Pixels changed in strips.
"""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from holdfast.service.images.pixels.strips import STRIP, in_strips
from tests.images.pictures import gradient

LARGE = (1500, 2000)


@pytest.mark.parametrize("size", [(3, 5), LARGE, (LARGE[1], LARGE[0]), (STRIP + 1, 2), (1, STRIP + 1)], ids=str)
def test_as_a_whole(size: tuple[int, int]) -> None:
    """The strips together are what the whole would be, to the last row."""
    picture = gradient("RGB", (50, 40)).resize(size)

    assert ImageChops.invert(picture).tobytes() == in_strips(picture, "RGB", ImageChops.invert).tobytes()


def test_strips_are_small() -> None:
    """No strip has more pixels than is good, and there are as few as can be."""
    sizes = []

    def change(strip: Image.Image) -> Image.Image:
        sizes.append(strip.size)
        return strip.convert("L")

    in_strips(Image.new("RGB", LARGE), "L", change)

    assert [(1500, 666), (1500, 666), (1500, 666), (1500, 2)] == sizes
