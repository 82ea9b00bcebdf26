"""
What sizes are understood, and what they mean.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.images.errors import RenditionInvalid
from holdfast.service.images.rendition import MAX_DIMENSION, SHAPE, Rendition, dimension, place, rounded_up

SIDES = st.integers(1, 20_000)
BOUNDS = st.integers(1, MAX_DIMENSION)


def alike(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether *second* has the shape of *first*: as wide, or as high, as it must be, and the other within one pixel."""
    scales = [second[0] / first[0], second[1] / first[1]]
    return any(all(abs(side * scale - made) <= 1 for side, made in zip(first, second, strict=True)) for scale in scales)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("0320", 320), ("4096", 4096)])
def test_dimension(text: str, expected: int) -> None:
    """A width or height is written in decimal digits."""
    assert expected == dimension(text)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", " 1", "1.5", "1e2", "0x10", "4097", "99999", "00001", "\u0661", "\u00b2", "1_0"]
)
def test_no_dimension(text: str) -> None:
    """Anything else is refused, and so is what would be too large."""
    with pytest.raises(RenditionInvalid):
        dimension(text)


@pytest.mark.parametrize(("width", "height"), [(0, None), (None, 0), (-1, 5), (4097, None), (5, 4097)])
def test_bounds(width: int | None, height: int | None) -> None:
    """No rendition is without pixels, or larger than the largest."""
    with pytest.raises(RenditionInvalid):
        Rendition(width=width, height=height)


@pytest.mark.parametrize(
    ("size", "rendition", "expected"),
    [
        pytest.param((400, 300), Rendition(), (400, 300), id="without bounds nothing changes"),
        pytest.param((400, 300), Rendition(width=200), (200, 150), id="width alone"),
        pytest.param((400, 300), Rendition(height=100), (133, 100), id="height alone"),
        pytest.param((400, 300), Rendition(width=100, height=100), (100, 75), id="inside the box"),
        pytest.param((300, 400), Rendition(width=100, height=100), (75, 100), id="inside the box, upright"),
        pytest.param((400, 300), Rendition(width=4000), (400, 300), id="nothing is enlarged"),
        pytest.param((400, 300), Rendition(width=4000, height=30), (40, 30), id="one bound is enough"),
        pytest.param((4000, 1), Rendition(width=10), (10, 1), id="one pixel remains"),
        pytest.param((400, 300), Rendition(width=100, crop=True), (100, 75), id="nothing to cut off with one bound"),
    ],
)
def test_fitted(size: tuple[int, int], rendition: Rendition, expected: tuple[int, int]) -> None:
    """The whole image is shown, as large as the bounds allow."""
    placement = place(*size, rendition)

    assert expected == placement.size
    assert (0, 0, *size) == placement.box


@pytest.mark.parametrize(
    ("size", "bounds", "expected_size", "expected_box"),
    [
        pytest.param((400, 300), (100, 100), (100, 100), (50, 0, 350, 300), id="the sides are cut off"),
        pytest.param((300, 400), (100, 100), (100, 100), (0, 50, 300, 350), id="top and bottom are cut off"),
        pytest.param((400, 300), (40, 30), (40, 30), (0, 0, 400, 300), id="the same shape"),
        pytest.param((400, 300), (400, 300), (400, 300), (0, 0, 400, 300), id="the same size"),
        pytest.param((400, 300), (101, 300), (101, 300), (149, 0, 250, 300), id="whole pixels in own size"),
        pytest.param((60, 40), (100, 100), (40, 40), (10, 0, 50, 40), id="a small image gets the shape only"),
        pytest.param((5, 3), (100, 50), (5, 2), (0, 0, 5, 2), id="a small image, whole pixels"),
        pytest.param((400, 20), (100, 100), (20, 20), (190, 0, 210, 20), id="small in one direction"),
    ],
)
def test_cropped(
    size: tuple[int, int],
    bounds: tuple[int, int],
    expected_size: tuple[int, int],
    expected_box: tuple[int, int, int, int],
) -> None:
    """The box is filled from the middle of the image."""
    width, height = bounds
    placement = place(*size, Rendition(width=width, height=height, crop=True))

    assert expected_size == placement.size
    assert expected_box == placement.box


@given(SIDES, SIDES, st.none() | BOUNDS, st.none() | BOUNDS)
def test_fitted_always(width: int, height: int, box_width: int | None, box_height: int | None) -> None:
    """Nothing is enlarged, nothing is larger than the bounds, and the shape is kept within one pixel."""
    placement = place(width, height, Rendition(width=box_width, height=box_height))
    made_width, made_height = placement.size

    assert 1 <= made_width <= min(width, box_width or width)
    assert 1 <= made_height <= min(height, box_height or height)
    assert alike((width, height), placement.size)


@given(SIDES, SIDES, BOUNDS, BOUNDS)
def test_cropped_always(width: int, height: int, box_width: int, box_height: int) -> None:
    """A crop lies within the image around its middle, has the shape of the box, and its size where that enlarges nothing."""
    placement = place(width, height, Rendition(width=box_width, height=box_height, crop=True))
    left, top, right, bottom = placement.box
    made_width, made_height = placement.size

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1
    assert made_width <= right - left + 1e-6
    assert made_height <= bottom - top + 1e-6
    if box_width <= width and box_height <= height:
        assert (box_width, box_height) == placement.size
    else:
        assert alike((box_width, box_height), placement.size)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        pytest.param(Rendition(), Rendition(), id="without bounds nothing changes"),
        pytest.param(Rendition(width=200, height=300), Rendition(width=200, height=300), id="steps are made"),
        pytest.param(Rendition(width=120), Rendition(width=120), id="what a slot lists is made"),
        pytest.param(Rendition(width=121), Rendition(width=150), id="width alone"),
        pytest.param(Rendition(height=1), Rendition(height=50), id="height alone"),
        pytest.param(Rendition(width=4095, height=4095), Rendition(width=4096, height=4096), id="the largest"),
        pytest.param(Rendition(width=680, height=90), Rendition(width=800, height=100), id="a box to fit in"),
        pytest.param(Rendition(width=81, crop=True), Rendition(width=100), id="nothing to cut off with one bound"),
        pytest.param(Rendition(width=90, height=90, crop=True), Rendition(width=100, height=100, crop=True), id="a square"),
        pytest.param(Rendition(width=320, height=180, crop=True), Rendition(width=400, height=225, crop=True), id="16:9"),
        pytest.param(Rendition(width=80, height=120, crop=True), Rendition(width=80, height=120, crop=True), id="both listed"),
        pytest.param(Rendition(width=90, height=135, crop=True), Rendition(width=100, height=150, crop=True), id="2:3"),
    ],
)
def test_rounded_up(asked: Rendition, made: Rendition) -> None:
    """Sides are rounded up to those that are made; a box that is to be filled keeps its shape."""
    assert made == rounded_up(asked, (80, 120))


def test_few_are_made() -> None:
    """Whatever is asked for, few renditions are made, none smaller than asked for and none of another shape."""
    made = {Rendition()}
    for width in range(1, 1025, 7):
        for height in range(1, 1025, 11):
            for crop in (False, True):
                found = rounded_up(Rendition(width=width, height=height, crop=crop), ())
                assert found.width is not None
                assert found.height is not None
                assert found.width >= width
                assert found.height >= height
                if crop:
                    longer = max(found.width, found.height)
                    assert abs(found.width * height - found.height * width) <= max(width, height) * (longer / SHAPE + 1)
                made.add(found)

    assert len(made) < 1000
