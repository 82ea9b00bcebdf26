"""
Parses the structure of a GIF (GIF89a specification), and composes its frames into pictures.

As in browsers, zeros between blocks are skipped; after the first frame, anything that is not a block ends the image, as does the
end of the content.  A later frame that is cut short is shown as far as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO

from PIL import Image, ImageFile

from holdfast.service.images.errors import BrokenImage, CutShort
from holdfast.service.images.formats.outline import Cursor, Frame, Outline, checked_frames
from holdfast.service.images.limits import ImageLimits

EXTENSION, IMAGE, END, FILLING = b"!", b",", b";", b"\0"
CONTROL, APPLICATION = 0xF9, 0xFF
CONTROL_BYTES = 4
LOOP = b"NETSCAPE2.0\x01"
LOOP_BYTES = len(LOOP) + 2
NEEDED = {CONTROL: CONTROL_BYTES, APPLICATION: LOOP_BYTES}
"""Bytes of an extension that are looked at."""
SHORT = 128
"""Encoders fill sub-blocks, to 254 or 255 bytes; so many that are shorter than this are a trick."""
HAS_TABLE, INTERLACED = 0x80, 0x40
KEPT, TO_BACKGROUND, TO_PREVIOUS = 1, 2, 3
CLEAR = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Control:
    """What a graphic control extension says of the frame after it."""

    duration: int = 0
    disposal: int = 0
    transparent: int | None = None


def outline(content: bytes, limits: ImageLimits) -> Outline:
    """Return how a GIF is built; its frames are counted on the way, so that a long animation is left early."""
    cursor = Cursor(content, len(b"GIF89a"))
    width, height = cursor.number(2, little=True), cursor.number(2, little=True)
    flags = cursor.take(3)[0]
    table = _table(cursor, flags)
    walk = GifWalk(cursor, table, limits)
    with suppress(CutShort):
        walk.to_the_end()
    frames = walk.frames
    if not frames:
        raise BrokenImage("the image has no pixels")
    # As browsers do: a picture is as large as its first frame at least.
    width = max(width, frames[0].left + frames[0].width)
    height = max(height, frames[0].top + frames[0].height)
    return Outline(content_type="image/gif", width=width, height=height, frames=tuple(frames), loop=walk.loop)


class GifWalk:
    """The way along the blocks of a GIF: the *frames* up to now, and how often they are repeated."""

    def __init__(self, cursor: Cursor, table: bytes, limits: ImageLimits) -> None:
        self._cursor = cursor
        self._table = table
        self._limits = limits
        self._control = Control()
        self.frames: list[Frame] = []
        self.loop: int | None = None

    def to_the_end(self) -> None:
        """
        Go behind the last block.

        :raises CutShort: the content ends before.
        """
        while (kind := self._cursor.take(1)) != END:
            self._cursor.count_block()
            if kind == EXTENSION:
                self._extension()
            elif kind == IMAGE:
                checked_frames(len(self.frames) + 1, self._limits)
                self.frames.append(_frame(self._cursor, self._table, self._control, is_first=not self.frames))
                self._control = Control()
            elif kind != FILLING:
                if self.frames:
                    return
                raise BrokenImage("the image is damaged: an unknown block")

    def _extension(self) -> None:
        label = self._cursor.number(1)
        blocks = _blocks(self._cursor, NEEDED.get(label, 0))
        if label == CONTROL and len(blocks) >= CONTROL_BYTES:
            self._control = _control(blocks)
        elif label == APPLICATION and blocks.startswith(LOOP) and len(blocks) >= LOOP_BYTES:
            self.loop = int.from_bytes(blocks[len(LOOP) : LOOP_BYTES], "little")


def pictures(image: Outline) -> Iterator[Image.Image]:
    """
    Yield what is seen of each frame, in RGBA; it changes with the next one.

    The rules of browsers: what a frame leaves behind is clear, whatever the background colour is.
    """
    canvas = Image.new("RGBA", (image.width, image.height), CLEAR)
    for frame in image.frames:
        before = canvas.copy() if frame.disposal == TO_PREVIOUS else None
        _paste(canvas, frame)
        yield canvas
        if before is not None:
            canvas = before
        elif frame.disposal == TO_BACKGROUND:
            canvas.paste(CLEAR, (frame.left, frame.top, frame.left + frame.width, frame.top + frame.height))


def opened(frame: Frame) -> Image.Image:
    """Return a frame as an image of its own, opened and not decoded yet."""
    return Image.open(BytesIO(_alone(frame)), formats=["GIF"])


def _paste(canvas: Image.Image, frame: Frame) -> None:
    """Put the pixels of a frame on top of what is there."""
    pixels = colours(frame)
    canvas.paste(pixels, (frame.left, frame.top), pixels)


def colours(frame: Frame) -> Image.Image:
    """Return the pixels of a frame in RGBA; those that are missing at the end of the content are clear."""
    try:
        with opened(frame) as shown:
            return shown.convert("RGBA")
    except OSError:
        if not frame.is_cut:
            raise
    parser = ImageFile.Parser()
    for part in (_alone(frame), b""):  # opened with the first, decoded with the next
        parser.feed(part)
    found = Image.new("RGBA", (frame.width, frame.height), CLEAR)
    if parser.image is None or frame.interlaced:
        return found
    # Rows that never came have index 0 everywhere, or the one that is clear.
    last = parser.image.point(lambda index: 0 if index in (0, frame.transparent) else 255, "L").getbbox()
    if last is not None:
        box = (0, 0, frame.width, last[3])
        found.paste(parser.image.convert("RGBA").crop(box), box)
    return found


def written(width: int, height: int, loop: int | None, frames: Iterable[Frame]) -> bytes:
    """Return a GIF of these frames, each of which has its own colours."""
    parts = [b"GIF89a", _words(width, height), b"\0\0\0"]
    if loop is not None:
        parts += [b"!\xff\x0bNETSCAPE2.0\x03\x01", _words(loop), b"\0"]
    for frame in frames:
        parts += [_control_of(frame), _image(frame), frame.pixels]
    return b"".join([*parts, END])


def _alone(frame: Frame) -> bytes:
    """Return the GIF that has this frame only."""
    return written(frame.width, frame.height, None, [replace(frame, left=0, top=0, disposal=0, duration=0)])


def _words(*numbers: int) -> bytes:
    """Return numbers of 16 bits as a GIF has them."""
    return b"".join(number.to_bytes(2, "little") for number in numbers)


def _control_of(frame: Frame) -> bytes:
    """Return the graphic control extension in front of a frame."""
    flags = frame.disposal << 2 | (frame.transparent is not None)
    return b"!\xf9\x04" + bytes((flags,)) + _words(frame.duration // 10) + bytes((frame.transparent or 0,)) + b"\0"


def _image(frame: Frame) -> bytes:
    """Return the image descriptor of a frame, and its colours; their number is a power of two."""
    flags = HAS_TABLE | ((len(frame.colours) // 3).bit_length() - 2) if frame.colours else 0
    flags |= INTERLACED if frame.interlaced else 0
    return IMAGE + _words(frame.left, frame.top, frame.width, frame.height) + bytes((flags,)) + frame.colours


def _table(cursor: Cursor, flags: int) -> bytes:
    """Return the colour table that *flags* announce."""
    return cursor.take(3 << ((flags & 7) + 1)) if flags & HAS_TABLE else b""


def _blocks(cursor: Cursor, needed: int) -> bytes:
    """Return the content of the first sub-blocks, joined, that have *needed* bytes together, and go behind all of them."""
    found = b""
    while len(found) < needed:
        cursor.count_block()
        length = cursor.number(1)
        if not length:
            return found
        found += cursor.take(length)
    _skip_blocks(cursor)
    return found


def _skip_blocks(cursor: Cursor) -> None:
    """
    Go behind the last sub-block, or to the one that is cut short.

    A large image has a quarter of a million, so this is the one loop that has to be short.
    """
    content, at = cursor.content, cursor.at
    before = at
    try:
        while length := content[at]:
            before = at
            at += length + 1
            if length < SHORT:
                cursor.count_block()
    except IndexError:
        cursor.at = at if at == len(content) else before
        raise CutShort("the image is cut short") from None
    cursor.at = at + 1


def _control(block: bytes) -> Control:
    """Read a graphic control extension: flags, delay in hundredths of a second, transparent colour."""
    flags = block[0]
    delay = int.from_bytes(block[1:3], "little")
    return Control(delay * 10, flags >> 2 & 7, block[3] if flags & 1 else None)


def _frame(cursor: Cursor, table: bytes, control: Control, *, is_first: bool) -> Frame:
    """Read an image descriptor and its pixels; what they need is put together as a GIF of its own."""
    left, top, width, height = (cursor.number(2, little=True) for _ in range(4))
    flags = cursor.number(1)
    own = _table(cursor, flags) or table
    start = cursor.at
    cursor.take(1)  # the size of the first codes
    is_cut = False
    try:
        _skip_blocks(cursor)
        pixels = cursor.content[start : cursor.at]
    except CutShort:
        is_cut = True
        pixels = _closed(cursor.content, start, cursor.at)
        cursor.at = len(cursor.content)
    return Frame(
        left=left,
        top=top,
        width=width,
        height=height,
        duration=control.duration,
        disposal=control.disposal,
        colours=own,
        transparent=control.transparent,
        interlaced=bool(flags & INTERLACED),
        pixels=pixels,
        is_cut=is_cut and not is_first,
    )


def _closed(content: bytes, start: int, end: int) -> bytes:
    """Return pixels that are cut short with the end that is missing; *end* is where the sub-block begins that is not whole."""
    rest = content[end + 1 :]
    return content[start:end] + (bytes((len(rest),)) + rest if rest else b"") + b"\0"
