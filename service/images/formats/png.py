"""
How a PNG is built (W3C PNG, third edition, section 5), as decoders read it.

Damaged chunks other than pixels are skipped, and so are misplaced ones; the end marker may be missing.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from holdfast.service.images.errors import BrokenImage, CutShort
from holdfast.service.images.formats import png_colours
from holdfast.service.images.formats.exif import orientation
from holdfast.service.images.formats.outline import Cursor, Outline

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER, PALETTE, TRANSPARENCY, PIXELS, END, EXIF = b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"
# All that changes the pixels, but for their colours.  Without the chunks of an animation (acTL, fcTL, fdAT) what is left is its
# still image, which every animated PNG has for those who do not know animations.
KEPT = frozenset({HEADER, PALETTE, TRANSPARENCY, PIXELS})
HEADER_BYTES = 13
HEAD_BYTES, CHECKSUM_BYTES = 8, 4  # of a chunk
INDEXED = 3
# 11.2.1, table 12: colour types, and the bits that a sample of each may have.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), INDEXED: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
GREY = frozenset({0, 4})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a PNG, and whether it is as its checksum says."""

    kind: bytes
    data: bytes
    is_right: bool

    @property
    def is_critical(self) -> bool:
        """Whether pixels cannot be shown without it (5.4)."""
        return self.kind[:1].isupper()

    def encoded(self) -> bytes:
        """Return it as it is written."""
        head = len(self.data).to_bytes(4, "big") + self.kind
        return head + self.data + zlib.crc32(self.data, zlib.crc32(self.kind)).to_bytes(4, "big")


def outline(content: bytes) -> Outline:
    """Return how a PNG is built."""
    cursor = Cursor(content, len(SIGNATURE))
    kept: dict[bytes, list[Chunk]] = {}
    colours: dict[bytes, bytes] = {}
    turned = 1
    while (chunk := _chunk(cursor)) is not None and chunk.kind != END:
        if (chunk.kind == HEADER) != (not kept):
            raise BrokenImage("a PNG begins with its header, and has one")
        if chunk.is_critical and not (chunk.kind in KEPT and chunk.is_right):
            if PIXELS in kept and chunk.kind != PIXELS:
                break  # what stands behind the pixels changes none
            raise BrokenImage(
                "the image is damaged: a checksum is wrong"
                if chunk.kind in KEPT
                else "the image has a critical part that is not known"
            )
        if not chunk.is_right:
            continue  # 13.1: what is wrong with an ancillary chunk is no reason to show nothing
        if chunk.kind in KEPT and _is_in_its_place(chunk.kind, kept):
            kept.setdefault(chunk.kind, []).append(chunk)
        elif chunk.kind == EXIF:
            turned = orientation(chunk.data)
        elif chunk.kind in png_colours.CHUNKS and PIXELS not in kept and PALETTE not in kept:
            # 5.6, table 7: the chunks of colours stand before PLTE and IDAT, and each of them once.
            colours.setdefault(chunk.kind, chunk.data)
    if HEADER not in kept or PIXELS not in kept:
        raise CutShort("the image is cut short") if chunk is None else BrokenImage("the image has no pixels")
    width, height, depth, colour = _header(kept[HEADER][0].data)
    order = (HEADER, PALETTE, TRANSPARENCY, PIXELS)
    parts = [chunk.encoded() for kind in order for chunk in kept.get(kind, ())]
    return Outline(
        content_type="image/png",
        width=width,
        height=height,
        depth=depth,
        essence=b"".join([SIGNATURE, *parts, Chunk(END, b"", is_right=True).encoded()]),
        orientation=turned,
        profiles=png_colours.profiles(colours, is_grey=colour in GREY),
    )


def _is_in_its_place(kind: bytes, kept: dict[bytes, list[Chunk]]) -> bool:
    """
    Say whether a chunk may stand here, and be used.

    5.6, table 7: PLTE comes before IDAT, tRNS after PLTE and before IDAT, and each of them once (11.3.1.1 for tRNS).
    """
    if kind in (HEADER, PIXELS):
        return True
    if kind in kept or PIXELS in kept:
        return False
    is_indexed = kept[HEADER][0].data[9:10] == bytes((INDEXED,))
    return not (kind == TRANSPARENCY and is_indexed and PALETTE not in kept) and not (kind == PALETTE and TRANSPARENCY in kept)


def _header(header: bytes) -> tuple[int, int, int, int]:
    """Return width, height, bits of a sample and colour type."""
    if len(header) != HEADER_BYTES:
        raise BrokenImage("the header of the image has a wrong length")
    depth, colour = header[8], header[9]
    if depth not in DEPTHS.get(colour, ()):
        raise BrokenImage(f"a PNG has no colour type {colour} with {depth} bits")
    return int.from_bytes(header[0:4], "big"), int.from_bytes(header[4:8], "big"), depth, colour


def _chunk(cursor: Cursor) -> Chunk | None:
    """
    Return the next chunk; None when not even its type is there.

    Of pixels that are cut short decoders show what is there; whether that is all of them they find out.
    """
    cursor.count_block()
    start = cursor.at + HEAD_BYTES
    head = cursor.content[cursor.at : start]
    if len(head) < HEAD_BYTES:
        return None
    kind = head[4:]
    stop = start + int.from_bytes(head[:4], "big")
    data = cursor.content[start:stop]
    cursor.at = stop + CHECKSUM_BYTES
    written = cursor.content[stop : cursor.at]
    if len(written) < CHECKSUM_BYTES:
        return Chunk(kind, data, is_right=kind == PIXELS)
    return Chunk(kind, data, is_right=zlib.crc32(data, zlib.crc32(kind)) == int.from_bytes(written, "big"))
