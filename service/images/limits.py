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
    The bounds of an image (bytes, pixels, frames).

    A pixel takes four bytes of memory while it is decoded, and four more while it is rotated; six more in a progressive JPEG
    while it is decoded, and up to forty in a GIF, whose frames are combined.
    """

    max_bytes: int = 64 * MiB
    max_pixels: int = 52 * Mpx
    """In one frame.  Cameras of "50 megapixels" have up to 8736 times 5856."""
    max_gif_pixels: int = 10 * Mpx
    """In one frame of a GIF."""
    max_frames: int = 1000
    max_total_pixels: int = 200 * Mpx
    """In all frames together, each counted as large as the whole picture: the bound of the time for decoding."""
