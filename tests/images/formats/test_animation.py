"""
What remains of an animation in another size.
"""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageSequence, ImageStat

from holdfast.service.images.formats import gif
from holdfast.service.images.formats.outline import Outline
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from tests.images import pictures
from tests.images.pictures import ANIMATION, ANIMATION_SIZE, LIMITS, Cel, block, encoded, gradient, pixels_of, seen

OWN_SIZE = Rendition()


def rendered(content: bytes, rendition: Rendition) -> Outline:
    """Return how the rendition is built."""
    return gif.outline(render(content, rendition, LIMITS).content, LIMITS)


def test_in_its_own_size() -> None:
    """Every frame is there, for its time, and every pixel is what it was."""
    made = rendered(pictures.gif(*ANIMATION_SIZE, ANIMATION, loop=5), OWN_SIZE)

    assert (*ANIMATION_SIZE, 5) == (made.width, made.height, made.loop)
    assert [10 * cel.duration for cel in ANIMATION] == [frame.duration for frame in made.frames]
    assert seen(*ANIMATION_SIZE, ANIMATION) == [pixels_of(picture) for picture in gif.pictures(made)]


@given(
    st.lists(
        st.builds(
            Cel,
            st.lists(st.lists(st.integers(0, 127), min_size=3, max_size=3), min_size=1, max_size=4),
            left=st.integers(0, 5),
            top=st.integers(0, 5),
            disposal=st.integers(0, 3),
            transparent=st.none() | st.integers(0, 127),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_frames(cels: list[Cel]) -> None:
    """Whatever frames follow each other, a rendition shows the same, pixel by pixel, as often."""
    made = rendered(pictures.gif(9, 9, cels), OWN_SIZE)

    assert seen(9, 9, cels) == [pixels_of(picture) for picture in gif.pictures(made)]


@pytest.mark.parametrize("loop", [None, 0, 7])
def test_loop(loop: int | None) -> None:
    """It is repeated as often as before."""
    assert loop == rendered(pictures.gif(2, 2, [Cel(block(2, 2, 1))] * 2, loop=loop), Rendition(width=1)).loop


def test_equal_frames() -> None:
    """Frames that change nothing stay, since their time counts; they cost a pixel each."""
    made = rendered(pictures.gif(8, 8, [Cel(block(8, 8, 1), duration=65535)] * 3), OWN_SIZE)

    assert [655_350] * 3 == [frame.duration for frame in made.frames]
    assert [(8, 8), (1, 1), (1, 1)] == [(frame.width, frame.height) for frame in made.frames]


@pytest.mark.parametrize(
    "rendition",
    [
        pytest.param(Rendition(width=30), id="smaller"),
        pytest.param(Rendition(width=20, height=20, crop=True), id="cropped"),
        pytest.param(Rendition(width=37, height=50), id="not by a whole number"),
    ],
)
def test_smaller(rendition: Rendition) -> None:
    """Each frame looks like its picture made smaller, as far as 256 colours can."""
    frames = [gradient("RGB", (60, 40)).rotate(turn).convert("P") for turn in (0, 90, 180, 270)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40, loop=0)
    made = rendered(content, rendition)
    box = (10, 0, 50, 40) if rendition.crop else (0, 0, 60, 40)

    assert 4 == len(made.frames)
    for frame, picture in zip(ImageSequence.Iterator(Image.open(BytesIO(content))), gif.pictures(made), strict=True):
        expected = frame.convert("RGB").resize(picture.size, Image.Resampling.LANCZOS, box=box)
        difference = ImageChops.difference(expected, picture.convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 6
        assert 255 == picture.getchannel("A").getextrema()[0]


def test_transparency_made_smaller() -> None:
    """What was clear is clear, what was opaque is opaque, and the colour of clear pixels is not seen at the edge."""
    half = [[99] * 20 + [10] * 20 for _ in range(40)]
    made = rendered(pictures.gif(40, 40, [Cel(half, transparent=99), Cel(block(40, 40, 11))]), Rendition(width=20))
    first, second = [picture.copy() for picture in gif.pictures(made)]

    assert {0, 255} == set(first.getchannel("A").tobytes())
    assert (0, 255) == (first.getpixel((8, 5))[3], first.getpixel((11, 5))[3])  # type: ignore[index]
    expected = (*pictures.COLOURS[30:33], 255)
    opaque = [pixel for pixel in pixels_of(first) if pixel[3]]
    assert all(abs(value - wanted) <= 4 for pixel in opaque for value, wanted in zip(pixel, expected, strict=True))
    assert (255, 255) == second.getchannel("A").getextrema()


def test_transparency_returns() -> None:
    """Where a frame has to be clear again, what was there before is gone."""
    cels = [Cel(block(30, 30, 1), disposal=2), Cel(block(10, 10, 2), disposal=2), Cel(block(30, 10, 3), top=20)]
    made = rendered(pictures.gif(30, 30, cels), Rendition(width=3))

    expected = [
        [(2, 253, 37, 255)] * 9,
        [(4, 251, 74, 255), *[(0, 0, 0, 0)] * 8],
        [*[(0, 0, 0, 0)] * 6, *[(6, 249, 111, 255)] * 3],
    ]
    found = [pixels_of(picture) for picture in gif.pictures(made)]
    far = [
        abs(value - wanted)
        for picture, others in zip(expected, found, strict=True)
        for pixel, other in zip(picture, others, strict=True)
        for value, wanted in zip(pixel, other, strict=True)
    ]
    assert 2 >= max(far)  # half tones of nothing are rounded


def test_all_colours() -> None:
    """The most colours that a frame can have are kept, each as it was."""
    full = Image.frombytes("P", (16, 16), bytes(range(256)))
    full.putpalette([value for index in range(256) for value in (index, 37 * index % 256, 101 * index % 256)])
    (picture,) = gif.pictures(rendered(encoded(full, "GIF"), OWN_SIZE))

    assert pixels_of(full) == pixels_of(picture)


def test_seen_by_pillow() -> None:
    """A reader of another hand sees the same frames for the same time."""
    cels = [Cel(block(12, 8, 5), duration=7), Cel(block(4, 3, 40), left=2, top=1, duration=20), Cel([[60, 61]], duration=3)]
    image = Image.open(BytesIO(render(pictures.gif(12, 8, cels), OWN_SIZE, LIMITS).content))
    found = [(frame.info["duration"], pixels_of(frame)) for frame in ImageSequence.Iterator(image)]

    assert list(zip([70, 200, 30], seen(12, 8, cels), strict=True)) == found
