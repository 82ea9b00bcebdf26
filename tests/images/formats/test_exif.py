"""
What is read of EXIF.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.images.formats.exif import orientation
from tests.images.pictures import exif


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_orientations(order: str, turned: int) -> None:
    """The orientation is found among other facts, in both byte orders."""
    assert turned == orientation(exif(turned, order=order))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"II", id="no header"),
        pytest.param(b"XX*\0" + exif(6)[4:], id="no byte order"),
        pytest.param(b"II*\0\xff\xff\xff\xff", id="facts behind the end"),
        pytest.param(exif(6)[:14], id="cut within the first fact"),
        pytest.param(exif(0), id="zero is no orientation"),
        pytest.param(exif(9), id="nine is no orientation"),
        pytest.param(exif(6).replace(b"\x12\x01\x03\0", b"\x12\x01\x04\0"), id="of another type"),
        pytest.param(exif(6).replace(b"\x12\x01\x03\0\x01", b"\x12\x01\x03\0\x02"), id="two orientations"),
    ],
)
def test_broken(broken: bytes) -> None:
    """A picture whose EXIF cannot be read is shown as it is."""
    assert 1 == orientation(broken)


@given(st.binary(max_size=100), st.sampled_from([b"", b"II*\0", b"MM\0*", exif(3)[:20]]))
def test_whatever_it_holds(rest: bytes, start: bytes) -> None:
    """Every sequence of bytes tells one of the eight orientations."""
    assert orientation(start + rest) in range(1, 9)
