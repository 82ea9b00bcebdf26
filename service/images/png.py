"""
How a PNG is built (W3C PNG, third edition, section 5).
"""

from __future__ import annotations

import zlib

from service.images.errors import BrokenImage
from service.images.exif import orientation
from service.images.outline import Cursor, Outline

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER, PIXELS, END = b"IHDR", b"IDAT", b"IEND"
# All that changes the pixels.  Without the chunks of an animation (acTL, fcTL, fdAT) what is left is its still image, which every
# animated PNG has for those who do not know animations.
KEPT = frozenset({HEADER, b"PLTE", b"tRNS", b"iCCP", PIXELS, END})
HEADER_BYTES = 13


def outline(content: bytes) -> Outline:
    """
    Return how a PNG is built.
    """
    cursor = Cursor(content, len(SIGNATURE))
    kept = [SIGNATURE]
    header = b""
    turned = 1
    kind = b""
    has_pixels = False
    while kind != END:
        start = cursor.at
        kind, chunk = _chunk(cursor)
        if (kind == HEADER) != (not header):
            raise BrokenImage("a PNG begins with its header, and has one")
        if kind == HEADER:
            header = chunk
            if len(header) != HEADER_BYTES:
                raise BrokenImage("the header of the image has a wrong length")
        elif kind == b"eXIf":
            turned = orientation(chunk)
        elif kind[:1].isupper() and kind not in KEPT:
            raise BrokenImage("the image has a critical part that is not known")
        has_pixels = has_pixels or kind == PIXELS
        if kind in KEPT:
            kept.append(content[start : cursor.at])
    if not has_pixels:
        raise BrokenImage("the image has no pixels")
    return Outline(
        content_type="image/png",
        width=int.from_bytes(header[0:4], "big"),
        height=int.from_bytes(header[4:8], "big"),
        depth=header[8],
        end=cursor.at,
        essence=b"".join(kept),
        orientation=turned,
    )


def _chunk(cursor: Cursor) -> tuple[bytes, bytes]:
    """Return type and data of the next chunk, whose checksum is right."""
    cursor.count_block()
    length = cursor.number(4)
    kind = cursor.take(4)
    chunk = cursor.take(length)
    if zlib.crc32(chunk, zlib.crc32(kind)) != cursor.number(4):
        raise BrokenImage("the image is damaged: a checksum is wrong")
    return kind, chunk
