"""
How a JPEG is built (ITU-T T.81, annex B), as decoders read it.

In front of the first scan they pass over stray bytes up to the next marker; behind the last scan they look at nothing.  So what
cameras and phones put there (padding, films, maps of depth, second pictures, records of their makers) is no part of the image,
and the end marker may be missing, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.service.images.errors import BrokenImage, CutShort, TooManyPixels
from holdfast.service.images.formats.exif import orientation
from holdfast.service.images.formats.outline import Cursor, Outline

BEGIN = b"\xff\xd8"
END, SCAN, COMMENT, FILLING, LINES = 0xD9, 0xDA, 0xFE, 0xFF, 0xDC
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and restarts: markers without a segment
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
APPLICATIONS = range(0xE0, 0xF0)
KNOWN = FRAMES | TABLES | {SCAN, COMMENT, LINES, *APPLICATIONS}
BEHIND_A_SCAN = KNOWN - FRAMES
LENGTH_BYTES = 2  # a segment counts those of its length too
SIZE_BYTES = 6  # of a frame header, up to the number of its colours
SCAN_BYTES = 6  # of a scan's head without its colours
COLOURS = range(1, 5)
ALL = (1 << 64) - 1  # coefficients

EXIF_IN, EXIF = 0xE1, b"Exif\0\0"
# What changes the pixels: the colour transform of Adobe, and colour profiles.  JFIF says which colours to expect.
KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}

# Decoders go on to the next 0xFF that neither fills (FF, B.1.1.2) nor is stuffed (00), whatever is before it.
MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
# After a scan's head its coded bytes follow, up to a marker: 0xFF that is not stuffed (00), a restart (D0 to D7) or filling (FF).
CODED_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
MAX_SCANS = 100
"""
A progressive image comes in some ten scans.  Each of them, however short, makes a decoder go over all pixels again: a bomb of few
bytes.
"""
MAX_SCANNED = 800 * 1000 * 1000
"""Pixels in all scans together: what decoding costs in time.  Twelve scans of the largest picture are fewer."""


@dataclass(frozen=True, slots=True)
class JpegFrame:
    """What a frame header says (B.2.2): the size, the identifiers of the colours, and whether each scan adds to those before."""

    width: int
    height: int
    colours: tuple[int, ...]
    is_progressive: bool


class JpegWalk:
    """The way along the segments of a JPEG, up to its last scan."""

    def __init__(self, content: bytes) -> None:
        self._cursor = Cursor(content, len(BEGIN))
        self._scans = 0
        self._exact: dict[int, int] = {}
        self.frame: JpegFrame | None = None
        self.turned = 1
        self.kept = [BEGIN]
        self.is_cut = False
        """Whether the content ended where pixels may be missing."""

    def to_the_last_scan(self) -> None:
        """Keep what a decoder needs of each segment."""
        while (kind := _marker(self._cursor)) != END:
            if kind in ALONE:
                continue
            segment = _segment(self._cursor, kind) if kind in (BEHIND_A_SCAN if self._scans else KNOWN) else None
            if kind is None or segment is None:
                self.is_cut = self._cursor.at >= len(self._cursor.content)
                if self._scans:
                    return  # something else begins, or nothing more comes
                raise CutShort("the image is cut short") if self.is_cut else BrokenImage(f"marker {kind:02x} has no place there")
            if self._is_last(kind, segment):
                return

    def _is_last(self, kind: int, segment: bytes) -> bool:
        """Take a segment, and say whether it is the last that a decoder needs."""
        payload = segment[4:]
        if kind in FRAMES:
            if self.frame is not None:
                raise BrokenImage("the image has more than one frame header")
            self.frame = _frame(payload, is_progressive=kind in PROGRESSIVE)
        elif kind == EXIF_IN and payload.startswith(EXIF) and self.turned == 1:
            self.turned = orientation(payload[len(EXIF) :])
        if kind in FRAMES or kind in TABLES or kind == SCAN or (kind in KEPT and payload.startswith(KEPT[kind])):
            self.kept.append(segment)
        return kind == SCAN and self._scanned(payload)

    def _scanned(self, head: bytes) -> bool:
        """Count a scan, and say whether it is the only one: that of a sequential picture with every colour."""
        if self.frame is None:
            raise BrokenImage("a scan without a frame header")
        self._scans += 1
        if self._scans > MAX_SCANS:
            raise BrokenImage(f"the image has more than {MAX_SCANS} scans")
        scanned = self.frame.width * self.frame.height * self._scans
        if self._scans > 1 and scanned > MAX_SCANNED:
            raise TooManyPixels("pixels in all scans", scanned, MAX_SCANNED)
        colours = head[1 : 1 + 2 * head[0] : 2]
        first, last, precision = head[1 + 2 * head[0] :][:3]
        # B.2.3: a scan of a progressive picture brings some coefficients, of which the lowest bits may follow in later ones.
        brought = ALL if not self.frame.is_progressive else 0 if precision & 15 else (2 << last) - (1 << first)
        for colour in colours:
            self._exact[colour] = self._exact.get(colour, 0) | brought
        is_alone = not self.frame.is_progressive and len(colours) == len(self.frame.colours)
        self.is_cut = is_alone and self._cursor.at >= len(self._cursor.content)
        return is_alone

    @property
    def is_exact(self) -> bool:
        """Whether every coefficient of every colour came."""
        return self.frame is not None and all(self._exact.get(colour, 0) & ALL == ALL for colour in self.frame.colours)


def outline(content: bytes) -> Outline:
    """Return how the JPEG is built that begins here."""
    walk = JpegWalk(content)
    walk.to_the_last_scan()
    if walk.frame is None or not any(segment[1] == SCAN for segment in walk.kept):
        raise BrokenImage("the image has no pixels")
    if walk.is_cut and not walk.is_exact:
        raise CutShort("the image is cut short: it has not all of its scans")
    return Outline(
        content_type="image/jpeg",
        width=walk.frame.width,
        height=walk.frame.height,
        essence=b"".join([*walk.kept, b"\xff\xd9"]),
        orientation=walk.turned,
        is_cut=walk.is_cut,
    )


def _marker(cursor: Cursor) -> int | None:
    """Return the next marker, and go behind it; None when there is none."""
    cursor.count_block()
    found = cursor.search(MARKER)
    if found is None:
        cursor.at = len(cursor.content)
        return None
    cursor.at = found.end()
    return found[1][0]


def _segment(cursor: Cursor, kind: int | None) -> bytes | None:
    """
    Return the segment behind its marker, marker included; that of a scan includes the coded bytes.

    None: it is none, or it is cut short.
    """
    if kind is None:
        return None
    start = cursor.at
    length = int.from_bytes(cursor.content[start : start + LENGTH_BYTES], "big")
    behind = start + max(length, LENGTH_BYTES)
    if length < LENGTH_BYTES or behind > len(cursor.content):
        cursor.at = min(behind, len(cursor.content))
        return None
    cursor.at = behind
    head = cursor.content[start:behind]
    if kind != SCAN:
        return bytes((FILLING, kind)) + head
    # B.2.3: its head has a length of 6, and 2 for each of its colours.
    if length <= LENGTH_BYTES or head[2] not in COLOURS or length != SCAN_BYTES + 2 * head[2]:
        return None
    end = cursor.search(CODED_END)
    cursor.at = len(cursor.content) if end is None else end.start()
    return bytes((FILLING, kind)) + cursor.content[start : cursor.at].rstrip(b"\xff")


def _frame(payload: bytes, *, is_progressive: bool) -> JpegFrame:
    """Read a frame header: precision, height, width, the number of colours, and three bytes for each."""
    if len(payload) < SIZE_BYTES:
        raise BrokenImage("the image is damaged: its frame header is cut short")
    height, width = (int.from_bytes(payload[at : at + 2], "big") for at in (1, 3))
    return JpegFrame(width, height, tuple(payload[SIZE_BYTES : SIZE_BYTES + 3 * payload[5] : 3]), is_progressive)
