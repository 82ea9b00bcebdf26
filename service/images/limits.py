"""
The bounds of an image, as one value.
"""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1024 * 1024
Mpx = 1000 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """What an image may be.  A pixel takes four bytes of memory while it is decoded, and four again while it is rendered."""

    max_bytes: int = 64 * MiB
    max_pixels: int = 50 * Mpx
    """In one frame."""
    max_frames: int = 1000
    max_total_pixels: int = 200 * Mpx
    """In all frames together, each as large as the whole picture: what decoding costs in time."""
