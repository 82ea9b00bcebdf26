"""
What is told of a JPEG by its segments.
"""

from __future__ import annotations

import pytest

from holdfast.service.images.errors import BrokenImage, TooManyPixels
from holdfast.service.images.formats import jpeg
from holdfast.service.images.formats.jpeg import MAX_SCANNED, MAX_SCANS
from holdfast.service.images.formats.outline import MAX_BLOCKS, STEP
from tests.images import pictures
from tests.images.pictures import decoded, exif, pixels_of, segment, swapped_profile, with_segments

PLAIN = pictures.jpeg()
FRAME = PLAIN.index(b"\xff\xc0")
SCAN = PLAIN.index(b"\xff\xda")
CODED = SCAN + 2 + int.from_bytes(PLAIN[SCAN + 2 : SCAN + 4], "big")
END = b"\xff\xd9"
PROGRESSIVE = pictures.jpeg(progressive=True)
LAST_SCAN = PROGRESSIVE.rindex(b"\xff\xda")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_facts(mode: str, progressive: bool) -> None:
    """The size is found, and what a decoder gets makes the same pixels."""
    content = pictures.jpeg(mode, (31, 17), progressive=progressive, comment=b"SECRET", exif=b"Exif\0\0" + exif(1))
    found = jpeg.outline(content + b"behind")

    assert ("image/jpeg", 31, 17) == (found.content_type, found.width, found.height)
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
        pytest.param(segment(0xCC, b"\0\x10"), id="what arithmetic codes begin with"),
    ],
)
def test_what_a_decoder_gets(kept: bytes) -> None:
    """What changes the pixels is kept, in its place."""
    content = with_segments(PLAIN, kept)

    assert content == jpeg.outline(content).essence


def test_filling() -> None:
    """Any number of bytes FF may stand in front of a marker, also behind coded bytes."""
    content = PLAIN[:FRAME] + b"\xff\xff\xff" + PLAIN[FRAME:-2] + b"\xff\xff" + END

    assert pixels_of(decoded(PLAIN)) == pixels_of(decoded(jpeg.outline(content).essence))


def test_restarts_and_stuffing() -> None:
    """FF 00 and the markers of restarts belong to the coded bytes."""
    content = pictures.encoded(pictures.gradient("RGB", (200, 200)), "JPEG", quality=100, restart_marker_blocks=1)

    assert b"\xff\x00" in content
    assert b"\xff\xd7" in content
    assert pixels_of(decoded(content)) == pixels_of(decoded(jpeg.outline(content + b"behind").essence))


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation(turned: int) -> None:
    """How the camera was held is told by EXIF."""
    assert turned == jpeg.outline(with_segments(PLAIN, segment(0xE1, b"Exif\0\0" + exif(turned)))).orientation


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(b"?", id="a byte"),
        pytest.param(b"\xff\0", id="a stuffed FF"),
        pytest.param(bytes(1000), id="many zeros"),
        pytest.param(b"ab\xff\0\0\xff\xff\0c\xff", id="all at once"),
        pytest.param(b"\xff\xd0", id="a restart"),
        pytest.param(b"\xff\x01", id="TEM"),
    ],
)
def test_stray_bytes(stray: bytes) -> None:
    """Decoders pass over what stands between segments."""
    for at in (20, FRAME, SCAN):  # behind JFIF, and in front of others
        assert PLAIN == jpeg.outline(PLAIN[:at] + stray + PLAIN[at:]).essence


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(pictures.jpeg("L", (3, 2)), id="a second picture"),
        pytest.param(b"\0\0" + pictures.jpeg("L", (3, 2)), id="a second picture after padding"),
        pytest.param(b"\xff\x02\0\x09", id="a marker that is none"),
        pytest.param(b"\xff\xda\0\x02", id="a scan that is none"),
        pytest.param(b"\xff\xe1\xff\xff", id="a segment that is none"),
    ],
)
def test_no_end_before_a_trailer(progressive: bool, behind: bytes) -> None:
    """Something else that begins where an end is missing ends the picture, and adds nothing to it."""
    content = pictures.jpeg(progressive=progressive)
    found = jpeg.outline(content[:-2] + behind)

    assert (24, 16) == (found.width, found.height)
    assert pixels_of(decoded(content)) == pixels_of(decoded(found.essence))


def test_end_that_is_missing() -> None:
    """Where the content ends before the image does, that is told; a decoder gets an end all the same."""
    for rest in (b"", b"\xff"):
        found = jpeg.outline(PLAIN[:-2] + rest)
        assert (True, PLAIN) == (found.is_cut, found.essence)
    assert not jpeg.outline(PLAIN).is_cut
    assert not jpeg.outline(PLAIN[:-2] + b"\xff\xd8").is_cut


@pytest.mark.timeout(5)
def test_filling_costs_nothing() -> None:
    """Twenty million bytes of filling are gone through at once, whether a marker follows or not."""
    filling = b"\xff" * 20_000_000

    assert PLAIN == jpeg.outline(PLAIN[:2] + filling + PLAIN[2:]).essence
    with pytest.raises(BrokenImage):
        jpeg.outline(PLAIN[:2] + filling)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xd8" + END, id="nothing"),
        pytest.param(PLAIN[:SCAN] + END, id="no scan"),
        pytest.param(PLAIN[:FRAME] + PLAIN[SCAN:], id="a scan without a frame header"),
        pytest.param(PLAIN[:SCAN] + PLAIN[FRAME:], id="two frame headers"),
        pytest.param(with_segments(PLAIN, segment(0xC0, b"\x08\0\1\0")), id="a short frame header"),
        pytest.param(with_segments(PLAIN, b"\xff\xe5\0\1"), id="a segment without room for its length"),
        pytest.param(with_segments(PLAIN, b"\xff\xd8"), id="two beginnings"),
        pytest.param(PROGRESSIVE[:-2] + PROGRESSIVE[LAST_SCAN:-2] * MAX_SCANS + END, id="too many scans"),
        pytest.param(with_segments(PLAIN, segment(0xF0, b"ab")), id="a marker of another kind of JPEG"),
        pytest.param(PLAIN[:SCAN] + b"?" * 100, id="nothing but stray bytes"),
        pytest.param(with_segments(PLAIN, segment(0xE5, b"") * MAX_BLOCKS), id="too many segments"),
    ],
)
def test_broken(content: bytes) -> None:
    """What is not built as a JPEG is refused without a decoder."""
    with pytest.raises(BrokenImage):
        jpeg.outline(content)


def test_costly_scans() -> None:
    """Of a large picture there may be fewer scans than of a small one, for each of them takes time for all pixels."""
    frame = PROGRESSIVE.index(b"\xff\xc2")
    scans = PROGRESSIVE.count(b"\xff\xda")
    side = int((MAX_SCANNED / (scans + 1)) ** 0.5)
    large = PROGRESSIVE[: frame + 5] + 2 * side.to_bytes(2, "big") + PROGRESSIVE[frame + 9 :]

    assert side == jpeg.outline(large).width
    with pytest.raises(TooManyPixels, match="scans"):
        jpeg.outline(large[:-2] + PROGRESSIVE[LAST_SCAN:-2] * 2 + END)
    assert MAX_SCANNED > 12 * 52_000_000


def test_markers_between_steps() -> None:
    """A marker is found where one search ends and the next begins, too."""
    for size in range(STEP - 4, STEP + 4):
        assert PLAIN == jpeg.outline(PLAIN[:2] + bytes(size) + PLAIN[2:]).essence
