"""
Decides what an image is, and whether this service shows it.

The checks are ordered by cost: the number of bytes; the first bytes; the structure (`outline.py`); whether it is also an archive;
frames and pixels from the headers; and finally all pixels themselves, once.

The decoder decides, and no stricter grammar of ours.  Other accounts see a new encoding, and the bytes themselves are only served
with a type that browsers do not question (nosniff).
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from holdfast.service.core.content.sniffing import SNIFFED_BYTES, sniff
from holdfast.service.images.errors import BrokenImage, CutShort, ImageRefused, NotAnImage, Polyglot, TooManyBytes, TooManyPixels
from holdfast.service.images.formats import gif, jpeg, png
from holdfast.service.images.formats.outline import Outline, checked_frames
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.pixels.strips import STRIP

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}
SIDEWAYS = range(5, 9)

# ZIP readers begin at the end: with a record of 22 bytes and a comment up to the last byte, which an image could have in a
# comment of its own (APPNOTE, 4.3.16).
ZIP_END = b"PK\x05\x06"
ZIP_END_BYTES = 22
ZIP_TAIL = ZIP_END_BYTES + 0xFFFF
# Coded bytes without a marker; decoders invent zeros, so these begin with ones.
BEHIND = bytes(254 - 89 * at % 251 for at in range(600))

Content = bytes | BinaryIO | list[bytes]
"""The content of an image; blocks are joined on the thread that decodes it."""

# Pillow only warns of too many pixels.  They are counted before; this is a second line of defence.  It is set once per process,
# since changing filters temporarily is not thread-safe.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The facts of an image; *width* and *height* are pixels, after its orientation was applied."""

    content_type: str
    width: int
    height: int
    frames: int
    is_animated: bool


def inspect(content: Content, limits: ImageLimits) -> ImageFacts:
    """
    Return the facts of an image, after decoding all of it once.

    :raises ImageRefused: the content is no image, or exceeds *limits*
    """
    return inspected(admitted(content, limits))


def inspected(image: Outline) -> ImageFacts:
    """Return the facts of an admitted image, after decoding all of it once."""
    refuse_missing_pixels(image)
    with decoding():
        if image.frames:
            for frame in image.frames:
                if frame.is_cut:
                    gif.colours(frame)
                else:
                    with gif.opened(frame) as shown:
                        shown.load()
        else:
            with opened(image) as shown:
                # Decoding a JPEG at an eighth reads the same bytes, and takes a fraction of the memory.
                shown.draft(None, (1, 1))
                shown.load()
    sideways = image.orientation in SIDEWAYS
    frames = max(1, len(image.frames))
    return ImageFacts(
        content_type=image.content_type,
        width=image.height if sideways else image.width,
        height=image.width if sideways else image.height,
        frames=frames,
        is_animated=frames > 1,
    )


def admitted(content: Content, limits: ImageLimits) -> Outline:
    """
    Return the outline of an image that may be decoded; a list of blocks is emptied.

    :raises ImageRefused: the content is no image, or exceeds *limits*
    """
    if isinstance(content, list):
        whole = b"".join(content)
        content.clear()
    else:
        whole = content if isinstance(content, bytes) else content.read(limits.max_bytes + 1)
    if len(whole) > limits.max_bytes:
        raise TooManyBytes("bytes or more", len(whole), limits.max_bytes)
    image = _outline(whole, limits)
    _refuse_archives(whole)
    if not image.width or not image.height or not all(frame.width and frame.height for frame in image.frames):
        raise BrokenImage("the image has no pixels")
    largest = max(image.width * image.height, *(frame.width * frame.height for frame in image.frames), 0)
    most = min(limits.max_pixels, limits.max_gif_pixels) if image.frames else limits.max_pixels
    if largest > most:
        raise TooManyPixels("pixels", largest, most)
    checked_frames(len(image.frames), limits)
    total = largest * max(1, len(image.frames))
    if total > limits.max_total_pixels:
        raise TooManyPixels("pixels in all frames", total, limits.max_total_pixels)
    return image


def opened(image: Outline) -> Image.Image:
    """Return a still image, opened by the decoder of its type and not decoded yet."""
    try:
        found = Image.open(BytesIO(image.essence), formats=[FORMATS[image.content_type]])
    except UnidentifiedImageError as error:  # its message would show a Python object
        raise BrokenImage("the image cannot be decoded: its header is damaged") from error
    if found.size != (image.width, image.height):
        raise BrokenImage("the image contradicts its own header")
    return found


@contextmanager
def decoding() -> Iterator[None]:
    """Raise the errors of a decoder as ImageRefused."""
    try:
        yield
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels("pixels", 2 * (Image.MAX_IMAGE_PIXELS or 0), Image.MAX_IMAGE_PIXELS or 0) from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        EOFError,
        struct.error,
        zlib.error,
    ) as error:
        raise BrokenImage("the image cannot be decoded: it is damaged") from error


def _outline(content: bytes, limits: ImageLimits) -> Outline:
    """Return the outline of content, by the format of its first bytes."""
    match sniff(content[:SNIFFED_BYTES]):
        case "image/jpeg":
            return jpeg.outline(content)
        case "image/png":
            return png.outline(content)
        case "image/gif":
            return gif.outline(content, limits)
    raise NotAnImage("the content is neither a JPEG nor a PNG nor a GIF")


def refuse_missing_pixels(image: Outline) -> None:
    """
    Refuse a JPEG without its end marker whose pixels are incomplete.

    Decoders invent missing pixels.  So it is decoded twice, with different bits appended: they are read only if pixels
    are missing.

    :raises CutShort: pixels are missing
    """
    if not image.is_cut:
        return
    begin, end = image.essence[:-2], image.essence[-2:]
    with decoding():
        made = [_digest(dataclasses.replace(image, essence=begin + behind + end)) for behind in (b"", BEHIND)]
    if made[0] != made[1]:
        raise CutShort("the image is cut short")


def _digest(image: Outline) -> bytes:
    """Return a digest of all pixels."""
    digest = hashlib.sha256()
    with opened(image) as shown:
        shown.load()
        rows = max(1, STRIP // image.width)
        for top in range(0, image.height, rows):
            digest.update(shown.crop((0, top, image.width, min(top + rows, image.height))).tobytes())
    return digest.digest()


def _refuse_archives(content: bytes) -> None:
    """Refuse an image that programs would open as an archive."""
    at = content.find(ZIP_END, -ZIP_TAIL if len(content) > ZIP_TAIL else 0)
    while at >= 0:
        comment = int.from_bytes(content[at + 20 : at + ZIP_END_BYTES], "little")
        if at + ZIP_END_BYTES + comment == len(content):
            raise Polyglot("the image is also a ZIP archive")
        at = content.find(ZIP_END, at + 1)
