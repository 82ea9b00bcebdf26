"""
Which colours a PNG has, by the chunk that counts, and what is seen of them.
"""

from __future__ import annotations

import zlib
from io import BytesIO

import pytest
from PIL import ImageCms

from holdfast.service.images.errors import BrokenImage
from holdfast.service.images.formats.png_colours import MAX_PROFILE, profiles
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from tests.images.pictures import GREY, GREY_ALPHA, LIMITS, RGB, RGB_ALPHA, chunk, decoded, raw_png, swapped_profile

Pixel = tuple[int, ...]
COLOUR = (220, 40, 30)
CICP_P3, CICP_SRGB = chunk(b"cICP", bytes((12, 13, 0, 1))), chunk(b"cICP", bytes((1, 13, 0, 1)))
SWAPPED = chunk(b"iCCP", b"p\0\0" + zlib.compress(swapped_profile()))
SRGB = chunk(b"sRGB", b"\0")


def gamma(value: int) -> bytes:
    """Return gAMA."""
    return chunk(b"gAMA", value.to_bytes(4, "big"))


def chromaticities(*values: int) -> bytes:
    """Return cHRM: white, red, green, blue."""
    return chunk(b"cHRM", b"".join(value.to_bytes(4, "big") for value in values))


LINEAR = gamma(100_000)
CHRM_SRGB = chromaticities(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
CHRM_P3 = chromaticities(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)

PLAIN, OF_LINEAR, OF_P3, OF_SWAPPED = (220, 40, 30), (239, 110, 96), (240, 0, 0), (30, 40, 220)


def rendered(*chunks: bytes, colour: int = RGB, samples: Pixel = COLOUR) -> Pixel:
    """Return the one pixel of the rendition of a PNG that has these chunks."""
    found = decoded(render(raw_png([list(samples)], 8, colour, *chunks), Rendition(), LIMITS).content)
    pixel = found.getpixel((0, 0))
    return pixel if isinstance(pixel, tuple) else (int(pixel or 0),)


def is_near(found: Pixel, expected: Pixel) -> bool:
    """Say whether two colours look the same."""
    return len(found) == len(expected) and all(abs(a - b) <= 2 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([], PLAIN, id="nothing"),
        pytest.param([SRGB], PLAIN, id="sRGB"),
        pytest.param([gamma(45455)], PLAIN, id="the gamma of sRGB"),
        pytest.param([gamma(45455), CHRM_SRGB], PLAIN, id="gamma and primaries of sRGB"),
        pytest.param([CHRM_SRGB], PLAIN, id="primaries of sRGB"),
        pytest.param([LINEAR], OF_LINEAR, id="linear"),
        pytest.param([LINEAR, CHRM_SRGB], OF_LINEAR, id="linear with primaries"),
        pytest.param([gamma(45455), CHRM_P3], OF_P3, id="gamma and primaries of Display P3"),
        pytest.param([CHRM_P3], OF_P3, id="primaries of Display P3"),
        pytest.param([CICP_P3], OF_P3, id="code points of Display P3"),
        pytest.param([chunk(b"cICP", bytes((1, 8, 0, 1)))], OF_LINEAR, id="code points that are linear"),
        pytest.param([chunk(b"cICP", bytes((1, 13, 0, 0)))], (238, 28, 16), id="code points of a narrow range"),
        pytest.param([SWAPPED], OF_SWAPPED, id="a profile"),
        # 4.3: cICP, then iCCP, then sRGB, then gAMA and cHRM.
        pytest.param([LINEAR, SRGB], PLAIN, id="sRGB before gamma"),
        pytest.param([LINEAR, SRGB, SWAPPED], OF_SWAPPED, id="a profile before sRGB"),
        pytest.param([LINEAR, SRGB, SWAPPED, CICP_P3], OF_P3, id="code points before a profile"),
        pytest.param([SWAPPED, CICP_SRGB], PLAIN, id="code points of sRGB before a profile"),
        # What cannot be followed is ignored, and the next counts.
        pytest.param([chunk(b"cICP", bytes((1, 13, 1, 1))), SWAPPED], OF_SWAPPED, id="code points that are not RGB"),
        pytest.param([chunk(b"cICP", bytes((99, 13, 0, 1))), LINEAR], OF_LINEAR, id="code points that nobody knows"),
        pytest.param([chunk(b"cICP", b"\1\r\0")], PLAIN, id="code points that are too short"),
        pytest.param([chunk(b"iCCP", b"p\0\0" + zlib.compress(b"none")), LINEAR], OF_LINEAR, id="a profile that is none"),
        pytest.param([chunk(b"iCCP", b"p\0\0none"), LINEAR], OF_LINEAR, id="a profile that cannot be unpacked"),
        pytest.param([chunk(b"sRGB", b""), LINEAR], OF_LINEAR, id="sRGB that is too short"),
        pytest.param([gamma(0)], PLAIN, id="no gamma"),
        pytest.param([gamma(1), chunk(b"gAMA", b"")], PLAIN, id="a gamma that is none"),
        pytest.param([LINEAR, chunk(b"cHRM", b"")], PLAIN, id="primaries that are too short"),
        pytest.param([LINEAR, chromaticities(*[31270, 32900] * 4)], PLAIN, id="primaries that are all white"),
        pytest.param([LINEAR, gamma(45455)], OF_LINEAR, id="the first gamma"),
    ],
)
def test_colours(chunks: list[bytes], expected: Pixel) -> None:
    """A rendition has the colours that the chunk means which counts."""
    assert is_near(rendered(*chunks), expected)
    assert is_near(rendered(*chunks, colour=RGB_ALPHA, samples=(*COLOUR, 128)), (*expected, 128))


def test_where_colours_stand() -> None:
    """5.6, table 7: behind PLTE or IDAT they do not count."""
    content = raw_png([list(COLOUR)], 8, RGB)
    behind = content[:-12] + LINEAR + content[-12:]

    assert COLOUR == decoded(render(behind, Rendition(), LIMITS).content).getpixel((0, 0))
    assert rendered(chunk(b"PLTE", bytes(6)), LINEAR) == PLAIN


@pytest.mark.parametrize("chunks", [[LINEAR], [LINEAR, CHRM_P3], [chunk(b"cICP", bytes((12, 8, 0, 1)))]], ids=len)
def test_grey(chunks: list[bytes]) -> None:
    """Greys become lighter or darker, and stay grey."""
    assert is_near(rendered(*chunks, colour=GREY, samples=(40,)), (110, 110, 110))
    assert is_near(rendered(*chunks, colour=GREY_ALPHA, samples=(40, 99)), (110, 110, 110, 99))


@pytest.mark.parametrize(("curve", "white"), [(16, 150), (18, 195)], ids=["PQ", "HLG"])
def test_high_dynamic_range(curve: int, white: int) -> None:
    """The white of graphics is white, what is brighter stays white, and darker greys keep their order."""
    found = [rendered(chunk(b"cICP", bytes((9, curve, 0, 1))), samples=(at, at, at))[0] for at in range(0, 256, 5)]

    assert found == sorted(found)
    assert (0, 255) == (found[0], found[-1])
    assert abs(found[white // 5] - 255) < 10
    assert found[white // 10] < 150


def test_every_code_point() -> None:
    """White is white and black is black in all primaries and curves that are known."""
    for primaries in (1, 4, 5, 6, 7, 9, 11, 12):
        for curve in (1, 4, 5, 6, 8, 13, 14, 15, 16, 18):
            told = chunk(b"cICP", bytes((primaries, curve, 0, 1)))
            assert is_near(rendered(told, samples=(255, 255, 255)), (255, 255, 255))
            assert is_near(rendered(told, samples=(0, 0, 0)), (0, 0, 0))


def test_size_of_a_profile() -> None:
    """A profile that becomes too large when it is unpacked is an attack."""
    fits, bomb = (b"p\0\0" + zlib.compress(bytes(size)) for size in (MAX_PROFILE, MAX_PROFILE + 1))

    assert MAX_PROFILE == len(profiles({b"iCCP": fits}, is_grey=False)[0])
    with pytest.raises(BrokenImage, match="profile"):
        profiles({b"iCCP": bomb}, is_grey=False)


def test_profile_is_sound() -> None:
    """What is written here is a profile for others, too; its primaries are those that it was made of."""
    (profile,) = profiles({b"cICP": bytes((12, 13, 0, 1))}, is_grey=False)
    read = ImageCms.getOpenProfile(BytesIO(profile)).profile

    assert "RGB " == read.xcolor_space
    assert read.red_primary is not None
    assert [pytest.approx(0.68, abs=0.02), pytest.approx(0.32, abs=0.02)] == list(read.red_primary[1][:2])
