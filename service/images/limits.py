"""
The bounds of an image, as one value.
"""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1024 * 1024
Mpx = 1000 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """
    What an image may be.

    A pixel takes four bytes of memory while it is decoded, and four again when it is turned; that of a progressive JPEG six more
    while it is decoded, and that of a GIF, whose frames are put on top of each other, up to forty in all.
    """

    max_bytes: int = 64 * MiB
    max_pixels: int = 52 * Mpx
    """In one frame.  Cameras of "50 megapixels" have up to 8736 times 5856."""
    max_gif_pixels: int = 10 * Mpx
    """In one frame of a GIF."""
    max_frames: int = 1000
    max_total_pixels: int = 200 * Mpx
    """In all frames together, each as large as the whole picture: what decoding costs in time."""
