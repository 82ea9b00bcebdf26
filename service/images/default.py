"""
Draws the default picture, for objects without one.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw

from holdfast.service.images.errors import RenditionInvalid

MAX_SIZE = 1024
LIGHT, GREY = 0xE6, 0xA8
FINER = 4
"""Pillow draws without antialiasing: the picture is drawn this many times larger, and reduced."""

# Fractions of the side: left, top, right, bottom.  The shoulders extend below the picture.
HEAD = (0.31, 0.18, 0.69, 0.56)
SHOULDERS = (0.12, 0.63, 0.88, 1.40)


def default_picture(size: int) -> bytes:
    """
    Return a PNG of a head and shoulders, *size* pixels wide and high (1 to 1024); the same bytes each time.

    :raises RenditionInvalid: *size* is out of range
    """
    if not 1 <= size <= MAX_SIZE:
        raise RenditionInvalid(f"the size is a number from 1 to {MAX_SIZE}")
    side = size * FINER
    drawn = Image.new("L", (side, side), LIGHT)
    pen = ImageDraw.Draw(drawn)
    for left, top, right, bottom in (HEAD, SHOULDERS):
        pen.ellipse((left * side, top * side, right * side, bottom * side), fill=GREY)
    written = BytesIO()
    drawn.reduce(FINER).save(written, "PNG", optimize=True)
    return written.getvalue()
