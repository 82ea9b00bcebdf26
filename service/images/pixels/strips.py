"""
Changes pixels strip by strip, so that no intermediate copy is as large as the picture.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

STRIP = 1000 * 1000  # pixels


def in_strips(picture: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return a picture after *change*, in *mode*: the same object if that is its mode, else a new one of the same size."""
    width, height = picture.size
    rows = max(1, STRIP // width)
    made = picture if picture.mode == mode else Image.new(mode, picture.size)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        made.paste(change(picture.crop(box)), box)
    return made
