"""
draft-ietf-httpbis-resumable-upload, appending and asking: every row of its decision tables, as a request and its response.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from tests.protocols.draft_requests import INCONSISTENT_LENGTH, INTEROP, MISMATCHING_OFFSET, append
from tests.protocols.exchange import ABSENT, Exchange, Like, check
from tests.protocols.service import (
    CANCELLED,
    COMPLETE,
    DEFERRED,
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
    Fields,
    Given,
    Service,
)

REST = IMAGE[HALF:]
LIMIT = Like(r"max-size=\d+, max-age=\d+")
FINAL_LIMIT = Like(r"max-size=\d+")
UNFINISHED: dict[str, str | None] = {"Upload-Complete": "?0"}
GONE: dict[str, str | None] = {"Upload-Complete": "?0", "Upload-Offset": ABSENT, "Upload-Limit": ABSENT}
PROBLEM: dict[str, str | None] = {"Content-Type": "application/problem+json"}


def _patch(
    given: Given,
    fields: Fields,
    content: bytes | tuple[bytes, ...],
    status: int,
    says: Mapping[str, str | None],
    /,
    **tells: object,
) -> Exchange:
    return Exchange(method="PATCH", given=given, fields=fields, content=content, status=status, says=says, tells=tells)


def _at(offset: int, complete: str = "?0") -> dict[str, str | None]:
    return {"Upload-Complete": complete, "Upload-Offset": str(offset)}


APPENDS = {
    "an append of a part is 204 with ?0 and the offset": _patch(
        HALF_SENT, append(HALF), REST[:4], 204, _at(13) | {"Upload-Limit": LIMIT}
    ),
    "a chunked append of a part is 204 with ?0 and the offset": _patch(
        HALF_SENT, append(HALF), (REST[:3], REST[3:5]), 204, _at(14)
    ),
    "an append of nothing is 204 with ?0 and the offset": _patch(HALF_SENT, append(HALF), b"", 204, _at(HALF)),
    "an append of the rest with ?1 is 204 with ?1": _patch(HALF_SENT, append(HALF, "?1"), REST, 204, _at(LENGTH, "?1")),
    "a chunked append of the rest with ?1 is 204 with ?1": _patch(HALF_SENT, append(HALF, "?1"), (REST,), 204, _at(LENGTH, "?1")),
    "an append of the rest with ?0 is 204 with ?0: the length does not complete": _patch(
        HALF_SENT, append(HALF), REST, 204, _at(LENGTH)
    ),
    "an empty append with ?1 at the length completes": _patch(FULL, append(LENGTH, "?1"), b"", 204, _at(LENGTH, "?1")),
    "an empty append with ?1 and an unknown length completes": _patch(
        HALF_DEFERRED, append(HALF, "?1"), b"", 204, _at(HALF, "?1")
    ),
    "an append with ?1 and an unknown length tells the length": _patch(
        HALF_DEFERRED, append(HALF, "?1"), REST, 204, _at(LENGTH, "?1")
    ),
    "a chunked append with ?1 and an unknown length completes": _patch(
        HALF_DEFERRED, append(HALF, "?1"), (REST,), 204, _at(LENGTH, "?1")
    ),
    "Upload-Length may come with an append": _patch(
        HALF_DEFERRED, append(HALF, Upload_Length="20"), REST[:1], 204, _at(HALF + 1)
    ),
    "Upload-Length may be repeated": _patch(HALF_SENT, append(HALF, "?1", Upload_Length="20"), REST, 204, _at(LENGTH, "?1")),
    "a completing append that is sent again is answered again": _patch(
        COMPLETE, append(LENGTH, "?1"), b"", 204, _at(LENGTH, "?1")
    ),
}

FIELDS = {
    **{
        f"the Content-Type {wrong!r} is 415 with Accept-Patch": _patch(
            EMPTY,
            append(0) | {"Content-Type": wrong},
            IMAGE,
            415,
            UNFINISHED | PROBLEM | {"Accept-Patch": "application/partial-upload"},
        )
        for wrong in ("application/octet-stream", "text/plain", "", "partial-upload")
    },
    "no Content-Type is 415 with Accept-Patch": _patch(
        EMPTY,
        {"Upload-Offset": "0", "Upload-Complete": "?0"},
        IMAGE,
        415,
        UNFINISHED | PROBLEM | {"Accept-Patch": "application/partial-upload"},
    ),
    "a Content-Type with parameters is taken": _patch(
        EMPTY, append(0) | {"Content-Type": "Application/Partial-Upload;v=1"}, IMAGE[:1], 204, _at(1)
    ),
    "parameters of Upload-Offset and Upload-Complete are ignored": _patch(
        HALF_SENT, append("9;a=b;c", '?1;d="e"'), REST, 204, _at(LENGTH, "?1")
    ),
    "leading zeros of an integer are legal": _patch(HALF_SENT, append("000009"), REST[:1], 204, _at(10)),
    "Upload-Length of another type is as if it were not there": _patch(
        HALF_SENT, append(HALF, Upload_Length='"21"'), REST[:1], 204, _at(10)
    ),
    "Upload-Length twice is as if it were not there": _patch(
        HALF_SENT, append(HALF, Upload_Length="20, 21"), REST[:1], 204, _at(10)
    ),
    "no Upload-Offset is 400": _patch(
        EMPTY,
        {"Content-Type": "application/partial-upload", "Upload-Complete": "?0"},
        IMAGE,
        400,
        UNFINISHED | PROBLEM,
        title="upload_offset_required",
        status=400,
    ),
    "no Upload-Complete is 400": _patch(
        EMPTY,
        INTEROP | {"Content-Type": "application/partial-upload", "Upload-Offset": "0"},
        IMAGE,
        400,
        UNFINISHED | PROBLEM,
        title="upload_complete_required",
    ),
    **{
        f"the Upload-Offset {wrong!r} is as if it were not there, 400": _patch(
            EMPTY, append(wrong), IMAGE, 400, UNFINISHED | PROBLEM, title="upload_offset_required"
        )
        for wrong in (
            "-1",
            "+0",
            "0.0",
            '"0"',
            "?0",
            ":AA==:",
            "0, 0",
            "abc",
            "",
            "0;",
            "1" * 16,
            "9" * 5000,
            "\u0660",
            "(0)",
            "@0",
        )
    },
    **{
        f"the Upload-Complete {wrong!r} is as if it were not there, 400": _patch(
            EMPTY, append(0, wrong), IMAGE, 400, UNFINISHED | PROBLEM, title="upload_complete_required"
        )
        for wrong in ("?2", "1", "true", "?1, ?1", "?0, ?1", '"?1"', "?", "", "??1")
    },
}

REFUSED = {
    "another offset is 409 with ?0 and the offset": _patch(
        HALF_SENT,
        append(10),
        REST[1:],
        409,
        _at(HALF) | PROBLEM,
        **{"type": MISMATCHING_OFFSET, "status": 409, "expected-offset": HALF, "provided-offset": 10},
    ),
    "an offset behind is 409 with ?0 and the offset": _patch(
        HALF_SENT, append(0, "?1"), IMAGE, 409, _at(HALF) | PROBLEM, **{"expected-offset": HALF, "provided-offset": 0}
    ),
    "another Upload-Length is 400 with ?0 and the offset": _patch(
        HALF_SENT, append(HALF, Upload_Length="21"), REST, 400, _at(HALF) | PROBLEM, type=INCONSISTENT_LENGTH, status=400
    ),
    "an Upload-Length before the offset is 400": _patch(
        HALF_DEFERRED, append(HALF, Upload_Length="8"), b"", 400, _at(HALF) | PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "content with ?1 that ends before the length is 400 with ?0 and the offset": _patch(
        HALF_SENT, append(HALF, "?1"), REST[:-1], 400, _at(HALF) | PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "no content with ?1 before the length is 400 with ?0 and the offset": _patch(
        HALF_SENT, append(HALF, "?1"), b"", 400, _at(HALF) | PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "an Upload-Length that content with ?1 contradicts is 400": _patch(
        DEFERRED, append(0, "?1", Upload_Length="21"), IMAGE, 400, _at(0) | PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "an Upload-Length over max-size is 413 with Upload-Limit": _patch(
        DEFERRED, append(0, Upload_Length="1099511627777"), IMAGE, 413, UNFINISHED | PROBLEM | {"Upload-Limit": FINAL_LIMIT}
    ),
    "more content for a complete upload with ?1 is 400": _patch(
        COMPLETE, append(LENGTH, "?1"), b"!", 400, PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "more chunked content for a complete upload with ?1 is 400": _patch(
        COMPLETE, append(LENGTH, "?1"), (b"!",), 400, PROBLEM, type=INCONSISTENT_LENGTH
    ),
    "more content for a complete upload with ?0 is 400": _patch(
        COMPLETE, append(LENGTH), b"!", 400, PROBLEM, type=INCONSISTENT_LENGTH
    ),
    **{
        f"an append to a complete upload at another offset is 409 with the offset, {how}": _patch(
            COMPLETE, fields, content, 409, _at(LENGTH) | PROBLEM, type=MISMATCHING_OFFSET, **{"expected-offset": LENGTH}
        )
        for how, fields, content in (
            ("with ?1", append(HALF, "?1"), REST),
            ("with ?0", append(HALF), REST),
            ("beyond it", append(LENGTH + 1, "?1"), b"!"),
            ("without content", append(0, "?1"), b""),
        )
    },
}

KEPT = _at(LENGTH, "?1") | {"Upload-Length": "20", "Cache-Control": "no-store"}
QUESTIONS = {
    f"{method} of {what} is {status}": Exchange(method=method, given=given, fields=INTEROP, status=status, says=says)
    for method in ("HEAD", "GET")
    for what, given, status, says in (
        ("an empty upload", EMPTY, 204, _at(0) | {"Upload-Length": "20", "Upload-Limit": LIMIT, "Cache-Control": "no-store"}),
        ("a part", HALF_SENT, 204, _at(HALF) | {"Upload-Length": "20", "Upload-Limit": LIMIT, "Cache-Control": "no-store"}),
        ("an upload of unknown length", HALF_DEFERRED, 204, _at(HALF) | {"Upload-Length": ABSENT, "Upload-Limit": LIMIT}),
        ("an upload with all its bytes, that nobody completed", FULL, 204, _at(LENGTH)),
        ("a complete upload", COMPLETE, 204, KEPT | {"Upload-Limit": FINAL_LIMIT}),
    )
} | {
    "HEAD without an interop version tells the offset too": Exchange(
        method="HEAD", given=HALF_SENT, status=204, says=_at(HALF) | {"Upload-Length": "20", "Cache-Control": "no-store"}
    ),
    "HEAD of a complete upload without an interop version is about the attachment, and tells the offset": Exchange(
        method="HEAD", given=COMPLETE, status=200, says=KEPT | {"Content-Length": "20", "Accept-Ranges": "bytes"}
    ),
    "HEAD with Upload-Offset is 400": Exchange(method="HEAD", fields=INTEROP | {"Upload-Offset": "0"}, status=400),
    "HEAD with Upload-Complete is 400": Exchange(method="HEAD", fields={"Upload-Complete": "?0"}, status=400),
    "HEAD with Upload-Offset and no interop version is 400": Exchange(method="HEAD", fields={"Upload-Offset": "0"}, status=400),
}

INACTIVE = {
    f"{method} of {what} is {status}": Exchange(
        method=method,
        given=given,
        fields=append(HALF) if method == "PATCH" else INTEROP,
        content=REST if method == "PATCH" else b"",
        status=status,
        says=GONE | PROBLEM,
    )
    for method in ("PATCH", "HEAD", "GET", "DELETE")
    for what, given, status in (
        ("an unknown upload", NOTHING, 404),
        ("a cancelled upload", CANCELLED, 404),
        ("an expired upload", EXPIRED, 410),
        ("an upload whose time ran out", OVERDUE, 410),
        ("an invalid upload", INVALID, 410),
    )
}

CANCELLATIONS = {
    f"DELETE of {what} is 204": Exchange(method="DELETE", given=given, fields=fields, status=204)
    for what, given, fields in (
        ("an upload", HALF_SENT, INTEROP),
        ("an upload, without an interop version", HALF_SENT, {}),
        ("a complete upload", COMPLETE, INTEROP),
    )
}

TABLE = APPENDS | FIELDS | REFUSED | QUESTIONS | INACTIVE | CANCELLATIONS


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_upload(service: Service, exchange: Exchange) -> None:
    """Every request about an upload is answered as the draft says."""
    await check(service, exchange)


@pytest.mark.parametrize(
    ("given", "complete", "content"),
    [
        (HALF_SENT, "?0", REST + b"!"),
        (HALF_SENT, "?1", REST + b"!"),
        (HALF_SENT, "?0", (REST, b"!")),
        (HALF_SENT, "?1", (REST, b"!")),
        (FULL, "?0", b"!"),
        (FULL, "?1", (b"!",)),
    ],
    ids=["?0", "?1", "?0, chunked", "?1, chunked", "?0 at the length", "?1 at the length, chunked"],
)
async def test_overrun(service: Service, given: Given, complete: str, content: bytes | tuple[bytes, ...]) -> None:
    """Content over the known length is 400 inconsistent-upload-length, and the upload is over for good."""
    key = await service.keep(given)
    record = await service.record(key)
    offset = 0 if record is None else record.offset
    refused = await service.send("PATCH", f"/files/{key}", append(offset, complete), content)
    asked = await service.send("HEAD", f"/files/{key}", INTEROP)
    appended = await service.send("PATCH", f"/files/{key}", append(offset, "?1"), IMAGE[offset:])

    assert (400, "?0") == (refused.status_code, refused.headers["Upload-Complete"])
    assert refused.json()["type"] == INCONSISTENT_LENGTH
    assert (410, 410) == (asked.status_code, appended.status_code)


async def test_chunked_content_that_ends_short(service: Service) -> None:
    """Chunked content with ?1 that ends before the known length is 400; its bytes are kept and the upload goes on."""
    key = await service.keep(HALF_SENT)
    refused = await service.send("PATCH", f"/files/{key}", append(HALF, "?1"), (REST[:4],))
    asked = await service.send("HEAD", f"/files/{key}", INTEROP)
    finished = await service.send("PATCH", f"/files/{key}", append(13, "?1"), REST[4:])

    assert (400, INCONSISTENT_LENGTH) == (refused.status_code, refused.json()["type"])
    assert ("?0", "13") == (refused.headers["Upload-Complete"], refused.headers["Upload-Offset"])
    assert (204, "13") == (asked.status_code, asked.headers["Upload-Offset"])
    assert (204, "?1") == (finished.status_code, finished.headers["Upload-Complete"])


async def test_numbers_in_problems_are_numbers(service: Service) -> None:
    """What a problem document tells of offsets and its status are JSON numbers."""
    key = await service.keep(HALF_SENT)
    response = await service.send("PATCH", f"/files/{key}", append(10), REST[1:])
    document = response.json()

    assert [int, int, int] == [type(document[name]) for name in ("status", "expected-offset", "provided-offset")]


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_cancelled(service: Service, method: str) -> None:
    """After a cancellation the upload is not there any more."""
    key = await service.keep(HALF_SENT)
    await service.send("DELETE", f"/files/{key}")
    response = await service.send(method, f"/files/{key}", append(HALF) if method == "PATCH" else INTEROP)

    assert response.status_code == httpx.codes.NOT_FOUND


async def test_offset_is_not_completion(service: Service) -> None:
    """An upload with all its bytes is open until a request says ?1, an empty one too."""
    key = await service.keep(FULL)
    before = await service.send("HEAD", f"/files/{key}", INTEROP)
    finished = await service.send("PATCH", f"/files/{key}", append(LENGTH, "?1"))
    after = await service.send("HEAD", f"/files/{key}", INTEROP)
    download = await service.send("GET", f"/files/{key}")

    assert ["?0", "?1", "?1"] == [response.headers["Upload-Complete"] for response in (before, finished, after)]
    assert (200, IMAGE) == (download.status_code, download.content)


async def test_fields_twice(service: Service) -> None:
    """A field that came twice is as if it were not there."""
    key = await service.keep(EMPTY)
    pairs = [*append(0).items(), ("Upload-Offset", "0")]
    response = await service.send("PATCH", f"/files/{key}", pairs, IMAGE)

    assert (400, "upload_offset_required") == (response.status_code, response.json()["title"])


async def test_what_was_refused_is_final(service: Service) -> None:
    """An upload whose content the service refused is not to be resumed: Upload-Complete is ?1, else it is ?0."""
    rejected = await service.keep(REJECTED)
    invalid = await service.keep(INVALID)
    answers = [await service.send("PATCH", f"/files/{key}", append(0), b"x") for key in (rejected, invalid)]

    assert ["?1", "?0"] == [answer.headers["Upload-Complete"] for answer in answers]
    assert all(answer.is_client_error for answer in answers)
