"""
What is told of a GIF by its blocks, and what is seen of its frames.
"""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from holdfast.service.images.errors import BrokenImage, TooManyFrames
from holdfast.service.images.formats import gif
from holdfast.service.images.limits import ImageLimits
from tests.images import pictures
from tests.images.pictures import (
    ANIMATION,
    ANIMATION_SIZE,
    COLOURS,
    LIMITS,
    Cel,
    block,
    decoded,
    encoded,
    gradient,
    pixels_of,
    seen,
)

PLAIN = pictures.gif(2, 1, [Cel([[1, 2]])])


def test_facts() -> None:
    """StoreLocations, durations and the ways to leave a frame are found."""
    found = gif.outline(pictures.gif(*ANIMATION_SIZE, ANIMATION) + b"behind", LIMITS)

    assert ("image/gif", *ANIMATION_SIZE) == (found.content_type, found.width, found.height)
    assert [(cel.left, cel.top, *cel.size) for cel in ANIMATION] == [
        (frame.left, frame.top, frame.width, frame.height) for frame in found.frames
    ]
    assert [(10 * cel.duration, cel.disposal, cel.transparent) for cel in ANIMATION] == [
        (frame.duration, frame.disposal, frame.transparent) for frame in found.frames
    ]


@pytest.mark.parametrize("loop", [None, 0, 1, 65535])
def test_loop(loop: int | None) -> None:
    """How often it is repeated is found; without a word, it is shown once."""
    assert loop == gif.outline(pictures.gif(2, 1, [Cel([[1, 2]])], loop=loop), LIMITS).loop


@pytest.mark.parametrize(
    ("size", "cels"),
    [
        pytest.param(ANIMATION_SIZE, ANIMATION, id="everything at once"),
        pytest.param((3, 3), [Cel(block(2, 2, 9), left=2, top=2), Cel(block(3, 3, 8))], id="beyond the edge"),
        pytest.param((2, 2), [Cel(block(2, 2, 9)), Cel(block(1, 1, 8), left=9)], id="out of sight"),
        pytest.param((2, 2), [Cel(block(2, 2, 9), disposal=3), Cel(block(1, 1, 8))], id="back to nothing"),
        pytest.param((2, 2), [Cel(block(2, 2, 9), disposal=7), Cel(block(1, 1, 8))], id="an unknown way to leave"),
        pytest.param((9, 19), [Cel([[y] * 9 for y in range(19)], interlaced=True)], id="interlaced"),
    ],
)
def test_pictures(size: tuple[int, int], cels: list[Cel]) -> None:
    """What is seen of each frame is what the specification says, pixel by pixel."""
    width = max(size[0], cels[0].left + cels[0].size[0])
    height = max(size[1], cels[0].top + cels[0].size[1])
    found = [pixels_of(picture) for picture in gif.pictures(gif.outline(pictures.gif(*size, cels), LIMITS))]

    assert seen(width, height, cels) == found


@given(
    st.lists(
        st.builds(
            Cel,
            st.builds(block, st.integers(1, 5), st.integers(1, 5), st.integers(0, 127)),
            left=st.integers(0, 5),
            top=st.integers(0, 5),
            disposal=st.integers(0, 3),
            transparent=st.none() | st.integers(0, 127),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_pictures_of_any_frames(cels: list[Cel]) -> None:
    """Whatever frames follow each other, each is seen as it should be."""
    found = [pixels_of(picture) for picture in gif.pictures(gif.outline(pictures.gif(10, 10, cels), LIMITS))]

    assert seen(10, 10, cels) == found


def test_of_pillow() -> None:
    """Frames that Pillow wrote are seen as Pillow reads them."""
    frames = [gradient("RGB", (30, 20)).rotate(turn).convert("P") for turn in (0, 90, 180)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[50, 60, 70], loop=3)
    found = gif.outline(content, LIMITS)

    assert [50, 60, 70] == [frame.duration for frame in found.frames]
    assert 3 == found.loop
    expected = [pixels_of(frame) for frame in ImageSequence.Iterator(Image.open(BytesIO(content)))]
    assert expected == [pixels_of(picture) for picture in gif.pictures(found)]


def test_without_colours() -> None:
    """Frames need not have colours of their own, if the image has some, nor does a picture of an old program."""
    old = b"GIF87a" + PLAIN[6:]
    (frame,) = gif.outline(old, LIMITS).frames

    assert COLOURS == frame.colours
    assert seen(2, 1, [Cel([[1, 2]])])[0] == pixels_of(decoded(old))


def test_written() -> None:
    """What is written is what was read."""
    found = gif.outline(pictures.gif(*ANIMATION_SIZE, ANIMATION, loop=4), LIMITS)
    again = gif.outline(gif.written(found.width, found.height, found.loop, found.frames), LIMITS)

    assert (found.width, found.height, found.loop, found.frames) == (again.width, again.height, again.loop, again.frames)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"!\xfe\x06SECRET\0", id="a comment"),
        pytest.param(b"!\xff\x0bXMP DataXMP\x03abc\0", id="XMP"),
        pytest.param(b"!\x01\x0c" + bytes(12) + b"\x05hello\0", id="a text"),
        pytest.param(b"!\xf9\x02\xff\xff\0", id="a control that is too short"),
        pytest.param(b"!\xff\x0bNETSCAPE2.0\x01\x01\0", id="a loop that is too short"),
    ],
)
def test_what_is_passed_over(before: bytes) -> None:
    """Blocks without pixels change nothing."""
    content = pictures.gif(2, 1, [Cel([[1, 2]])], loop=None, before=before)
    expected = gif.outline(pictures.gif(2, 1, [Cel([[1, 2]])], loop=None), LIMITS)

    assert expected.frames == gif.outline(content, LIMITS).frames
    assert gif.outline(content, LIMITS).loop is None


FULL = b"\xff" + bytes(255)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("before", [b"!\xfe", b"!\xff\x0bNETSCAPE2.0", b"!\xf9", b"!\x01"])
@pytest.mark.parametrize("tiny", [b"\1a", b"\2ab"])
def test_tiny_sub_blocks(before: bytes, tiny: bytes) -> None:
    """So many sub-blocks of a few bytes are refused before they cost anything, in any extension."""
    with pytest.raises(BrokenImage, match="blocks"):
        gif.outline(pictures.gif(2, 1, [Cel([[1, 2]])], before=before + tiny * 5_000_000 + b"\0"), LIMITS)


@pytest.mark.timeout(5)
def test_tiny_sub_blocks_of_pixels() -> None:
    """Nor may pixels be cut that small; but as encoders cut them they may be as many as fit."""
    with pytest.raises(BrokenImage, match="blocks"):
        gif.outline(PLAIN[:-2] + b"\2ab" * 5_000_000 + b"\0;", LIMITS)
    content = PLAIN[:-2] + FULL * 200_000 + b"\0;"

    assert 200_000 * 256 < len(gif.outline(content, LIMITS).frames[0].pixels)


def test_what_is_looked_at_may_be_cut() -> None:
    """Where the sub-blocks of an extension are cut makes no difference."""
    cut = b"!\xff\x03NET\x08SCAPE2.0\1\1\1\5\1\0\3abc\0"
    content = pictures.gif(2, 1, [Cel([[1, 2]])], loop=None, before=cut)

    assert 5 == gif.outline(content, LIMITS).loop


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pictures.gif(2, 1, []), id="no frame"),
        pytest.param(PLAIN[:20], id="no colours"),
        pytest.param(PLAIN[: PLAIN.index(b",") + 9], id="a frame without a place"),
        pytest.param(pictures.gif(2, 1, [Cel([[1, 2]])], before=b"?"), id="an unknown block"),
    ],
)
def test_broken(content: bytes) -> None:
    """What is not built as a GIF is refused without a decoder."""
    with pytest.raises(BrokenImage):
        gif.outline(content, LIMITS)


def test_too_many_frames() -> None:
    """The first frame that is too many ends the walk."""
    content = pictures.gif(2, 1, [Cel([[1, 2]])] * 4)

    assert 4 == len(gif.outline(content, ImageLimits(max_frames=4)).frames)
    with pytest.raises(TooManyFrames) as refused:
        gif.outline(content, ImageLimits(max_frames=3))
    assert (4, 3) == (refused.value.found, refused.value.limit)


TWO = [Cel(block(4, 4, 1)), Cel(block(4, 4, 2))]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pictures.gif(4, 4, TWO)[:-1], id="no end"),
        pytest.param(pictures.gif(4, 4, TWO)[:-1] + b"\0\0;", id="zeros before the end"),
        pytest.param(pictures.gif(4, 4, TWO, before=b"\0"), id="a zero before all frames"),
        pytest.param(pictures.gif(4, 4, TWO) + b"\n", id="a line end behind"),
        pytest.param(pictures.gif(4, 4, TWO)[:-1] + b"?,;", id="what is no block"),
        pytest.param(pictures.gif(4, 4, TWO)[:-1] + b"!\xfe\x09half", id="half a comment"),
        pytest.param(pictures.gif(4, 4, TWO)[:-1] + b",\0\0", id="half a frame"),
        pytest.param(pictures.gif(4, 4, TWO).replace(b"\0!\xf9", b"\0\0\0!\xf9"), id="zeros between frames"),
        pytest.param(pictures.gif(4, 4, TWO)[:-2], id="the last pixels without an end"),
    ],
)
def test_as_browsers_do(content: bytes) -> None:
    """What stands between blocks and behind the frames changes nothing, nor does an end that is missing."""
    assert seen(4, 4, TWO) == [pixels_of(picture) for picture in gif.pictures(gif.outline(content, LIMITS))]


def test_cut_short() -> None:
    """Of a frame that is not whole, what is there is seen on top of the one before; the first one has to be whole."""
    content = pictures.gif(4, 4, TWO)
    at = content.rindex(pictures.literal_pixels([2] * 16))
    found = gif.outline(content[: at + 3 + 9], LIMITS)
    first, second = (pixels_of(picture) for picture in gif.pictures(found))

    assert [False, True] == [frame.is_cut for frame in found.frames]
    assert seen(4, 4, TWO)[0] == first
    assert seen(4, 4, TWO)[1][:4] == second[:4]
    assert seen(4, 4, TWO)[0][12:] == second[12:]
    with pytest.raises(OSError, match="truncated"):
        list(gif.pictures(gif.outline(content[: content.index(pictures.literal_pixels([1] * 16)) + 9], LIMITS)))
