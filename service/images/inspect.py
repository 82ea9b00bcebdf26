"""
What an image is, and whether this service shows it at all.

In this order, so that what costs much comes last: how many bytes; the first bytes; how it is built, to its end (`outline.py`);
what lies in front and behind; frames and pixels from the headers; and only then the pixels themselves, all of them, once.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from service.core.sniffing import SNIFFED_BYTES, sniff
from service.images import gif, jpeg, png
from service.images.errors import BrokenImage, ImageRefused, NotAnImage, Polyglot, TooManyBytes, TooManyPixels
from service.images.limits import ImageLimits
from service.images.outline import Outline, checked_frames

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}
SIDEWAYS = range(5, 9)

# Old browsers looked for HTML in the first bytes whatever the type said, and PDF readers look for their signature there.
LOOKED_AT = 1024
ACTIVE = re.compile(rb"<(?:!doctype\s|(?:html|head|body|script|iframe|svg|img|a)[\s>/])|<\?php|%PDF-", re.IGNORECASE)
# ZIP readers begin at the end: a record of 22 bytes and a comment that reaches to the last byte, which an image could hold
# in a comment of its own (APPNOTE, 4.3.16).
ZIP_END = b"PK\x05\x06"
ZIP_END_BYTES = 22
ZIP_TAIL = ZIP_END_BYTES + 0xFFFF

# Pillow only warns when an image has more pixels than it thinks good.  Ours are counted before; this is for what was overlooked.
# Once and for the process, since filters that are changed for a while are not safe among threads.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of an image; *width* and *height* are as it is seen, after its orientation."""

    content_type: str
    width: int
    height: int
    frames: int
    is_animated: bool


def inspect(content: bytes | BinaryIO, limits: ImageLimits) -> ImageFacts:
    """
    Return what an image is, after all of it was decoded once.

    :raises ImageRefused: it is none, or none that *limits* allow
    """
    image = admitted(content, limits)
    with decoding():
        if image.frames:
            for frame in image.frames:
                with gif.opened(frame) as shown:
                    shown.load()
        else:
            with opened(image) as shown:
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


def admitted(content: bytes | BinaryIO, limits: ImageLimits) -> Outline:
    """
    Return how an image is built that may be decoded.
    """
    whole = content if isinstance(content, bytes) else content.read(limits.max_bytes + 1)
    if len(whole) > limits.max_bytes:
        raise TooManyBytes("bytes or more", len(whole), limits.max_bytes)
    image = _outline(whole, limits)
    _refuse_polyglots(whole, image)
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
    """
    Return a still image, opened by the one decoder that is for it and not decoded yet.
    """
    found = Image.open(BytesIO(image.essence), formats=[FORMATS[image.content_type]])
    if found.size != (image.width, image.height):
        raise BrokenImage("the image contradicts its own header")
    return found


@contextmanager
def decoding() -> Iterator[None]:
    """
    Translate whatever a decoder says of content that it cannot decode.
    """
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
        raise BrokenImage(f"the image cannot be decoded: {error}") from error


def _outline(content: bytes, limits: ImageLimits) -> Outline:
    """Return how content is built, by the grammar that its first bytes call for."""
    match sniff(content[:SNIFFED_BYTES]):
        case "image/jpeg":
            return jpeg.outline(content)
        case "image/png":
            return png.outline(content)
        case "image/gif":
            return gif.outline(content, limits)
    raise NotAnImage("the content is neither a JPEG nor a PNG nor a GIF")


def _is_from_a_phone(trailer: bytes) -> bool:
    """
    Say whether phones put this behind a JPEG: a film of the same moment (Motion Photo), or Samsung's directory of facts.

    Renditions have nothing of it, and a film is nothing that a browser would run.
    """
    is_film = trailer[4:8] == b"ftyp"
    is_directory = trailer.endswith(b"SEFT") and b"SEFH" in trailer
    return is_film or is_directory


def _refuse_polyglots(content: bytes, image: Outline) -> None:
    """Refuse content that other programs would take for something else than an image."""
    rest = content[image.end :]
    if rest.strip(b"\0") and not (image.content_type == "image/jpeg" and _is_from_a_phone(rest)):
        raise Polyglot("something follows the end of the image")
    if ACTIVE.search(content, 0, LOOKED_AT):
        raise Polyglot("the image begins as a document does")
    at = content.find(ZIP_END, -ZIP_TAIL if len(content) > ZIP_TAIL else 0)
    while at >= 0:
        comment = int.from_bytes(content[at + 20 : at + ZIP_END_BYTES], "little")
        if at + ZIP_END_BYTES + comment == len(content):
            raise Polyglot("the image is a ZIP archive too")
        at = content.find(ZIP_END, at + 1)
