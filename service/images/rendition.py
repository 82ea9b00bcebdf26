"""
The sizes in which clients want images, and what they mean for an image of a given size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass

from holdfast.service.images.errors import RenditionInvalid

MAX_DIMENSION = 4096
STEPS = (50, 100, 150, 200, 300, 400, 600, 800, 1024, 1536, 2048, 3072, MAX_DIMENSION)
"""The sides of renditions, besides those that slots list: they bound what is made and kept of an image."""
SHAPE = 48
"""The number of shapes of a box, in either direction; 2:1, 16:9, 3:2, 4:3 and 1:1 are among them."""

Box = tuple[float, float, float, float]


def dimension(text: str) -> int:
    """
    Parse a width or height in pixels.

    :raises RenditionInvalid: it is not a number from 1 to `MAX_DIMENSION`
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_DIMENSION)) and 1 <= int(text) <= MAX_DIMENSION):
        raise RenditionInvalid(f"a width or height is a number from 1 to {MAX_DIMENSION}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """
    The box in pixels that an image must fit in or, with *crop*, fill: what exceeds it around the centre is cut off.

    Nothing is enlarged.  Without bounds, it is the image in its own size, sanitised.
    """

    width: int | None = None
    height: int | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        for bound in (self.width, self.height):
            if bound is not None and not 1 <= bound <= MAX_DIMENSION:
                raise RenditionInvalid(f"a width or height is a number from 1 to {MAX_DIMENSION}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The part of an image that is shown, and the size in which it is shown, in pixels."""

    box: Box
    size: tuple[int, int]


def rounded_up(rendition: Rendition, sizes: Collection[int]) -> Rendition:
    """
    Return the smallest rendition that is made and is not smaller than *rendition*; *sizes* are additional sides.

    A box that is filled keeps its shape, within a 48th of its longer side.
    """
    sides = sorted({*STEPS, *sizes})
    width, height = rendition.width, rendition.height
    if rendition.crop and width is not None and height is not None:
        if width in sides and height in sides:
            return rendition
        longer, shorter = max(width, height), min(width, height)
        side = _up(longer, sides)
        other = -(-side * -(-shorter * SHAPE // longer) // SHAPE)
        width, height = (side, other) if width == longer else (other, side)
        return Rendition(width=width, height=height, crop=True)
    return Rendition(
        width=None if width is None else _up(width, sides),
        height=None if height is None else _up(height, sides),
        crop=False,  # with one side, there is nothing to cut off
    )


def _up(side: int, sides: list[int]) -> int:
    """Return the first of *sides* that is not smaller than *side*."""
    return sides[bisect_left(sides, side)]


def place(width: int, height: int, rendition: Rendition) -> Placement:
    """Return the placement of *rendition* for an image of *width* and *height*."""
    if rendition.crop and rendition.width is not None and rendition.height is not None:
        return _cropped(width, height, rendition.width, rendition.height)
    most_width = min(width, rendition.width or width)
    most_height = min(height, rendition.height or height)
    if most_width * height <= most_height * width:
        size = most_width, _rounded(height * most_width, width)
    else:
        size = _rounded(width * most_height, height), most_height
    return Placement(box=(0, 0, width, height), size=size)


def _cropped(width: int, height: int, box_width: int, box_height: int) -> Placement:
    """
    Return the largest part around the centre with the shape of the box, reduced to the size of the box.

    If the image is smaller than the box, the part is not resized: it has the shape of the box.
    """
    if width * box_height <= height * box_width:
        part: tuple[float, float] = width, min(height, width * box_height / box_width)
    else:
        part = min(width, height * box_width / box_height), height
    if box_width <= part[0]:
        size = box_width, box_height
    else:
        part = size = max(1, round(part[0])), max(1, round(part[1]))
    left, top = (width - part[0]) / 2, (height - part[1]) / 2
    if part[0] == size[0]:  # whole pixels are taken as they are
        left, top = left // 1, top // 1
    return Placement(box=(left, top, left + part[0], top + part[1]), size=size)


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest whole number of pixels, at least one."""
    return max(1, (2 * numerator + denominator) // (2 * denominator))
