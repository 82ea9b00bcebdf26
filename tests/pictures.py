"""
Real images, as small as they can be.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (3, 2), colour: tuple[int, int, int] = (20, 120, 90)) -> bytes:
    """
    Return an image of one colour, in the format that Pillow calls *kind*.
    """
    written = BytesIO()
    Image.new("RGB", size, colour).save(written, kind)
    return written.getvalue()


PNG, JPEG, GIF = picture("PNG"), picture("JPEG"), picture("GIF")
