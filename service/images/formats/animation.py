"""
A GIF whose frames were made smaller.

Each frame is encoded alone by Pillow, and put together by `gif.py`: Pillow would merge frames that look equal and add their
durations, and could not write the sum when it is too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

from PIL import Image, ImageChops

from holdfast.service.images.formats import gif
from holdfast.service.images.formats.outline import Frame, Outline
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.pixels.scale import scaled
from holdfast.service.images.rendition import Placement

COLOURS = 256
HALF = 128
"""A GIF has no half transparent pixels: from here on they are opaque."""


def encoded(image: Outline, placement: Placement) -> bytes:
    """Return a GIF of all frames, each in its place."""
    return gif.written(*placement.size, image.loop, _frames(image, placement))


def _frames(image: Outline, placement: Placement) -> Iterator[Frame]:
    """
    Yield the frames anew, each no larger than what changes with it.

    A frame can only add to what is there.  Where the next one has to be clear again, this one takes all of its place and leaves
    it clear; so what a frame is depends on the next.
    """
    base: Image.Image | None = None
    shown: Image.Image | None = None
    durations = iter(image.frames)
    for following in _placed(image, placement):
        if shown is not None:
            clears = ImageChops.subtract(shown.getchannel("A"), following.getchannel("A")).getbbox() is not None
            yield _frame(shown, None if clears else base, next(durations), gif.TO_BACKGROUND if clears else gif.KEPT)
            base = None if clears else shown
        shown = following
    if shown is not None:
        yield _frame(shown, base, next(durations), gif.KEPT)


def _placed(image: Outline, placement: Placement) -> Iterator[Image.Image]:
    """Yield what is seen of each frame, in its place; every pixel is opaque, or clear and without a colour."""
    for picture in gif.pictures(image):
        placed = scaled(picture, placement)
        clear = placed.getchannel("A").point(lambda alpha: 0 if alpha >= HALF else 255)
        sharp = placed.convert("RGB").convert("RGBA")
        sharp.paste(gif.CLEAR, mask=clear)
        yield sharp


def _frame(shown: Image.Image, base: Image.Image | None, original: Frame, disposal: int) -> Frame:
    """Return the frame that makes *shown* of *base*, or of nothing."""
    box = (0, 0, *shown.size)
    if base is not None:
        # When nothing changes the frame is one pixel, for the time that it takes.
        box = ImageChops.difference(shown, base).getbbox(alpha_only=False) or (0, 0, 1, 1)
    part = shown.crop(box)
    clear = ImageChops.invert(part.getchannel("A"))
    has_clear = clear.getbbox() is not None
    indexed = part.convert("RGB").quantize(COLOURS - has_clear, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = indexed.getpalette() or []
    transparent = len(colours) // 3 if has_clear else None
    if transparent is not None:
        indexed.putpalette([*colours, 0, 0, 0])
        indexed.paste(transparent, mask=clear)
    alone = BytesIO()
    indexed.save(alone, "GIF", optimize=False, interlace=False)
    (made,) = gif.outline(alone.getvalue(), ImageLimits()).frames
    left, top, *_ = box
    return replace(made, left=left, top=top, duration=original.duration, disposal=disposal, transparent=transparent)
