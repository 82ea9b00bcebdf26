"""
The attachments API, sending content: every rule of PATCH with Content-Range, as a request and its response.
"""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.storage.records import State
from tests.protocols.attachments_requests import ENTRY_URL, part, span
from tests.protocols.exchange import ABSENT, Exchange, Like, check
from tests.protocols.service import (
    CANCELLED,
    COMPLETE,
    EMPTY,
    EXPIRED,
    FULL,
    HALF,
    HALF_DEFERRED,
    HALF_SENT,
    IMAGE,
    INVALID,
    LENGTH,
    NOTHING,
    OVERDUE,
    REJECTED,
    Content,
    Facts,
    Fields,
    Given,
    Service,
)

LAST = LENGTH - 1
PNG: Facts = {"content_type": "image/png", "verify_type": True, "name": "photo.png"}
HALF_PNG: Facts = {**PNG, **HALF_SENT}
COMPLETE_PNG: Facts = {**PNG, **COMPLETE}
OTHER = b"!" * LENGTH


def _patch(
    given: Given, fields: Fields, content: bytes | tuple[bytes, ...], status: int, /, *, then: int | None = None, **tells: object
) -> Exchange:
    return Exchange(
        method="PATCH", path=ENTRY_URL, given=given, fields=fields, content=content, status=status, tells=tells, offset=then
    )


def _progress(offset: int) -> dict[str, Any]:
    return {"offset": offset, "nextExpectedRanges": [f"{offset}-"]}


REQUIRED = {
    "no Content-Range is 400": _patch(PNG, {"Content-Type": "image/png"}, IMAGE, 400, then=0, code="content_range_required"),
    "no Content-Length is 411": _patch(PNG, span(0, LAST), (IMAGE,), 411, then=0, code="content_length_required"),
    "no Content-Type is 400": _patch(PNG, {"Content-Range": "bytes 0-19/20"}, IMAGE, 400, then=0, code="content_type_required"),
    **{
        f"the Content-Range {wrong!r} is 400": _patch(
            PNG, {"Content-Range": wrong, "Content-Type": "image/png"}, IMAGE, 400, then=0, code="content_range_invalid"
        )
        for wrong in (
            "Bytes 0-19/20",
            "BYTES 0-19/20",
            "bytes  0-19/20",
            "bytes 0 - 19/20",
            "bytes 0-19 / 20",
            "bytes=0-19/20",
            "bytes 19-0/20",
            "bytes 0-20/20",
            "bytes 20-39/20",
            "bytes 0-19",
            "bytes 0-/20",
            "bytes -19/20",
            "bytes 0-19/",
            "bytes 0-19/-20",
            "bytes +0-19/20",
            "bytes 0-0x13/20",
            "bytes 0-19/20, bytes 0-19/20",
            "bytes \u0660-19/20",
            "items 0-19/20",
            "0-19/20",
            "bytes */",
            "bytes",
            "",
        )
    },
    "another length than declared is 400": _patch(PNG, span(0, 19, 21), IMAGE, 400, then=0, code="length_mismatch"),
    "an unknown length is taken": _patch(PNG, span(0, 19, "*"), IMAGE, 200, then=20),
    "a Content-Length shorter than the range is 400": _patch(
        PNG, span(0, LAST), IMAGE[:-1], 400, then=0, code="content_length_mismatch"
    ),
    "a Content-Length longer than the range is 400": _patch(PNG, span(0, 9), IMAGE, 400, then=0, code="content_length_mismatch"),
    "a Content-Type that is not the entry's is 415": _patch(
        PNG, span(0, LAST, kind="image/gif"), IMAGE, 415, then=0, code="content_type_mismatch"
    ),
    "a Content-Type that is not on the list is 415": _patch(PNG, span(0, LAST, kind="image/tiff"), IMAGE, 415, then=0),
    "a Content-Type that is none is 415": _patch(PNG, span(0, LAST, kind="png"), IMAGE, 415, then=0),
    "a Content-Type with parameters is the entry's": _patch(PNG, span(0, LAST, kind="Image/PNG; q=1"), IMAGE, 200, then=20),
    "image/jpg is image/jpeg": _patch(
        {"content_type": "image/jpeg"}, span(0, 9, kind="image/jpg"), IMAGE[:10], 202, then=10, contentType="image/jpeg"
    ),
}

RANGES = {
    "the first part is 202, with how far it is": _patch(PNG, span(0, 8), part(0, 8), 202, then=9, **_progress(9)),
    "a part in the middle is 202": _patch(HALF_PNG, span(9, 12), part(9, 12), 202, then=13, **_progress(13)),
    "the part that reaches the length is 200": _patch(HALF_PNG, span(9, 19), part(9, 19), 200, then=20),
    "everything at once is 200": _patch(PNG, span(0, 19), IMAGE, 200, then=20, isProfilePhoto=False, name="photo.png"),
    "a gap is 409, with how far it is": _patch(
        HALF_PNG, span(10, 19), part(10, 19), 409, then=HALF, code="offset_conflict", **_progress(HALF)
    ),
    "a gap before anything came is 409": _patch(
        PNG, span(1, 19), part(1, 19), 409, then=0, code="offset_conflict", **_progress(0)
    ),
    "an overlap of equal bytes is taken, its tail appended": _patch(HALF_PNG, span(0, 19), IMAGE, 200, then=20),
    "an overlap that ends before the length is 202": _patch(HALF_PNG, span(3, 12), part(3, 12), 202, then=13, **_progress(13)),
    "a repeated range is 202, as before": _patch(HALF_PNG, span(0, 8), part(0, 8), 202, then=HALF, **_progress(HALF)),
    "a part of what is there is 202, as before": _patch(HALF_PNG, span(2, 4), part(2, 4), 202, then=HALF, **_progress(HALF)),
    "an overlap of other bytes is 409": _patch(HALF_PNG, span(0, 19), OTHER, 409, then=HALF, code="content_conflict"),
    "an overlap that differs in its last byte is 409": _patch(
        HALF_PNG, span(0, 8), IMAGE[:8] + b"!", 409, then=HALF, code="content_conflict"
    ),
    "a complete upload with the same bytes is 200, again": _patch(
        COMPLETE_PNG, span(0, 19), IMAGE, 200, then=20, isProfilePhoto=False
    ),
    "the last part of a complete upload is 200, again": _patch(COMPLETE_PNG, span(9, 19), part(9, 19), 200, then=20),
    "a complete upload with other bytes is 409": _patch(COMPLETE_PNG, span(0, 19), OTHER, 409, then=20, code="already_complete"),
    "a complete upload with another end is 409": _patch(
        COMPLETE_PNG, span(9, 19), OTHER[9:], 409, then=20, code="already_complete"
    ),
    "a deferred length becomes known": _patch(
        HALF_DEFERRED, span(9, 12), part(9, 12), 202, then=13, contentLength=LENGTH, **_progress(13)
    ),
    "a part of a deferred length that stays unknown is 202": _patch(
        HALF_DEFERRED, span(9, 12, "*"), part(9, 12), 202, then=13, contentLength=None
    ),
}

STATUS: dict[str, Exchange] = {
    f"bytes */{length} of {what} is {status}": _patch(given, {"Content-Range": f"bytes */{length}"}, b"", status, **tells)
    for what, given, length, status, tells in (
        ("an empty entry", EMPTY, LENGTH, 202, _progress(0)),
        ("a part", HALF_SENT, LENGTH, 202, _progress(HALF)),
        ("a part, of unknown length,", HALF_SENT, "*", 202, _progress(HALF)),
        ("a complete upload", COMPLETE, LENGTH, 200, {"isProfilePhoto": False}),
        ("everything that another protocol left unfinished", FULL, LENGTH, 200, {"isProfilePhoto": False}),
        ("an upload of another length", HALF_SENT, 21, 400, {"code": "length_mismatch"}),
        ("an unknown key", NOTHING, LENGTH, 404, {"code": "not_found"}),
        ("an expired upload", EXPIRED, LENGTH, 410, {"code": "gone"}),
    )
} | {
    "bytes */20 with content is 400": _patch(
        HALF_SENT, {"Content-Range": "bytes */20"}, b"!", 400, then=HALF, code="content_length_mismatch"
    ),
    "bytes */20 with chunked content is 400": _patch(HALF_SENT, {"Content-Range": "bytes */20"}, (b"!",), 400, then=HALF),
}

GONE = {
    f"{method} of {what} is {status}": Exchange(
        method=method,
        path=ENTRY_URL,
        given=given,
        fields=span(9, 19) if method == "PATCH" else {},
        content=part(9, 19) if method == "PATCH" else b"",
        status=status,
        says={"Upload-Offset": ABSENT, "Range": ABSENT, "Content-Type": "application/json"},
        tells={} if method == "HEAD" else {"code": code},
    )
    for method in ("PATCH", "HEAD", "GET", "DELETE")
    for what, given, status, code in (
        ("an unknown upload", NOTHING, 404, "not_found"),
        ("an upload of another community", {"tenant": "2"}, 404, "not_found"),
        ("a cancelled upload", CANCELLED, 410, "gone"),
        ("an expired upload", EXPIRED, 410, "gone"),
        ("an upload whose time ran out", OVERDUE, 410, "gone"),
        ("an upload that ran over in another protocol", INVALID, 410, "gone"),
        ("an upload whose content was refused", REJECTED, 415, "content_type_mismatch"),
    )
    if (method, status) != ("DELETE", 415)
}

QUESTIONS = {
    f"{method} of {what} is {status}": Exchange(
        method=method, path=ENTRY_URL, given=given, status=status, says={"Cache-Control": "no-store", **says}
    )
    for method in ("HEAD", "GET")
    for what, given, status, says in (
        ("an empty entry", EMPTY, 202, {"Upload-Offset": "0", "Range": ABSENT}),
        ("a part", HALF_SENT, 202, {"Upload-Offset": str(HALF), "Range": "bytes=0-8"}),
        ("a complete upload", COMPLETE, 200, {"Upload-Offset": "20"}),
    )
}

TABLE = REQUIRED | RANGES | STATUS | GONE | QUESTIONS


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_content(service: Service, exchange: Exchange) -> None:
    """Every request about an entry is answered as its documentation, and the known client, have it."""
    await check(service, exchange)


@pytest.mark.parametrize(
    ("given", "fields", "content", "says"),
    [
        (PNG, span(0, 8), part(0, 8), {"Range": "bytes=0-8", "Upload-Offset": "9"}),
        (PNG, span(1, 8), part(1, 8), {"Range": None, "Upload-Offset": "0"}),
        (HALF_PNG, span(10, 19), part(10, 19), {"Range": "bytes=0-8", "Upload-Offset": "9"}),
    ],
    ids=["202", "409 of an empty entry", "409"],
)
async def test_progress_in_fields(
    service: Service, given: Given, fields: Fields, content: Content, says: dict[str, str | None]
) -> None:
    """How far an upload is stands in Upload-Offset, and in Range where it names a byte."""
    key = await service.keep(given)
    response = await service.send("PATCH", ENTRY_URL.replace("{key}", key), fields, content)

    assert says == {name: response.headers.get(name) for name in says}


async def test_attachment_document(service: Service) -> None:
    """The document of a complete upload has all that its clients read, and its binaryLocation serves the content."""
    key = await service.keep(HALF_PNG)
    response = await service.send("PATCH", ENTRY_URL.replace("{key}", key), span(9, 19), part(9, 19))
    document = response.json()
    download = await service.send("GET", document["binaryLocation"])
    known = {"key": key, "contentLength": LENGTH, "contentType": "image/png", "name": "photo.png", "isProfilePhoto": False}

    assert known == {name: document[name] for name in known}
    assert Like(rf"/\.api2/binaries/{key}/download/[^/]+") == document["binaryLocation"]
    assert "thumbnailLocation" in document
    assert (200, IMAGE) == (download.status_code, download.content)


async def test_what_is_not_there_yet_has_no_location(service: Service) -> None:
    """The document of an upload that is not complete tells no URL of content or of a thumbnail."""
    document = (await service.send("GET", ENTRY_URL.replace("{key}", await service.keep(HALF_PNG)))).json()

    assert (None, None) == (document["binaryLocation"], document["thumbnailLocation"])


async def test_content_is_sniffed(service: Service) -> None:
    """Content that is not of the declared type is 415 when all of it is there, and then the upload is over."""
    key = await service.keep({**PNG, "content_type": "image/gif"})
    path = ENTRY_URL.replace("{key}", key)
    refused = await service.send("PATCH", path, span(0, 19, kind="image/gif"), b"%PDF-1.7" + IMAGE[8:])
    later = await service.send("HEAD", path)
    record = await service.record(key)

    assert record is not None
    assert State.REJECTED is record.state
    assert (415, "content_type_mismatch", 415) == (refused.status_code, refused.json()["code"], later.status_code)


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "image/*"])
async def test_content_is_what_it_is(service: Service, kind: str) -> None:
    """An image under another declaration, or none, is taken as what it is; its last request can be repeated."""
    key = await service.keep({**PNG, "content_type": kind})
    path = ENTRY_URL.replace("{key}", key)
    for _ in range(2):
        taken = await service.send("PATCH", path, span(0, 19, kind=kind), IMAGE)
        assert (200, "image/png") == (taken.status_code, taken.json()["contentType"])


@pytest.mark.parametrize("given", [HALF_PNG, COMPLETE_PNG], ids=["unfinished", "complete"])
async def test_delete(service: Service, given: Given) -> None:
    """DELETE is 204 and ends the upload, complete or not."""
    key = await service.keep(given)
    path = ENTRY_URL.replace("{key}", key)
    deleted = await service.send("DELETE", path)
    later = await service.send("PATCH", path, span(9, 19), part(9, 19))

    assert (204, 410) == (deleted.status_code, later.status_code)


@pytest.mark.parametrize("size", [1, 2, 7, 19])
async def test_parts_of_every_size(service: Service, size: int) -> None:
    """An upload in parts of any size is the upload."""
    key = await service.keep(PNG)
    statuses = []
    for first in range(0, LENGTH, size):
        last = min(first + size, LENGTH) - 1
        response = await service.send("PATCH", ENTRY_URL.replace("{key}", key), span(first, last), part(first, last))
        statuses.append(response.status_code)

    assert [202] * (len(statuses) - 1) + [200] == statuses
    assert await service.content(key) == IMAGE


@pytest.mark.parametrize("first", range(LENGTH))
async def test_every_overlap(service: Service, first: int) -> None:
    """Wherever a range begins before the offset, its equal bytes are known and the rest is appended."""
    key = await service.keep({**PNG, "offset": 15})
    response = await service.send("PATCH", ENTRY_URL.replace("{key}", key), span(first, LAST), part(first, LAST))

    assert (200 if first <= 15 else 409) == response.status_code
