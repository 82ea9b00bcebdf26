"""
Small images as cameras, phones and programs write them, one of each kind, and what has to become of them.

Each file in ``cases/`` was drawn or generated for this project.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.service.images.errors import ImageRefused
from holdfast.service.images.inspect import inspect
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from tests.images.pictures import LIMITS, decoded

CASES = Path(__file__).parent / "cases"
FILES = sorted(path.name for path in CASES.iterdir())
REFUSED = frozenset(
    {
        "png-idat-badcrc.png",
        "png-colour-type-7.png",
        "empty.jpg",
        "heic-as-jpeg.jpg",
        "webp-as-jpeg.jpg",
        "jpg-unknown-marker-jpg0.jpg",
    }
)
RED, BLUE = (220, 40, 30), (40, 90, 160)
LINEAR, DISPLAY_P3 = (239, 110, 96), (240, 0, 0)
# The pixel in the upper left, as it is seen; where nothing is said, it is red.
SEEN = {
    "jpg-exif-2.jpg": BLUE,
    "jpg-exif-3.jpg": BLUE,
    "jpg-exif-4.jpg": BLUE,
    "jpg-exif-6.jpg": BLUE,
    "jpg-exif-7.jpg": BLUE,
    "jpg-exif-8.jpg": BLUE,
    "jpg-gray.jpg": (93, 93, 93),
    "png-16.png": (117, 117, 117),
    "png-cicp-p3.png": DISPLAY_P3,
    "png-colour-gama+chrm-p3.png": DISPLAY_P3,
    "png-colour-gama-1.0.png": LINEAR,
    "png-exif6.png": BLUE,
    "png-gama1-chrm.png": LINEAR,
    "png-gama1.png": LINEAR,
    "png-trns-after-idat.png": (93, 93, 93),
    "random-png.png": (30, 58, 158),
}
SIDEWAYS = {"jpg-exif-5.jpg", "jpg-exif-6.jpg", "jpg-exif-7.jpg", "jpg-exif-8.jpg", "png-exif6.png"}


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
def test_taken(name: str) -> None:
    """What decoders show is taken, upright, in its colours."""
    content = (CASES / name).read_bytes()
    facts = inspect(content, LIMITS)
    made = render(content, Rendition(), LIMITS)
    pixel = decoded(made.content).convert("RGBA").getpixel((0, 0))

    assert (2 if name.startswith("gif") else 1) == facts.frames
    assert (name in SIDEWAYS) == (facts.width < facts.height)
    assert (facts.width, facts.height) == (made.width, made.height)
    assert isinstance(pixel, tuple)
    assert all(abs(a - b) <= 5 for a, b in zip(pixel, (*SEEN.get(name, RED), 255), strict=True)), pixel


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    """What no decoder shows is refused, in words of ours."""
    with pytest.raises(ImageRefused) as refused:
        inspect((CASES / name).read_bytes(), LIMITS)

    assert " at 0x" not in str(refused.value)
    assert "<" not in str(refused.value)
