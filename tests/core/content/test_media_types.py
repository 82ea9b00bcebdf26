"""
What content is taken for, by its declaration and its first bytes.
"""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core.content.media_types import (
    IMAGES,
    MP4,
    OFFICE,
    PDF,
    ZIP,
    accepted,
    contradicts,
    found,
    is_undeclared,
    takes,
)

DOCX = OFFICE[".docx"]
XLSX = OFFICE[".xlsx"]
PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"
FILM, SOUND = b"\0\0\0\x18ftypmp42\0\0\0\0", b"\0\0\0\x18ftypM4A \0\0\0\0"
WEBP, HEIC = b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypheic\0\0\0\0"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def zipped(name: str) -> bytes:
    """Return the first bytes of an archive that begins with the file *name*."""
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        archive.writestr(name, b"<x/>")
    return written.getvalue()[:512]


OFFICE_FILE, ARCHIVE = zipped("[Content_Types].xml"), zipped("photo.png")


@pytest.mark.parametrize(
    "kind", [None, "", "application/octet-stream", "APPLICATION/Octet-Stream; x=y", "image/*", "*/*", "binary/octet-stream"]
)
def test_undeclared(kind: str | None) -> None:
    """Nothing is declared by what says nothing."""
    assert is_undeclared(kind)
    assert not is_undeclared("image/png")


@pytest.mark.parametrize(
    ("declared", "name", "start", "types", "expected"),
    [
        # Undeclared: the content decides.
        (None, None, PNG, IMAGES, "image/png"),
        ("application/octet-stream", "x.gif", JPEG, IMAGES, "image/jpeg"),
        ("image/*", None, GIF, {"image/*"}, "image/gif"),
        (None, None, b"%PDF-1.7", {PDF}, PDF),
        (None, None, FILM, {"video/*"}, MP4),
        (None, None, SOUND, {"audio/*"}, "audio/mp4"),
        (None, None, ARCHIVE, {ZIP}, ZIP),
        (None, None, OFFICE_FILE, {DOCX}, DOCX),
        (None, "plan.xlsx", OFFICE_FILE, {DOCX, XLSX}, XLSX),
        (None, "plan.xlsx", OFFICE_FILE, {DOCX}, None),
        (None, "letter.doc", OLE, {"application/msword"}, "application/msword"),
        (None, None, b"kelp\n", {"text/plain"}, "text/plain"),
        (None, "kelp.csv", b"a,b\n", {"text/csv"}, "text/csv"),
        (None, "kelp.txt", b"a\0b", {"text/plain"}, None),
        (None, None, b"", {"text/plain"}, None),
        (None, None, b"kelp\n", {"*/*"}, "text/plain"),
        (None, None, WEBP, IMAGES, None),
        (None, None, PNG, {PDF}, None),
        # Declared: that counts unless the content plainly is something else.
        ("image/png", None, PNG, IMAGES, "image/png"),
        ("image/png", None, JPEG, IMAGES, "image/jpeg"),
        ("image/jpeg", None, PNG, {"image/jpeg"}, None),
        ("image/jpeg", None, b"%PDF-1.7", {PDF, "image/jpeg"}, None),
        ("image/jpeg", None, WEBP, IMAGES, None),
        ("image/webp", None, PNG, IMAGES, None),
        ("image/webp", None, WEBP, {"image/webp"}, "image/webp"),
        ("image/heif", None, HEIC, {"image/heif"}, "image/heif"),
        (PDF, None, b"%PDF-1.7", {PDF}, PDF),
        (PDF, None, b"kelp", {PDF}, None),
        (PDF, None, PNG, {PDF}, None),
        ("video/quicktime", None, FILM, {"video/*"}, "video/quicktime"),
        (MP4, None, b"%PDF-1.7", {"video/*"}, None),
        (DOCX, None, ARCHIVE, {DOCX}, DOCX),
        (DOCX, None, b"%PDF-1.7", {DOCX}, None),
        ("application/msword", None, OLE, {"application/msword"}, "application/msword"),
        ("application/epub+zip", None, ARCHIVE, {"application/epub+zip"}, "application/epub+zip"),
        ("text/plain", None, b"kelp", {"text/*"}, "text/plain"),
        ("text/plain", None, b"\xff\xfek\0", {"text/*"}, "text/plain"),
        ("text/plain", None, b"k\0elp", {"text/*"}, None),
        ("text/csv", None, b"%PDF-1.7", {"text/*"}, None),
        # What has no signature is believed.
        ("model/stl", None, b"solid kelp", {"model/stl"}, "model/stl"),
        ("application/x-kelp", None, ARCHIVE, {"application/x-kelp"}, "application/x-kelp"),
        ("application/x-kelp", None, b"kelp", {PDF}, None),
    ],
)
def test_accepted(declared: str | None, name: str | None, start: bytes, types: set[str], expected: str | None) -> None:
    """A slot takes what it names, by declaration or by content."""
    assert expected == accepted(declared, name, start, types)


def test_wildcards() -> None:
    """A wildcard is for every subtype."""
    assert takes({"video/*"}, "video/mp4")
    assert takes({"*/*"}, "video/mp4")
    assert not takes({"video/*", "audio/mp4"}, "image/png")


@given(st.binary(max_size=40), st.sampled_from([PDF, "image/png", "text/plain", "model/stl", DOCX, "image/*", None]))
def test_any_content(start: bytes, declared: str | None) -> None:
    """What is accepted is one of the types, and no type with a signature is accepted without it."""
    kind = accepted(declared, None, start, {PDF, "image/png", "text/*", "model/stl"})

    assert kind in {PDF, "image/png", "text/plain", "model/stl", None}
    if kind in (PDF, "image/png"):
        assert kind == found(start)
    if kind is not None and declared not in (None, "image/*"):
        assert not contradicts(kind, start)
