"""
What becomes of pixels in their place.
"""

from __future__ import annotations

from PIL import Image

from holdfast.service.images.pixels.scale import scaled
from holdfast.service.images.rendition import Rendition, place
from tests.images.pictures import gradient


def test_nothing_to_do() -> None:
    """A picture that is shown as it is, is the same picture."""
    picture = gradient("RGBA")

    assert picture is scaled(picture, place(*picture.size, Rendition()))


def test_cut_off() -> None:
    """What is only cut off keeps every pixel, nearly clear ones too."""
    picture = gradient("RGBA")
    found = scaled(picture, place(*picture.size, Rendition(width=10, height=16, crop=True)))

    assert picture.crop((7, 0, 17, 16)).tobytes() == found.tobytes()


def test_smaller() -> None:
    """What is made smaller is the part that is shown, and nothing beside it is mixed into its edges."""
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (10, 0, 30, 20))
    found = scaled(picture, place(40, 20, Rendition(width=10, height=10, crop=True)))

    assert (10, 10) == found.size
    assert [(100, (0, 0, 255))] == found.getcolors()
