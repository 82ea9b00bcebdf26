"""
What is told of a PNG by its chunks.
"""

from __future__ import annotations

import pytest

from holdfast.service.images.errors import BrokenImage
from holdfast.service.images.formats import png
from holdfast.service.images.formats.outline import MAX_BLOCKS
from tests.images import pictures
from tests.images.pictures import GREY, PALETTE, SIGNATURE, chunk, exif, header, raw_png, with_chunks

PLAIN = raw_png([[1, 2, 3]], 8, GREY)
PIXELS, END = PLAIN[33:-12], PLAIN[-12:]


def test_facts() -> None:
    """Size and depth are those of the header."""
    found = png.outline(PLAIN + b"behind")

    assert ("image/png", 3, 1, 8, 1) == (found.content_type, found.width, found.height, found.depth, found.orientation)
    assert PLAIN == found.essence


@pytest.mark.parametrize(
    "kind", [b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"pHYs", b"gAMA", b"iCCP", b"acTL", b"fdAT", b"prVt"]
)
def test_what_a_decoder_does_not_get(kind: bytes) -> None:
    """Texts, times, animations and whatever is not known is left out."""
    assert PLAIN == png.outline(with_chunks(PLAIN, chunk(kind, b"SECRET"))).essence


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS"])
def test_what_a_decoder_gets(kind: bytes) -> None:
    """What changes the pixels is kept."""
    content = with_chunks(PLAIN, chunk(kind, b"\0\0\0"))

    assert content == png.outline(content).essence
    assert content == png.outline(with_chunks(content, chunk(b"tEXt", b"SECRET"))).essence
    assert content == png.outline(with_chunks(PLAIN, chunk(kind, b"\0\0\0"), chunk(kind, b"\1\1\1"))).essence


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS", b"vpAg"])
def test_what_stands_behind_the_pixels(kind: bytes) -> None:
    """Behind the pixels nothing changes them any more."""
    assert PLAIN == png.outline(PLAIN[:-12] + chunk(kind, b"\0\0\0") + END).essence


def test_transparency_in_front_of_its_palette() -> None:
    """Alpha for the colours of a palette follows the palette."""
    palette, clear = chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0")

    assert clear in png.outline(raw_png([[0, 1]], 1, PALETTE, palette, clear)).essence
    assert clear not in png.outline(raw_png([[0, 1]], 1, PALETTE, clear, palette)).essence


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN + b"\n", id="a line end behind"),
        pytest.param(PLAIN[:-12] + b"\0\0", id="the beginning of an end"),
        pytest.param(PLAIN[:-2], id="an end that is cut"),
        pytest.param(PLAIN[:-2] + b"??", id="an end whose checksum is wrong"),
        pytest.param(PLAIN[:-12] + chunk(b"CgBI") + END, id="something critical behind the pixels"),
        pytest.param(PLAIN[:-14], id="pixels whose checksum is cut"),
        pytest.param(with_chunks(PLAIN, chunk(b"tEXt", b"a")[:-1] + b"?"), id="a text whose checksum is wrong"),
        pytest.param(with_chunks(PLAIN, chunk(b"gAMA", bytes(4))[:-1] + b"?"), id="a gamma whose checksum is wrong"),
        pytest.param(with_chunks(PLAIN, chunk(b"tRNS", bytes(2))[:-1] + b"?"), id="a transparency whose checksum is wrong"),
    ],
)
def test_what_is_passed_over(content: bytes) -> None:
    """What is damaged beside the pixels changes nothing."""
    assert PLAIN == png.outline(content).essence


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation(turned: int) -> None:
    """How the camera was held is told by eXIf, in front of the pixels or behind."""
    told = chunk(b"eXIf", exif(turned))

    assert turned == png.outline(with_chunks(PLAIN, told)).orientation
    assert turned == png.outline(PLAIN[:-12] + told + END).orientation


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SIGNATURE, id="no header"),
        pytest.param(SIGNATURE + PIXELS + END, id="pixels without a header"),
        pytest.param(SIGNATURE + chunk(b"tEXt") + PLAIN[8:], id="the header is not the first"),
        pytest.param(with_chunks(PLAIN, header(3, 1, 8, GREY)), id="two headers"),
        pytest.param(SIGNATURE + chunk(b"IHDR", bytes(12)) + PIXELS + END, id="a short header"),
        pytest.param(SIGNATURE + chunk(b"IHDR", bytes(14)) + PIXELS + END, id="a long header"),
        pytest.param(PLAIN[:33] + END, id="no pixels"),
        pytest.param(PLAIN[:33], id="the end before the pixels"),
        pytest.param(PLAIN[:-13] + bytes((PLAIN[-13] ^ 1,)) + END, id="pixels whose checksum is wrong"),
        pytest.param(with_chunks(PLAIN, chunk(b"CgBI")), id="a critical chunk that is not known"),
        pytest.param(with_chunks(PLAIN, b"\xff\xff\xff\xfftEXt"), id="a chunk longer than all"),
    ],
)
def test_broken(content: bytes) -> None:
    """What is not built as a PNG is refused without a decoder."""
    with pytest.raises(BrokenImage):
        png.outline(content)


def test_too_many_chunks() -> None:
    """Walking over chunks costs time, so their number has a bound."""
    with pytest.raises(BrokenImage, match="blocks"):
        png.outline(with_chunks(PLAIN, chunk(b"teXt") * MAX_BLOCKS))


def test_of_pillow() -> None:
    """What Pillow writes is understood, with everything that it writes besides the pixels."""
    content = pictures.png("P", icc_profile=pictures.swapped_profile(), dpi=(72, 72))

    assert (24, 16) == (png.outline(content).width, png.outline(content).height)
