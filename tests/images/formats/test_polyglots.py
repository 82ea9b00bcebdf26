"""
What is refused since it is an image and an archive too, and what only looks as if it were something else.
"""

from __future__ import annotations

import struct
from io import BytesIO
from zipfile import ZipFile

import pytest

from holdfast.service.images.errors import Polyglot
from holdfast.service.images.inspect import inspect
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from tests.images.pictures import (
    LIMITS,
    Cel,
    block,
    chunk,
    encoded,
    gif,
    gradient,
    jpeg,
    png,
    segment,
    with_chunks,
    with_segments,
)

END_OF_JPEG = b"\xff\xd9"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"


def zipped() -> bytes:
    """Return a ZIP archive."""
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        archive.writestr("evil.class", b"\xca\xfe\xba\xbe")
    return written.getvalue()


def end_of_zip(behind: int) -> bytes:
    """Return the end record of an archive whose comment is the *behind* bytes that follow."""
    return b"PK\x05\x06" + bytes(16) + struct.pack("<H", behind)


FILM = b"\0\0\0\x18ftypmp42" + bytes(40)
DIRECTORY = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1606000000000" + b"SEFH" + bytes(20) + b"SEFT"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("before", [b"", b"\0\0\0\0", FILM], ids=["at once", "zeros", "a film"])
def test_an_archive_behind(form: str, before: bytes) -> None:
    """An image that a ZIP follows is refused, whatever is between them."""
    with pytest.raises(Polyglot):
        inspect(encoded(gradient("L"), form) + before + zipped(), LIMITS)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(FILM, id="a film"),
        pytest.param(FILM + DIRECTORY, id="a film and a directory"),
        pytest.param(HTML, id="HTML"),
        pytest.param(b"%PDF-1.7\n%%EOF", id="PDF"),
        pytest.param(b"\0\0\0\0?", id="one byte after zeros"),
        pytest.param(b"\n", id="a line end"),
        pytest.param(b"\xff", id="half a marker"),
        pytest.param(b"\xff\x02\xff\xda\0\3", id="what no marker is"),
        pytest.param(png(), id="another image"),
        pytest.param(zipped()[:-1], id="half an archive"),
    ],
)
def test_something_behind(form: str, behind: bytes) -> None:
    """Whatever else follows the end of an image is not part of it, and no rendition has any of it."""
    content = encoded(gradient("L"), form)

    assert inspect(content, LIMITS) == inspect(content + behind, LIMITS)
    assert render(content, Rendition(), LIMITS) == render(content + behind, Rendition(), LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            jpeg()[:-2] + segment(0xFE, end_of_zip(len(END_OF_JPEG))) + END_OF_JPEG,
            id="the end of a ZIP in a comment of a JPEG",
        ),
        pytest.param(
            png()[:-12] + chunk(b"teXt", b"PK\x05\x06" + end_of_zip(4 + 12)) + png()[-12:],
            id="the end of a ZIP in a chunk of a PNG",
        ),
        pytest.param(
            gif(2, 1, [Cel([[1, 2]])])[:-1] + b"!\xfe" + bytes((22,)) + end_of_zip(2) + b"\0;",
            id="the end of a ZIP in a comment of a GIF",
        ),
        pytest.param(jpeg() + bytes(9) + end_of_zip(0), id="the end of a ZIP behind zeros"),
    ],
)
def test_something_within(content: bytes) -> None:
    """An image that another program would take for an archive is refused."""
    with pytest.raises(Polyglot):
        inspect(content, LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(jpeg() + jpeg("L", (8, 8)), id="a second picture of a camera"),
        pytest.param(jpeg() + jpeg("L", (8, 8)) + jpeg("L", (4, 4)), id="more pictures of a camera"),
        pytest.param(png() + bytes(100), id="zeros up to a full block"),
        pytest.param(with_segments(jpeg(), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")), id="XMP"),
        pytest.param(with_segments(jpeg(), segment(0xFE, b"x" * 1100 + HTML)), id="HTML where nobody looks for it"),
        pytest.param(with_segments(jpeg(), segment(0xFE, HTML)), id="HTML in a comment of a JPEG"),
        pytest.param(with_segments(jpeg(), segment(0xFE, b"%PDF-1.4\n1 0 obj")), id="PDF in a comment of a JPEG"),
        pytest.param(with_segments(jpeg(), segment(0xFE, b"<?php system($_GET[0]); ?>")), id="PHP in a comment of a JPEG"),
        pytest.param(with_chunks(png(), chunk(b"tEXt", b"a\0<SCRIPT >alert(1)")), id="a script in a text of a PNG"),
        pytest.param(with_chunks(png(), chunk(b"iCCP", b"<svg\n onload=alert(1)>")), id="SVG in a profile of a PNG"),
        pytest.param(
            gif(24, 16, [Cel(block(24, 16, 2))], before=b"!\xfe" + bytes((len(HTML),)) + HTML + b"\0"),
            id="HTML in a comment of a GIF",
        ),
        pytest.param(with_segments(jpeg(), segment(0xFE, end_of_zip(7))), id="the end of a ZIP that is none"),
    ],
)
def test_harmless(content: bytes) -> None:
    """Words in what is no pixel, and what cameras and honest programs add, are no reason to refuse an image."""
    assert (24, 16) == (inspect(content, LIMITS).width, inspect(content, LIMITS).height)
