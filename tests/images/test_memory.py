"""
How much memory an image takes, and what is left of it afterwards: in a process of its own, by the kernel's count.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast.service.images.limits import ImageLimits

SIDE = 3000
PIXELS = SIDE * SIDE
STILL, ONCE, ANIMATED = 9, 6, 42
"""Bytes for each pixel, as the limits say, and a little that does not depend on the size."""
LEFT = 40_000_000
"""Bytes; the last block of a heap stays, where it is not too large."""


@pytest.mark.parametrize(("kind", "most"), [("deep", STILL), ("coloured", ONCE), ("turned", STILL), ("animated", ANIMATED)])
def test_peak(kind: str, most: int) -> None:
    """A pixel takes what the limits say, and afterwards little."""
    command = [sys.executable, "-m", "tests.images.measuring", kind, str(SIDE)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    peak, left = map(int, told.split())

    assert peak < most * PIXELS
    assert left < LEFT


def test_bounds() -> None:
    """Whatever an image is, the largest that is decoded takes half a gigabyte."""
    limits = ImageLimits()

    assert limits.max_pixels * STILL < 600_000_000
    assert limits.max_gif_pixels * ANIMATED < 600_000_000
