"""
Real images, as small as they can be.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo


def picture(kind: str = "PNG", size: tuple[int, int] = (3, 2), colour: tuple[int, int, int] = (20, 120, 90)) -> bytes:
    """
    Return an image of one colour, in the format that Pillow calls *kind*.
    """
    written = BytesIO()
    Image.new("RGB", size, colour).save(written, kind)
    return written.getvalue()


def telling() -> bytes:
    """
    Return a PNG that tells where it was made.
    """
    facts = PngInfo()
    facts.add_text("Location", "51.5 N, 0.1 W")
    written = BytesIO()
    Image.open(BytesIO(picture())).save(written, "PNG", pnginfo=facts)
    return written.getvalue()


PNG, JPEG, GIF = picture("PNG"), picture("JPEG"), picture("GIF")
TELLING = telling()
