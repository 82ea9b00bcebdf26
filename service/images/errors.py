"""
Why an image is refused.

ImageRefused          this service does not show the content as an image
├── NotAnImage        neither a JPEG nor a PNG nor a GIF, by its first bytes
├── BrokenImage       damaged, or in violation of its format
│   └── CutShort      it ends before its pixels do
├── Polyglot          an image, and an archive too
└── TooMany
    ├── TooManyBytes
    ├── TooManyPixels     in one frame, or in all of them together
    └── TooManyFrames
RenditionInvalid      the request is wrong, not the image
ImagesBusy            too many images are waiting; a later request may succeed
"""

from __future__ import annotations


class ImageRefused(Exception):
    """This service does not show the content as an image."""


class NotAnImage(ImageRefused):
    """The first bytes are not those of a JPEG, a PNG or a GIF."""


class BrokenImage(ImageRefused):
    """The image is damaged, or violates its format."""


class CutShort(BrokenImage):
    """The content ends before all pixels have come."""


class Polyglot(ImageRefused):
    """The content is both an image and an archive."""


class TooMany(ImageRefused):
    """The image has *found* pixels, bytes or frames, more than *limit*."""

    def __init__(self, what: str, found: int, limit: int) -> None:
        super().__init__(f"the image has {found} {what}, more than {limit}")
        self.found = found
        self.limit = limit


class TooManyBytes(TooMany):
    """The image has too many bytes."""


class TooManyPixels(TooMany):
    """One frame, or all frames together, would take too much memory."""


class TooManyFrames(TooMany):
    """The animation has too many frames."""


class RenditionInvalid(ValueError):
    """The request asks for an impossible rendition."""


class ImagesBusy(Exception):
    """Too many images are waiting already."""
