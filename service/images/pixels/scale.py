"""
Crops and resizes pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, floor

from PIL import Image

from holdfast.service.images.pixels.strips import STRIP
from holdfast.service.images.rendition import Box, Placement

GAP = 3.0
"""A picture that is made much smaller is first reduced by a whole factor, down to this many times its new size."""
PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}


def scaled(picture: Image.Image, placement: Placement) -> Image.Image:
    """Return the shown part of a picture, in the size in which it is shown; pixels that are not resized stay as they are."""
    if placement.size == picture.size:
        return picture
    left, top, right, bottom = placement.box
    if (float(placement.size[0]), float(placement.size[1])) == (right - left, bottom - top):
        # Resizing by 1 would still cost nearly clear colours their lower bits.
        return picture.crop((int(left), int(top), int(right), int(bottom)))
    # Crop first: pixels beside the shown part must not be mixed into its edges.
    whole = (floor(left), floor(top), ceil(right), ceil(bottom))
    box = (left - whole[0], top - whole[1], right - whole[0], bottom - whole[1])
    part = picture if whole == (0, 0, *picture.size) else picture.crop(whole)
    if part.mode in PREMULTIPLIED:
        return _clear_scaled(part, placement.size, box)
    return part.resize(placement.size, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)


def _clear_scaled(part: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """
    Return a picture with alpha in another size, as Pillow would, which needs a copy of the whole on the way.

    Here strips are multiplied by their alpha and reduced one by one: by a whole factor if that suffices for now (like
    `reducing_gap`), else in their width, which is the first of two steps of any resizing.
    """
    left, top, right, bottom = box
    mode = PREMULTIPLIED[part.mode]
    across, down = (max(1, int(long / short / GAP)) for long, short in ((right - left, size[0]), (bottom - top, size[1])))
    if across * down > 1:
        smaller = _in_rows(part, mode, (-(-part.width // across), down), lambda strip: strip.reduce((across, down)))
        left, right = left / across, right / across
    else:
        row = partial(_row, width=size[0], left=left, right=right)
        smaller = _in_rows(part, mode, (size[0], 1), row)
        left, right = 0, size[0]
    resized = smaller.resize(size, Image.Resampling.LANCZOS, box=(left, top / down, right, bottom / down))
    return resized.convert(part.mode)


def _row(strip: Image.Image, *, width: int, left: float, right: float) -> Image.Image:
    return strip.resize((width, strip.height), Image.Resampling.LANCZOS, box=(left, 0, right, strip.height))


def _in_rows(part: Image.Image, mode: str, shape: tuple[int, int], change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the rows of a picture after *change*; *shape* is the new width, and how many rows become one."""
    width, down = shape
    made = Image.new(mode, (width, -(-part.height // down)), None)
    rows = down * max(1, STRIP // part.width // down)
    for top in range(0, part.height, rows):
        strip = part.crop((0, top, part.width, min(top + rows, part.height))).convert(mode)
        made.paste(change(strip), (0, top // down))
    return made
