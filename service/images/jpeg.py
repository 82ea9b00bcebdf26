"""
How a JPEG is built (ITU-T T.81, annex B).
"""

from __future__ import annotations

import re
from dataclasses import replace

from service.images.errors import BrokenImage
from service.images.exif import orientation
from service.images.outline import Cursor, Outline

BEGIN = b"\xff\xd8\xff"
END, SCAN, COMMENT, FILLING = 0xD9, 0xDA, 0xFE, 0xFF
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
APPLICATIONS = range(0xE0, 0xF0)
LENGTH_BYTES = 2  # a segment counts those of its length too
SIZE_BYTES = 6  # of a frame header, up to the number of its colours

EXIF_IN, EXIF = 0xE1, b"Exif\0\0"
# What changes the pixels: the colour transform of Adobe, and colour profiles.  JFIF says which colours to expect.
KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}

# Any number of 0xFF may fill the place before a marker (B.1.1.2); possessive, for there is nothing to try again.
MARKER = re.compile(rb"\xff++(.)", re.DOTALL)
# After a scan's head its coded bytes follow, up to a marker: 0xFF that is not stuffed (00), a restart (D0 to D7) or filling (FF).
CODED_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
MAX_SCANS = 100
"""
A progressive image comes in some ten scans.  Each of them, however short, makes a decoder go over all pixels again: a bomb of few
bytes.
"""


def outline(content: bytes) -> Outline:
    """
    Return how a JPEG is built; its end is that of the last image behind it.

    Cameras put a small image or a map of brightness behind the picture, a JPEG too (CIPA DC-007, Ultra HDR).
    """
    cursor = Cursor(content, 0)
    found = _picture(cursor)
    while content.startswith(BEGIN, cursor.at):
        _picture(cursor)
    return replace(found, end=cursor.at)


def _picture(cursor: Cursor) -> Outline:
    """Return how the JPEG is built that begins here, and go behind it."""
    cursor.take(2)
    kept = [b"\xff\xd8"]
    size: tuple[int, int] | None = None
    turned = 1
    scans = 0
    while (kind := _marker(cursor)) != END:
        segment = _segment(cursor, kind)
        payload = segment[4:]
        if kind in FRAMES:
            if size is not None:
                raise BrokenImage("the image has more than one frame header")
            size = _size(payload)
        elif kind == SCAN:
            scans += 1
            if size is None or scans > MAX_SCANS:
                raise BrokenImage("a scan without a frame header" if size is None else f"more than {MAX_SCANS} scans")
        elif kind == EXIF_IN and payload.startswith(EXIF) and turned == 1:
            turned = orientation(payload[len(EXIF) :])
        if kind in FRAMES or kind in TABLES or kind == SCAN or (kind in KEPT and payload.startswith(KEPT[kind])):
            kept.append(segment)
    if size is None or not scans:
        raise BrokenImage("the image has no pixels")
    width, height = size
    essence = b"".join([*kept, b"\xff\xd9"])
    return Outline(
        content_type="image/jpeg",
        width=width,
        height=height,
        end=cursor.at,
        essence=essence,
        orientation=turned,
    )


def _marker(cursor: Cursor) -> int:
    """Return the next marker."""
    cursor.count_block()
    found = MARKER.match(cursor.content, cursor.at)
    if found is None:
        cut = cursor.at >= len(cursor.content) or cursor.content[cursor.at] == FILLING
        raise BrokenImage("the image is cut short" if cut else "the image is damaged: a marker is missing")
    cursor.at = found.end()
    return found[1][0]


def _segment(cursor: Cursor, kind: int) -> bytes:
    """Return the segment behind its marker, marker included; that of a scan includes the coded bytes."""
    if kind not in FRAMES | TABLES | {SCAN, COMMENT} and kind not in APPLICATIONS:
        raise BrokenImage(f"the image is damaged: marker {kind:02x} has no place there")
    start = cursor.at
    length = cursor.number(LENGTH_BYTES)
    if length < LENGTH_BYTES:
        raise BrokenImage("the image is damaged: a segment is shorter than its length")
    cursor.take(length - LENGTH_BYTES)
    if kind == SCAN:
        end = CODED_END.search(cursor.content, cursor.at)
        if end is None:
            raise BrokenImage("the image is cut short")
        cursor.at = end.start()
    return bytes((0xFF, kind)) + cursor.content[start : cursor.at]


def _size(payload: bytes) -> tuple[int, int]:
    """Return width and height from a frame header: precision, height, width (B.2.2)."""
    if len(payload) < SIZE_BYTES:
        raise BrokenImage("the image is damaged: its frame header is cut short")
    return int.from_bytes(payload[3:5], "big"), int.from_bytes(payload[1:3], "big")
