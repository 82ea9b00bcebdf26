"""
What a rendition shows, and what it does not have any more.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat, PngImagePlugin

from holdfast.service.images.errors import BrokenImage, NotAnImage
from holdfast.service.images.render import Rendered, render
from holdfast.service.images.rendition import Rendition
from tests.images import pictures
from tests.images.pictures import (
    ANIMATION,
    ANIMATION_SIZE,
    GREY,
    GREY_ALPHA,
    LIMITS,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SEEDS,
    chunk,
    decoded,
    encoded,
    exif,
    gif,
    gradient,
    interlaced_png,
    jpeg,
    pixels_of,
    png,
    raw_png,
    segment,
    swapped_profile,
    with_chunks,
    with_segments,
)

OWN_SIZE = Rendition()
SECRET = b"SECRET"


def rendered(content: bytes, rendition: Rendition = OWN_SIZE) -> Rendered:
    """Return the rendition."""
    return render(content, rendition, LIMITS)


def differs(first: Image.Image, second: Image.Image) -> float:
    """Return by how much samples differ, on average."""
    return max(ImageStat.Stat(ImageChops.difference(first.convert("RGB"), second.convert("RGB"))).mean)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_pillow(mode: str) -> None:
    """A PNG in its own size has the pixels that it had."""
    content = png(mode)
    made = rendered(content)

    assert ("image/png", 24, 16) == (made.content_type, made.width, made.height)
    assert pixels_of(decoded(content)) == pixels_of(decoded(made.content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(raw_png([[0, 1, 1]], 1, GREY), [(0, 255), (255, 255), (255, 255)], id="grey, 1 bit"),
        pytest.param(raw_png([[0, 1, 3]], 2, GREY), [(0, 255), (85, 255), (255, 255)], id="grey, 2 bits"),
        pytest.param(raw_png([[0, 7, 15]], 4, GREY), [(0, 255), (119, 255), (255, 255)], id="grey, 4 bits"),
        pytest.param(raw_png([[0, 127, 255]], 8, GREY), [(0, 255), (127, 255), (255, 255)], id="grey, 8 bits"),
        pytest.param(raw_png([[0, 0x7F80, 0xFFFF]], 16, GREY), [(0, 255), (127, 255), (255, 255)], id="grey, 16 bits"),
        pytest.param(raw_png([[0, 1]], 1, GREY, chunk(b"tRNS", b"\0\1")), [(0, 255), (0, 0)], id="one grey clear, 1 bit"),
        pytest.param(raw_png([[0, 1]], 1, GREY, chunk(b"tRNS", b"\0\0")), [(0, 0), (255, 255)], id="black clear, 1 bit"),
        pytest.param(raw_png([[1, 2, 3]], 2, GREY, chunk(b"tRNS", b"\0\2")), [(85, 255), (0, 0), (255, 255)], id="2 bits"),
        pytest.param(raw_png([[1, 7]], 4, GREY, chunk(b"tRNS", b"\0\7")), [(17, 255), (0, 0)], id="one grey clear, 4 bits"),
        pytest.param(raw_png([[9, 10]], 8, GREY, chunk(b"tRNS", b"\0\x09")), [(0, 0), (10, 255)], id="one grey clear, 8 bits"),
        pytest.param(
            raw_png([[0x1234, 0x1235]], 16, GREY, chunk(b"tRNS", b"\x12\x34")),
            [(0, 0), (0x12, 255)],
            id="one grey clear, 16 bits",
        ),
        pytest.param(raw_png([[9, 255, 7, 128]], 8, GREY_ALPHA), [(9, 255), (7, 128)], id="grey and alpha"),
        pytest.param(raw_png([[0x0900, 0xFFFF, 0x0700, 0x8000]], 16, GREY_ALPHA), [(9, 255), (7, 128)], id="both of 16 bits"),
        pytest.param(
            interlaced_png([[9 * x + y for x in range(9)] for y in range(1)]), [(9 * x, 255) for x in range(9)], id="Adam7"
        ),
    ],
)
def test_grey_png(content: bytes, expected: list[tuple[int, int]]) -> None:
    """Grey of every depth is spread over eight bits, and what is clear is clear."""
    assert [(grey, grey, grey, alpha) for grey, alpha in expected] == pixels_of(decoded(rendered(content).content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(raw_png([[1, 2, 3, 4, 5, 6]], 8, RGB), [(1, 2, 3, 255), (4, 5, 6, 255)], id="colours"),
        pytest.param(
            raw_png([[0x0100, 0x02FF, 0x0300]], 16, RGB),
            [(1, 2, 3, 255)],
            id="colours of 16 bits",
        ),
        pytest.param(
            raw_png([[1, 2, 3, 4, 5, 6]], 8, RGB, chunk(b"tRNS", bytes((0, 4, 0, 5, 0, 6)))),
            [(1, 2, 3, 255), (0, 0, 0, 0)],
            id="one colour clear",
        ),
        pytest.param(
            raw_png([[0x0101, 0x0202, 0x0303, 0x0404, 0x0505, 0x0606]], 16, RGB, chunk(b"tRNS", bytes((4, 4, 5, 5, 6, 6)))),
            [(1, 2, 3, 255), (0, 0, 0, 0)],
            id="one colour of 16 bits clear",
        ),
        pytest.param(raw_png([[1, 2, 3, 128]], 8, RGB_ALPHA), [(1, 2, 3, 128)], id="alpha"),
        pytest.param(raw_png([[0x0100, 0x0200, 0x0300, 0x8000]], 16, RGB_ALPHA), [(1, 2, 3, 128)], id="alpha of 16 bits"),
        pytest.param(
            raw_png([[1, 0]], 1, PALETTE, chunk(b"PLTE", bytes((1, 2, 3, 4, 5, 6)))),
            [(4, 5, 6, 255), (1, 2, 3, 255)],
            id="a palette",
        ),
        pytest.param(
            raw_png([[0, 1, 2]], 8, PALETTE, chunk(b"PLTE", bytes(range(1, 10))), chunk(b"tRNS", b"\x80\0")),
            [(1, 2, 3, 128), (0, 0, 0, 0), (7, 8, 9, 255)],
            id="a palette with alpha",
        ),
        pytest.param(
            raw_png([[0, 1]], 2, PALETTE, chunk(b"PLTE", bytes(range(1, 7))), chunk(b"tRNS", b"\xff\0")),
            [(1, 2, 3, 255), (0, 0, 0, 0)],
            id="a palette with a clear colour",
        ),
    ],
)
def test_colour_png(content: bytes, expected: list[pictures.Pixel]) -> None:
    """Colours of every kind have eight bits, and what is clear is clear."""
    assert expected == pixels_of(decoded(rendered(content).content))


def test_deep_grey_of_pillow() -> None:
    """Grey of 16 bits becomes lighter by no more than its lower half."""
    made = decoded(rendered(png("I;16")).content)

    assert pictures.pixel_values(gradient("RGBA").getchannel("G")) == pictures.pixel_values(made)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(mode: str, progressive: bool) -> None:
    """A JPEG in its own size looks as it did, in colours that browsers show."""
    content = jpeg(mode, (64, 48), progressive=progressive, quality=95)
    made = rendered(content)
    picture = decoded(made.content)

    assert ("image/jpeg", 64, 48) == (made.content_type, made.width, made.height)
    assert ("L" if mode == "L" else "RGB") == picture.mode
    assert differs(decoded(content), picture) < 4


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("turned", "red", "green"),
    [
        (1, "top left", "top right"),
        (2, "top right", "top left"),
        (3, "bottom right", "bottom left"),
        (4, "bottom left", "bottom right"),
        (5, "top left", "bottom left"),
        (6, "top right", "bottom right"),
        (7, "bottom right", "top right"),
        (8, "bottom left", "top left"),
    ],
)
def test_orientation(form: str, turned: int, red: str, green: str) -> None:
    """A rendition stands upright, and says nothing of how it was turned."""
    stored = Image.new("RGB", (48, 32), "white")
    stored.paste("red", (0, 0, 16, 16))
    stored.paste("lime", (32, 0, 48, 16))
    told = Image.Exif()
    told[0x0112] = turned
    content = encoded(stored, form, exif=told)
    picture = decoded(rendered(content).content)
    corners = {
        f"{row} {column}": picture.getpixel((x, y))
        for row, y in (("top", 4), ("bottom", picture.height - 5))
        for column, x in (("left", 4), ("right", picture.width - 5))
    }
    colours = {
        corner: "".join("1" if isinstance(pixel, tuple) and pixel[band] > 128 else "0" for band in range(3))
        for corner, pixel in corners.items()
    }

    expected = dict.fromkeys(corners, "111") | {red: "100", green: "010"}
    assert ((48, 32) if turned < 5 else (32, 48)) == picture.size
    assert expected == colours
    assert differs(ImageOps.exif_transpose(decoded(content)), picture) < 3
    assert 1 == picture.getexif().get(0x0112, 1)


def test_bounds_are_of_what_is_seen() -> None:
    """The box is for the picture as it stands, not as it lies in the file."""
    made = rendered(with_segments(jpeg(size=(60, 30)), segment(0xE1, b"Exif\0\0" + exif(6))), Rendition(width=10))

    assert (10, 20) == (made.width, made.height) == decoded(made.content).size


def texts() -> PngImagePlugin.PngInfo:
    """Return texts of every kind of a PNG."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "SECRET")
    info.add_text("Place", "SECRET", zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRET</x:xmpmeta>")
    return info


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            with_segments(
                jpeg(comment=SECRET, icc_profile=swapped_profile()),
                segment(0xE1, b"Exif\0\0" + exif(6)),
                segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>SECRET</x:xmpmeta>"),
                segment(0xED, b"Photoshop 3.0\0SECRET"),
                segment(0xE7, SECRET),
            ),
            id="JPEG",
        ),
        pytest.param(jpeg() + with_segments(jpeg(), segment(0xFE, SECRET)), id="JPEG with a second picture"),
        pytest.param(
            with_chunks(
                png("RGBA", pnginfo=texts(), icc_profile=swapped_profile(), dpi=(300, 300)),
                chunk(b"eXIf", exif(6)),
                chunk(b"tIME", bytes(7)),
                chunk(b"seCr", SECRET),
            ),
            id="PNG",
        ),
        pytest.param(
            gif(*ANIMATION_SIZE, ANIMATION, before=b"!\xfe\x06SECRET\0!\xff\x0bXMP DataXMP\x06SECRET\0"),
            id="GIF",
        ),
    ],
)
@pytest.mark.parametrize("rendition", [OWN_SIZE, Rendition(width=5)], ids=["own size", "smaller"])
def test_nothing_but_pixels(content: bytes, rendition: Rendition) -> None:
    """Texts, places, profiles, makers and second pictures are gone."""
    assert SECRET in content
    made = rendered(content, rendition).content
    picture = decoded(made)

    assert SECRET not in made
    assert not {b"Exif", b"eXIf", b"ICC_PROFILE", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"xmpmeta"} & {
        made[at : at + size] for at in range(len(made)) for size in (4, 7, 11)
    }
    assert {} == dict(picture.getexif())
    expected = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
    expected |= {"version", "background", "duration", "loop", "extension", "transparency"} if content[:3] == b"GIF" else set()
    assert set(picture.info) <= expected


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_profile(form: str, mode: str) -> None:
    """Colours of a device become those that browsers expect without a profile."""
    if (form, mode) == ("JPEG", "RGBA"):
        mode = "RGB"
    red = Image.new(mode, (16, 16), "red")
    picture = decoded(rendered(encoded(red, form, icc_profile=swapped_profile())).content)

    assert mode == picture.mode
    assert differs(Image.new("RGB", (16, 16), "blue"), picture) < 6


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(b"no profile at all", id="broken"),
        pytest.param(swapped_profile()[:200], id="cut short"),
        pytest.param(swapped_profile().replace(b"RGB XYZ ", b"CMYKXYZ "), id="for other colours"),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "P"])
def test_useless_profile(profile: bytes, mode: str) -> None:
    """A profile that does not fit is passed over."""
    content = png(mode, icc_profile=profile)

    assert pixels_of(gradient(mode)) == pixels_of(decoded(rendered(content).content))


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.parametrize(
    ("rendition", "expected"),
    [
        pytest.param(Rendition(width=5, height=7, crop=True), (5, 7), id="crop"),
        pytest.param(Rendition(width=1, height=1, crop=True), (1, 1), id="one pixel"),
        pytest.param(Rendition(width=4096, height=4096), None, id="never enlarged"),
    ],
)
def test_sizes(kind: str, rendition: Rendition, expected: tuple[int, int] | None) -> None:
    """What is said of a rendition is what it is, for every kind of image."""
    before = decoded(rendered(SEEDS[kind]).content).size
    made = rendered(SEEDS[kind], rendition)

    assert (expected or before) == (made.width, made.height) == decoded(made.content).size


def test_crop() -> None:
    """A crop in own size is the middle of the picture, pixel by pixel."""
    content = png("RGBA", (24, 16))
    made = decoded(rendered(content, Rendition(width=10, height=16, crop=True)).content)

    assert pixels_of(decoded(content).crop((7, 0, 17, 16))) == pixels_of(made)


def test_smaller() -> None:
    """A picture made smaller looks like the picture."""
    content = png("RGB", (200, 100))
    made = decoded(rendered(content, Rendition(width=40)).content)

    assert differs(gradient("RGB", (200, 100)).resize((40, 20), Image.Resampling.LANCZOS), made) < 2


def test_black_and_white_becomes_grey() -> None:
    """A scan made smaller has greys where black and white come together, not one of them by chance."""
    scan = Image.new("L", (80, 80))
    scan.paste(255, (0, 0, 42, 80))
    made = decoded(rendered(encoded(scan.convert("1"), "PNG"), Rendition(width=10)).content)

    assert [grey for grey, *_ in pixels_of(made) if 20 < grey < 235]


def test_clear_pixels_do_not_bleed() -> None:
    """The colour of what is clear is not seen when a picture is made smaller."""
    stored = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    stored.paste((0, 0, 255, 255), (0, 0, 19, 40))
    made = decoded(rendered(encoded(stored, "PNG"), Rendition(width=10)).content)

    assert {0} == {pixel[0] for pixel in pixels_of(made) if pixel[3] > 8}


@pytest.mark.parametrize("kind", SEEDS)
def test_name(kind: str) -> None:
    """The name is made of the content, and the same rendition has the same one again."""
    made = rendered(SEEDS[kind], Rendition(width=7))

    assert urlsafe_b64encode(hashlib.sha256(made.content).digest()).decode().rstrip("=") == made.name
    assert made == rendered(SEEDS[kind], Rendition(width=7))
    assert made.name != rendered(SEEDS[kind], Rendition(width=6)).name


def test_refused() -> None:
    """What is refused to be inspected is refused to be rendered."""
    with pytest.raises(NotAnImage):
        rendered(b"<svg/>")
    with pytest.raises(BrokenImage):
        rendered(png()[:-13] + b"?" + png()[-12:])


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "P"])
def test_a_useless_profile_is_gone(mode: str) -> None:
    """A profile that was passed over is not written again, for others may see by it what we did not."""
    picture = decoded(rendered(png(mode, icc_profile=swapped_profile()[:200])).content)

    assert "icc_profile" not in picture.info
