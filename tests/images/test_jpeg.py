"""
What is told of a JPEG by its segments.
"""

from __future__ import annotations

import pytest

from service.images import jpeg
from service.images.errors import BrokenImage
from service.images.jpeg import MAX_SCANS
from service.images.outline import MAX_BLOCKS
from tests.images import pictures
from tests.images.pictures import decoded, exif, pixels_of, segment, swapped_profile, with_segments

PLAIN = pictures.jpeg()
FRAME = PLAIN.index(b"\xff\xc0")
SCAN = PLAIN.index(b"\xff\xda")
CODED = SCAN + 2 + int.from_bytes(PLAIN[SCAN + 2 : SCAN + 4], "big")
END = b"\xff\xd9"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_facts(mode: str, progressive: bool) -> None:
    """Size and end are found, and what a decoder gets makes the same pixels."""
    content = pictures.jpeg(mode, (31, 17), progressive=progressive, comment=b"SECRET", exif=b"Exif\0\0" + exif(1))
    found = jpeg.outline(content + b"behind")

    assert ("image/jpeg", 31, 17) == (found.content_type, found.width, found.height)
    assert len(content) == found.end
    assert b"SECRET" not in found.essence
    assert pixels_of(decoded(content)) == pixels_of(decoded(found.essence))


@pytest.mark.parametrize(
    "left_out",
    [
        pytest.param(segment(0xFE, b"SECRET"), id="a comment"),
        pytest.param(segment(0xE1, b"Exif\0\0" + exif(3)), id="EXIF"),
        pytest.param(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"), id="XMP"),
        pytest.param(segment(0xE2, b"MPF\0II*\0"), id="more pictures"),
        pytest.param(segment(0xE0, b"JFXX\0\x10"), id="a thumbnail"),
        pytest.param(segment(0xED, b"Photoshop 3.0\0"), id="IPTC"),
        pytest.param(segment(0xEF, b""), id="nothing"),
    ],
)
def test_what_a_decoder_does_not_get(left_out: bytes) -> None:
    """What has no pixels is left out, wherever it stands in front of the scan."""
    assert PLAIN == jpeg.outline(with_segments(PLAIN, left_out)).essence
    assert PLAIN == jpeg.outline(PLAIN[:SCAN] + left_out + PLAIN[SCAN:]).essence
    assert PLAIN == jpeg.outline(PLAIN[:-2] + left_out + END).essence


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(segment(0xE2, b"ICC_PROFILE\0\x01\x01" + swapped_profile()), id="a colour profile"),
        pytest.param(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"), id="how colours are coded"),
        pytest.param(segment(0xDD, b"\0\0"), id="a restart interval"),
    ],
)
def test_what_a_decoder_gets(kept: bytes) -> None:
    """What changes the pixels is kept, in its place."""
    content = with_segments(PLAIN, kept)

    assert content == jpeg.outline(content).essence


def test_filling() -> None:
    """Any number of bytes FF may stand in front of a marker, also behind coded bytes."""
    content = PLAIN[:FRAME] + b"\xff\xff\xff" + PLAIN[FRAME:-2] + b"\xff\xff" + END

    assert len(content) == jpeg.outline(content).end
    assert pixels_of(decoded(PLAIN)) == pixels_of(decoded(jpeg.outline(content).essence))


def test_restarts_and_stuffing() -> None:
    """FF 00 and the markers of restarts belong to the coded bytes."""
    content = pictures.encoded(pictures.gradient("RGB", (200, 200)), "JPEG", quality=100, restart_marker_blocks=1)

    assert b"\xff\x00" in content
    assert b"\xff\xd7" in content
    assert len(content) == jpeg.outline(content).end


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation(turned: int) -> None:
    """How the camera was held is told by EXIF."""
    assert turned == jpeg.outline(with_segments(PLAIN, segment(0xE1, b"Exif\0\0" + exif(turned)))).orientation


def test_images_behind() -> None:
    """Cameras put more images behind the picture: it ends where the last of them ends, and they add nothing to it."""
    found = jpeg.outline(PLAIN + pictures.jpeg("L", (3, 2)) * 2 + b"behind")

    assert len(PLAIN + pictures.jpeg("L", (3, 2)) * 2) == found.end
    assert (24, 16, PLAIN) == (found.width, found.height, found.essence)


@pytest.mark.timeout(5)
def test_filling_costs_nothing() -> None:
    """Twenty million bytes of filling are gone through at once, whether a marker follows or not."""
    filling = b"\xff" * 20_000_000

    assert PLAIN == jpeg.outline(PLAIN[:2] + filling + PLAIN[2:]).essence
    with pytest.raises(BrokenImage):
        jpeg.outline(PLAIN[:2] + filling)


@pytest.mark.timeout(5)
def test_one_count_for_all_images() -> None:
    """The smallest of images behind each other are counted together."""
    frame, scan = b"\xff\xc0\0\x08\x08\0\1\0\1\0", b"\xff\xda\0\2"
    tiny = b"\xff\xd8" + frame + scan + END

    assert len(PLAIN + tiny * 100) == jpeg.outline(PLAIN + tiny * 100).end
    with pytest.raises(BrokenImage, match="blocks"):
        jpeg.outline(PLAIN + tiny * 500_000)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xd8" + END, id="nothing"),
        pytest.param(PLAIN[:SCAN] + END, id="no scan"),
        pytest.param(PLAIN[:FRAME] + PLAIN[SCAN:], id="a scan without a frame header"),
        pytest.param(PLAIN[:SCAN] + PLAIN[FRAME:], id="two frame headers"),
        pytest.param(with_segments(PLAIN, segment(0xC0, b"\x08\0\1\0")), id="a short frame header"),
        pytest.param(with_segments(PLAIN, b"\xff\xe5\0\1"), id="a segment without room for its length"),
        pytest.param(with_segments(PLAIN, b"?"), id="no marker"),
        pytest.param(with_segments(PLAIN, b"\xff\xd8"), id="two beginnings"),
        pytest.param(with_segments(PLAIN, b"\xff\xd0"), id="a restart outside of coded bytes"),
        pytest.param(with_segments(PLAIN, b"\xff\0"), id="zero is no marker"),
        pytest.param(PLAIN[:-2] + segment(0xDC, b"\0\1") + END, id="a number of lines behind the scan"),
        pytest.param(PLAIN[:-2], id="no end"),
        pytest.param(PLAIN[:-2] + b"\xff", id="half an end"),
        pytest.param(PLAIN[:-2] + b"\xff\xff\xff", id="filling for ever"),
        pytest.param(PLAIN[:-2] + PLAIN[SCAN:-2] * MAX_SCANS + END, id="too many scans"),
        pytest.param(with_segments(PLAIN, segment(0xE5, b"") * MAX_BLOCKS), id="too many segments"),
    ],
)
def test_broken(content: bytes) -> None:
    """What is not built as a JPEG is refused without a decoder."""
    with pytest.raises(BrokenImage):
        jpeg.outline(content)
