"""
The structure of an image, as far as it is known without decoding pixels.

Each format is walked as its decoders walk it, with all that they pass over, up to its last pixel; and only what a decoder needs
for the pixels is kept.  So decoders never see texts, thumbnails, private blocks, second images or EXIF: nothing there can be a
bomb, and nothing there can disagree with what was checked here.  What stands behind the last pixel is no part of the image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from holdfast.service.images.errors import BrokenImage, CutShort, TooManyFrames
from holdfast.service.images.limits import ImageLimits

MAX_BLOCKS = 100_000
"""No encoder cuts an image into more blocks, with all that stands behind it; walking them is what costs time here."""


STEP = 1024 * 1024
"""So many bytes are searched in one go, in which no other thread can do anything: a millisecond at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of a GIF: where it goes, for how long (milliseconds), what it leaves behind, and its coded pixels."""

    left: int
    top: int
    width: int
    height: int
    duration: int
    disposal: int
    colours: bytes = field(repr=False)
    transparent: int | None
    interlaced: bool
    pixels: bytes = field(repr=False)
    is_cut: bool = False
    """Whether the content ends within its pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """An image without its pixels; *essence* is what a decoder gets."""

    content_type: str
    width: int
    height: int
    essence: bytes = b""
    orientation: int = 1
    depth: int = 8
    is_cut: bool = False
    """Whether the content ends where pixels may be missing."""
    frames: tuple[Frame, ...] = field(default=(), repr=False)
    profiles: tuple[bytes, ...] = ()
    """ICC profiles of the colours of a PNG; the first that can be used counts, and an empty one means sRGB."""
    loop: int | None = None
    """How often an animation is repeated: 0 is for ever, None once."""


class Cursor:
    """A place in content; what is to be read beyond the end is missing."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content = content
        self.at = at
        self._blocks = 0

    def take(self, count: int) -> bytes:
        """Return the next *count* bytes and go behind them."""
        start, self.at = self.at, self.at + count
        if self.at > len(self.content):
            raise CutShort("the image is cut short")
        return self.content[start : self.at]

    def number(self, count: int, *, little: bool = False) -> int:
        """Return the next *count* bytes as a number."""
        return int.from_bytes(self.take(count), "little" if little else "big")

    def search(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Return where the two bytes of *pattern* come next; other threads get their turn meanwhile."""
        for start in range(self.at, len(self.content), STEP):
            found = pattern.search(self.content, start, start + STEP + 1)
            if found is not None:
                return found
        return None

    def count_block(self) -> None:
        """Count a block of the content."""
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise BrokenImage(f"the image has more than {MAX_BLOCKS} blocks")


def checked_frames(found: int, limits: ImageLimits) -> None:
    """Refuse more frames than the limit."""
    if found > limits.max_frames:
        raise TooManyFrames("frames or more", found, limits.max_frames)
