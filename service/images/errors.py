"""
What is refused of images.

ImageRefused          the content is no image that this service shows
├── NotAnImage        neither a JPEG nor a PNG nor a GIF, by its first bytes
├── BrokenImage       damaged, or not built as its format says
│   └── CutShort      it ends before its pixels do
├── Polyglot          an image, and an archive too
└── TooMany
    ├── TooManyBytes
    ├── TooManyPixels     in one frame, or in all of them together
    └── TooManyFrames
RenditionInvalid      the request is wrong, not the image
Busy                  too much is waiting already; later it may work
"""

from __future__ import annotations


class ImageRefused(Exception):
    """Content is no image that this service shows."""


class NotAnImage(ImageRefused):
    """Its first bytes are not those of a JPEG, a PNG or a GIF."""


class BrokenImage(ImageRefused):
    """It is damaged, or not built as its format says."""


class CutShort(BrokenImage):
    """It ends before its pixels do."""


class Polyglot(ImageRefused):
    """It is an image, and an archive too."""


class TooMany(ImageRefused):
    """It has *found* of something, more than *limit*."""

    def __init__(self, what: str, found: int, limit: int) -> None:
        super().__init__(f"the image has {found} {what}, more than {limit}")
        self.found = found
        self.limit = limit


class TooManyBytes(TooMany):
    """It is larger than an image may be."""


class TooManyPixels(TooMany):
    """One frame, or all of them together, would fill too much memory."""


class TooManyFrames(TooMany):
    """Its animation is too long."""


class RenditionInvalid(ValueError):
    """A rendition is asked for that cannot be."""


class ImagesBusy(Exception):
    """So many images are waiting already that another one would wait too long."""
