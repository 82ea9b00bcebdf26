"""
What is known of an image, and what is refused before, and after, it is decoded.
"""

from __future__ import annotations

import time
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holdfast.service.images.errors import BrokenImage, ImageRefused, NotAnImage, TooManyBytes, TooManyFrames, TooManyPixels
from holdfast.service.images.inspect import ImageFacts, admitted, inspect
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from tests.images import pictures
from tests.images.formats.test_polyglots import HTML, zipped
from tests.images.pictures import (
    ANIMATION,
    ANIMATION_SIZE,
    GREY,
    LIMITS,
    SEEDS,
    SIGNATURE,
    SMALL_LIMITS,
    Cel,
    block,
    chunk,
    decoded,
    encoded,
    exif,
    gif,
    gradient,
    header,
    huge_png,
    jpeg,
    png,
    segment,
    with_chunks,
    with_right_checksums,
    with_segments,
)


@pytest.mark.parametrize("size", [(24, 16), (1, 1), (7, 300)], ids=str)
@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *[("JPEG", mode) for mode in ("L", "RGB", "CMYK")],
        *[("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
        *[("GIF", mode) for mode in ("1", "L", "P", "RGB", "RGBA")],
    ],
)
def test_facts(form: str, mode: str, size: tuple[int, int]) -> None:
    """Type and size of still images in every mode are found."""
    width, height = size
    content = encoded(gradient(mode, size), form)
    expected = ImageFacts(content_type=f"image/{form.lower()}", width=width, height=height, frames=1, is_animated=False)

    assert expected == inspect(content, LIMITS)
    assert expected == inspect(BytesIO(content), LIMITS)


def test_animation() -> None:
    """The frames of an animation are counted."""
    expected = ImageFacts(content_type="image/gif", width=12, height=8, frames=len(ANIMATION), is_animated=True)

    assert expected == inspect(gif(*ANIMATION_SIZE, ANIMATION), LIMITS)


@pytest.mark.parametrize("turned", range(1, 9))
def test_size_as_it_is_seen(turned: int) -> None:
    """An image that lies on its side is as wide as it is seen, not as it is stored."""
    expected = (24, 16) if turned < 5 else (16, 24)
    for content in (
        with_segments(jpeg(), segment(0xE1, b"Exif\0\0" + exif(turned))),
        with_chunks(png(), chunk(b"eXIf", exif(turned))),
    ):
        facts = inspect(content, LIMITS)
        assert expected == (facts.width, facts.height)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HTML, id="HTML"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', id="SVG"),
        pytest.param(b'<?xml version="1.0"?><svg/>', id="SVG in XML"),
        pytest.param(b"%PDF-1.7\n", id="PDF"),
        pytest.param(zipped(), id="ZIP"),
        pytest.param(encoded(gradient("RGB"), "BMP"), id="BMP"),
        pytest.param(encoded(gradient("RGB"), "TIFF"), id="TIFF"),
        pytest.param(encoded(gradient("RGB"), "ICO"), id="ICO"),
        pytest.param(b"RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f\0\0\0\0", id="WebP"),
        pytest.param(b"\0\0\0\x1cftypavif", id="AVIF"),
        pytest.param(HTML + jpeg(), id="HTML in front of a JPEG"),
        pytest.param(HTML + png(), id="HTML in front of a PNG"),
        pytest.param(b"\n" + gif(2, 1, [Cel([[1, 2]])]), id="a line in front of a GIF"),
        pytest.param(b"GIF88a" + gif(2, 1, [Cel([[1, 2]])])[6:], id="an unknown GIF"),
    ],
)
def test_no_image(content: bytes) -> None:
    """What does not begin as one of the three formats is none, whatever it says it is."""
    with pytest.raises(NotAnImage):
        inspect(content, LIMITS)


def test_webp_of_pillow() -> None:
    """WebP is refused also where Pillow could read it."""
    with pytest.raises(NotAnImage):
        inspect(encoded(gradient("RGB"), "WEBP"), LIMITS)


def test_huge() -> None:
    """A picture of 400 million pixels in 48 KB is refused by its header, at once."""
    content = huge_png(20_000)
    assert len(content) < 50_000

    begin = time.process_time()
    with pytest.raises(TooManyPixels) as refused:
        inspect(content, LIMITS)
    assert (400_000_000, LIMITS.max_pixels) == (refused.value.found, refused.value.limit)
    with pytest.raises(TooManyPixels):
        render(content, Rendition(width=10), LIMITS)
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(("width", "height"), [(8160, 6144), (6144, 8160), (8736, 5856)])
def test_fifty_megapixels(width: int, height: int) -> None:
    """What phones and cameras call 50 megapixels is a little more, and is taken."""
    claimed = b"\xff\xc0\0\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    image = admitted(jpeg().replace(b"\xff\xc0\0\x11\x08\0\x10\0\x18", claimed), LIMITS)

    assert (width, height) == (image.width, image.height)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SIGNATURE + header(2**31 - 1, 2**31 - 1, 16, GREY) + png()[33:], id="PNG"),
        pytest.param(jpeg().replace(b"\xff\xc0\0\x11\x08\0\x10\0\x18", b"\xff\xc0\0\x11\x08\xff\xff\xff\xff"), id="JPEG"),
        pytest.param(gif(65535, 65535, [Cel([[1, 2]])]), id="the whole of a GIF"),
        pytest.param(
            gif(2, 1, [Cel([[1, 2]])]).replace(b",\0\0\0\0\2\0\1\0", b",\0\0\0\0\xff\xff\xff\xff"),
            id="a frame of a GIF",
        ),
        pytest.param(gif(2, 1, [Cel([[1, 2]], left=65535, top=65535)]), id="a frame of a GIF far away"),
    ],
)
def test_too_many_pixels(content: bytes) -> None:
    """The size that an image claims is counted, whatever it has."""
    with pytest.raises(TooManyPixels):
        inspect(content, LIMITS)


def test_frames_of_a_gif() -> None:
    """They are put on top of each other, which takes more memory than a still image: they may be less large."""
    inspect(encoded(gradient("L", (100, 50)), "PNG"), ImageLimits(max_gif_pixels=4_999))
    inspect(gif(100, 50, [Cel(block(1, 1, 1))]), ImageLimits(max_gif_pixels=5_000))
    with pytest.raises(TooManyPixels) as refused:
        inspect(gif(100, 50, [Cel(block(1, 1, 1))]), ImageLimits(max_gif_pixels=4_999))

    assert (5_000, 4_999) == (refused.value.found, refused.value.limit)


def test_many_frames() -> None:
    """An animation of 10,000 frames is refused, at once."""
    content = gif(100, 100, [Cel(block(1, 1, 1))] * 10_000)

    begin = time.process_time()
    with pytest.raises(TooManyFrames):
        inspect(content, LIMITS)
    assert time.process_time() - begin < 0.5


def test_pixels_of_all_frames() -> None:
    """Small frames are counted as the whole pictures that they make."""
    content = gif(100, 100, [Cel(block(1, 1, 1))] * 5)

    assert 5 == inspect(content, ImageLimits(max_total_pixels=50_000)).frames
    with pytest.raises(TooManyPixels):
        inspect(content, ImageLimits(max_total_pixels=49_999))


def test_bytes() -> None:
    """An image may be as large as the limit and no larger, and what is too large is not read to its end."""
    content = png()
    assert 24 == inspect(content, ImageLimits(max_bytes=len(content))).width

    endless = BytesIO(content + bytes(1_000_000))
    with pytest.raises(TooManyBytes):
        inspect(content, ImageLimits(max_bytes=len(content) - 1))
    with pytest.raises(TooManyBytes):
        inspect(endless, ImageLimits(max_bytes=len(content)))
    assert len(content) + 1 == endless.tell()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SIGNATURE + header(0, 5, 8, GREY) + png()[33:], id="no width"),
        pytest.param(SIGNATURE + header(5, 0, 8, GREY) + png()[33:], id="no height"),
        pytest.param(SIGNATURE + header(5, 5, 3, GREY) + png()[33:], id="a depth that is none"),
        pytest.param(SIGNATURE + header(5, 5, 8, 9) + png()[33:], id="colours that are none"),
        pytest.param(SIGNATURE + header(5, 5, 8, GREY) + chunk(b"IDAT", b"?") + chunk(b"IEND"), id="no deflate"),
        pytest.param(
            SIGNATURE + header(5, 5, 8, GREY) + chunk(b"IDAT", zlib.compress(b"\0" * 20)) + chunk(b"IEND"),
            id="too few pixels",
        ),
        pytest.param(
            with_chunks(png(), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
            id="a colour profile that is a bomb",
        ),
        pytest.param(gif(0, 0, [Cel([[]])]), id="a GIF without width"),
        pytest.param(gif(2, 2, [Cel(block(2, 2, 1)), Cel([[]])]), id="a frame without width"),
        pytest.param(gif(2, 2, [Cel(block(2, 2, 1))]).replace(b",\0\0\0\0\2", b",\0\0\0\0\3"), id="too few pixels in a frame"),
        pytest.param(jpeg().replace(b"\xff\xc0", b"\xff\xc3"), id="a JPEG of another process"),
        pytest.param(jpeg().replace(b"\xff\xc0\0\x11\x08\0\x10", b"\xff\xc0\0\x11\x08\0\0"), id="a JPEG without height"),
    ],
)
def test_damaged(content: bytes) -> None:
    """What cannot be decoded to its last pixel is refused."""
    with pytest.raises(ImageRefused):
        inspect(content, LIMITS)


def test_damage_in_a_late_frame() -> None:
    """Every frame is decoded, not only the first."""
    content = gif(4, 4, [Cel(block(4, 4, 1)), Cel(block(4, 4, 2))])
    at = content.rindex(pictures.literal_pixels([2] * 16)) + 2
    damaged = content[:at] + b"\x81" + content[at + 1 :]

    assert 2 == inspect(content, LIMITS).frames
    with pytest.raises(BrokenImage):
        inspect(damaged, LIMITS)


def test_warnings_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Pillow thinks less good than our limits, its word counts, whether it warns or raises."""
    content = png(size=(30, 30))
    for most in (800, 400):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(TooManyPixels):
            inspect(content, LIMITS)


@pytest.mark.parametrize("kind", SEEDS)
def test_cut_short(kind: str) -> None:
    """Wherever an image is cut off, what is left is refused if a pixel of its first picture is missing, and else it is seen."""
    content = SEEDS[kind]
    whole = render(content, Rendition(), SMALL_LIMITS)
    frames = inspect(content, SMALL_LIMITS).frames
    seen = 0
    for end in range(len(content)):
        try:
            facts = inspect(content[:end], SMALL_LIMITS)
        except ImageRefused:
            assert not seen
        else:
            seen += 1
            made = render(content[:end], Rendition(), SMALL_LIMITS)
            assert (whole.width, whole.height) == (made.width, made.height)
            assert facts.frames <= frames
            if frames == 1:
                assert decoded(whole.content).tobytes() == decoded(made.content).tobytes()
    assert 0 < seen


def looked_at(content: bytes) -> None:
    """Inspect and render, and let nothing but a refusal pass by."""
    for rendition in (Rendition(), Rendition(width=5, height=3, crop=True)):
        try:
            facts = inspect(content, SMALL_LIMITS)
        except ImageRefused:
            with pytest.raises(ImageRefused):
                render(content, rendition, SMALL_LIMITS)
        else:
            made = render(content, rendition, SMALL_LIMITS)
            again = inspect(made.content, SMALL_LIMITS)
            assert (facts.content_type, facts.frames) == (again.content_type, again.frames)
            assert (made.width, made.height) == (again.width, again.height)


@settings(max_examples=500)
@given(st.sampled_from([b"", b"\xff\xd8\xff", SIGNATURE, b"GIF87a", b"GIF89a"]), st.binary(max_size=300))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    """Whatever follows the first bytes of an image, it is one or it is refused."""
    looked_at(start + rest)


@settings(max_examples=1000)
@given(st.data())
def test_mutated(data: st.DataObject) -> None:
    """An image in which bytes are changed, doubled or lost is one still, or it is refused, and both look at it alike."""
    content = bytearray(SEEDS[data.draw(st.sampled_from(sorted(SEEDS)))])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(6, len(content) - 1))
        match data.draw(st.sampled_from(["change", "add", "lose", "double"])):
            case "change":
                content[at] = data.draw(st.integers(0, 255))
            case "add":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "lose":
                del content[at : at + data.draw(st.integers(1, 4))]
            case "double":
                content[at:at] = content[at : at + 30]
    looked_at(with_right_checksums(bytes(content)) if content.startswith(SIGNATURE) else bytes(content))
