"""
Real images: by Pillow, and by hand where Pillow cannot write what cameras, other programs and attackers do.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

from holdfast.service.images.limits import ImageLimits

LIMITS = ImageLimits()
SMALL_LIMITS = ImageLimits(max_bytes=100_000, max_pixels=50_000, max_frames=20, max_total_pixels=200_000)

Pixel = tuple[int, int, int, int]
CLEAR: Pixel = (0, 0, 0, 0)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
COLOURS = bytes(value for index in range(128) for value in (2 * index, 255 - 2 * index, 37 * index % 256))
"""128 colours, no two alike: the colour table of GIFs made by hand."""


def gradient(mode: str, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Return a picture with many colours, and a transparency if *mode* has one."""
    width, height = size
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    flat = Image.new("L", (width, height), 90)
    colours = Image.merge("RGBA", (across, down, flat, down))
    if mode == "I;16":
        deep = [257 * value for value in pixel_values(down.convert("L"))]
        return Image.frombytes("I;16", size, struct.pack(f"<{len(deep)}H", *deep))
    return colours if mode == "RGBA" else colours.convert("LA") if mode == "LA" else colours.convert("RGB").convert(mode)


def pixel_values(image: Image.Image) -> list[int]:
    """Return the samples of an image that has eight bits for each."""
    return list(image.tobytes())


def pixels_of(image: Image.Image) -> list[Pixel]:
    """Return the pixels as they are seen; what is clear has no colour."""
    raw = image.convert("RGBA").tobytes()
    found = [(raw[at], raw[at + 1], raw[at + 2], raw[at + 3]) for at in range(0, len(raw), 4)]
    return [pixel if pixel[3] else CLEAR for pixel in found]


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401 - as Pillow
    """Return what Pillow writes."""
    written = BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


def decoded(content: bytes) -> Image.Image:
    """Return what Pillow reads, all of it."""
    image = Image.open(BytesIO(content))
    image.load()
    return image


def jpeg(mode: str = "RGB", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:  # noqa: ANN401 - as Pillow
    """Return a JPEG."""
    return encoded(gradient(mode, size), "JPEG", **options)


def png(mode: str = "RGB", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:  # noqa: ANN401 - as Pillow
    """Return a PNG."""
    return encoded(gradient(mode, size), "PNG", **options)


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(content: bytes, *segments: bytes) -> bytes:
    """Return a JPEG that has these segments first."""
    return content[:2] + b"".join(segments) + content[2:]


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(content: bytes, *chunks: bytes) -> bytes:
    """Return a PNG that has these chunks behind its header."""
    return content[:33] + b"".join(chunks) + content[33:]


def header(width: int, height: int, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    """Return the first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def packed(samples: Sequence[int], depth: int) -> bytes:
    """Return a row of a PNG, unfiltered."""
    bits = "".join(format(sample, f"0{depth}b") for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return b"\0" + bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def raw_png(rows: Sequence[Sequence[int]], depth: int, colour: int, *chunks: bytes) -> bytes:
    """Return a PNG of these samples."""
    width = len(rows[0]) // {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}[colour]
    pixels = zlib.compress(b"".join(packed(row, depth) for row in rows))
    return b"".join([SIGNATURE, header(width, len(rows), depth, colour), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND")])


def interlaced_png(rows: Sequence[Sequence[int]]) -> bytes:
    """Return a grey PNG in the seven passes of Adam7: first column, first row, step across, step down."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = [row[left::across] for left, top, across, down in passes for row in rows[top::down]]
    pixels = zlib.compress(b"".join(packed(line, 8) for line in lines if line))
    head = header(len(rows[0]), len(rows), 8, GREY, interlaced=True)
    return b"".join([SIGNATURE, head, chunk(b"IDAT", pixels), chunk(b"IEND")])


def huge_png(side: int) -> bytes:
    """Return a PNG of one bit for each pixel, all black: a thousand times smaller than its pixels."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    pixels = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    return b"".join([SIGNATURE, header(side, side, 1, GREY), chunk(b"IDAT", pixels), chunk(b"IEND")])


def with_right_checksums(content: bytes) -> bytes:
    """Return a PNG whose chunks, as far as they can be told, have the checksums of what they hold now."""
    made, at = [content[:8]], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            break
        made.append(chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join([*made, content[at:]])


def exif(orientation: int, *, order: str = "<") -> bytes:
    """Return EXIF as cameras write it: how they were held, who made them, and where they were."""
    maker, place = b"SECRET Camera\0", b"N\0\0\0"
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    behind = 8 + 2 + 3 * 12 + 4
    entries = [
        struct.pack(order + "HHII", 0x010F, 2, len(maker), behind),
        struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0),
        struct.pack(order + "HHII", 0x8825, 4, 1, behind + len(maker)),
    ]
    gps = struct.pack(order + "HHHI4sI", 1, 1, 2, 2, place, 0)
    return start + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4) + maker + gps


def swapped_profile() -> bytes:
    """Return the profile of a device whose red is what others call blue."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = profile[:400].replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    return tags + profile[400:]


@dataclass(frozen=True)
class Cel:
    """A frame of an animation made by hand: rows of indices into `COLOURS`; *duration* in hundredths of a second."""

    rows: Sequence[Sequence[int]]
    left: int = 0
    top: int = 0
    duration: int = 10
    disposal: int = 1
    transparent: int | None = None
    colours: bytes = b""
    interlaced: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return len(self.rows[0]), len(self.rows)


def gif(width: int, height: int, cels: Iterable[Cel], *, loop: int | None = 0, before: bytes = b"") -> bytes:
    """Return an animation; *before* stands in front of its frames."""
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x80 | 6, 0, 0), COLOURS]
    if loop is not None:
        parts += [b"!\xff\x0bNETSCAPE2.0\x03\x01", struct.pack("<H", loop), b"\0"]
    return b"".join([*parts, before, *map(_cel, cels), b";"])


def _cel(cel: Cel) -> bytes:
    """Return a graphic control extension, an image descriptor and pixels."""
    flags = cel.disposal << 2 | (cel.transparent is not None)
    control = b"!\xf9\x04" + struct.pack("<BHBB", flags, cel.duration, cel.transparent or 0, 0)
    table = 0x80 | ((len(cel.colours) // 3).bit_length() - 2) if cel.colours else 0
    place = struct.pack("<HHHHB", cel.left, cel.top, *cel.size, table | (0x40 if cel.interlaced else 0))
    rows = cel.rows
    if cel.interlaced:
        rows = [*rows[0::8], *rows[4::8], *rows[2::4], *rows[1::2]]
    return control + b"," + place + cel.colours + literal_pixels([index for row in rows for index in row])


def literal_pixels(indices: Sequence[int]) -> bytes:
    """Return LZW without any compression: the codes stay eight bits long because the table is cleared in time."""
    codes = b"".join(b"\x80" + bytes(indices[at : at + 100]) for at in range(0, len(indices), 100)) + b"\x81"
    blocks = [codes[at : at + 255] for at in range(0, len(codes), 255)]
    return b"\x07" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


def block(width: int, height: int, index: int) -> list[list[int]]:
    """Return rows of one colour."""
    return [[index] * width for _ in range(height)]


def seen(width: int, height: int, cels: Iterable[Cel]) -> list[list[Pixel]]:
    """Return what is to be seen of each frame, pixel by pixel, by the words of the specification and the habits of browsers."""
    canvas = [[CLEAR] * width for _ in range(height)]
    shown = []
    for cel in cels:
        before = [list(row) for row in canvas]
        colours = cel.colours or COLOURS
        for y, row in enumerate(cel.rows, cel.top):
            for x, index in enumerate(row, cel.left):
                if y < height and x < width and index != cel.transparent:
                    canvas[y][x] = (*colours[3 * index : 3 * index + 3], 255)
        shown.append([pixel for row in canvas for pixel in row])
        if cel.disposal == 3:
            canvas = before
        elif cel.disposal == 2:
            for y in range(cel.top, min(height, cel.top + cel.size[1])):
                for x in range(cel.left, min(width, cel.left + cel.size[0])):
                    canvas[y][x] = CLEAR
    return shown


ANIMATION_SIZE = (12, 8)
ANIMATION = (
    Cel(block(12, 8, 5), duration=7),
    Cel(block(4, 3, 40), left=2, top=1, duration=20, disposal=3),
    Cel([[index, 99] * 3 for index in range(60, 64)], left=5, top=2, duration=0, transparent=99),
    Cel(block(6, 4, 80), left=1, top=3, duration=65535, disposal=2),
    Cel(block(2, 2, 81), left=0, top=0, duration=3, disposal=2),
    Cel(block(1, 1, 99), duration=50, transparent=99),
    Cel([[100 + x % 4 for x in range(12)] for _ in range(8)], duration=5, interlaced=True),
    Cel(block(3, 3, 1), left=6, top=4, duration=9, colours=bytes((1, 2, 3, 250, 251, 252))),
)
"""Every way to leave a frame, transparency, frames of their own place and colours, and one that changes nothing."""

SEEDS = {
    "jpeg": jpeg(),
    "progressive jpeg": jpeg(progressive=True),
    "grey jpeg": jpeg("L", exif=b"Exif\0\0" + exif(6)),
    "cmyk jpeg": jpeg("CMYK"),
    "png": png("RGBA"),
    "palette png": png("P", transparency=3),
    "one bit png": png("1", icc_profile=swapped_profile()),
    "deep png": png("I;16"),
    "interlaced png": interlaced_png([[16 * x + y for x in range(9)] for y in range(10)]),
    "gif": gif(*ANIMATION_SIZE, ANIMATION),
    "gif of Pillow": encoded(gradient("P"), "GIF"),
}
"""One small image of each kind."""
