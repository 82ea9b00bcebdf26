"""
draft-ietf-httpbis-resumable-upload, creation and discovery: every row of its tables, as a request and its response.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from holdfast.storage.records import State
from tests.protocols.draft_requests import INCONSISTENT_LENGTH, INTEROP, append, creation
from tests.protocols.exchange import ABSENT, ANYTHING, Exchange, Like, check
from tests.protocols.service import IMAGE, LENGTH, Serve, Service, key_of

LOCATION = Like(r"http://holdfast\.test/files/[0-9A-Za-z]{10}")
LIMIT = Like(r"max-size=\d+, max-age=\d+")
TiB = 1024**4

BEGUN = {"Location": LOCATION, "Upload-Complete": "?0", "Upload-Limit": LIMIT}
FINISHED = {"Location": LOCATION, "Upload-Complete": "?1"}
REFUSED = {
    "Location": ABSENT,
    "Upload-Complete": "?0",
    "Upload-Offset": ABSENT,
    "Content-Type": "application/problem+json",
}


def _create(
    fields: dict[str, str],
    content: bytes | tuple[bytes, ...],
    status: int,
    says: Mapping[str, str | None],
    /,
    method: str = "POST",
    **tells: object,
) -> Exchange:
    return Exchange(method=method, path="/files", fields=fields, content=content, status=status, says=says, tells=tells)


CREATIONS = {
    "?0 without content is 201 with Location, Upload-Limit, ?0 and the offset": _create(
        creation("?0"), b"", 201, BEGUN | {"Upload-Offset": "0"}
    ),
    "?0 with content is 201 with the offset": _create(creation("?0"), IMAGE[:5], 201, BEGUN | {"Upload-Offset": "5"}),
    "?0 with chunked content is 201 with the offset": _create(creation("?0"), (b"1", b"2"), 201, BEGUN | {"Upload-Offset": "2"}),
    "?0 with Upload-Length is 201": _create(creation("?0", Upload_Length="20"), b"", 201, BEGUN | {"Upload-Offset": "0"}),
    "?0 with all the content is 201 with ?0": _create(
        creation("?0", Upload_Length="20"), IMAGE, 201, BEGUN | {"Upload-Offset": "20"}
    ),
    "?1 with content is 201 with ?1": _create(creation("?1"), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}),
    "?1 with chunked content is 201 with ?1": _create(creation("?1"), (IMAGE,), 201, FINISHED | {"Upload-Offset": "20"}),
    "?1 with content of the Upload-Length is 201 with ?1": _create(
        creation("?1", Upload_Length="20"), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}
    ),
    "?1 without content is a complete empty upload": _create(creation("?1"), b"", 201, FINISHED | {"Upload-Offset": "0"}),
    "PUT creates as POST does": _create(creation("?1"), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}, method="PUT"),
    "an interop version makes no difference": _create(INTEROP | creation("?0"), IMAGE, 201, BEGUN | {"Upload-Offset": "20"}),
    "an unknown interop version makes no difference": _create(
        creation("?0", Upload_Draft_Interop_Version="99"), IMAGE, 201, BEGUN | {"Upload-Offset": "20"}
    ),
    "an Upload-Length of another type is as if it were not there": _create(
        creation("?1", Upload_Length='"21"'), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}
    ),
    "a negative Upload-Length is as if it were not there": _create(
        creation("?1", Upload_Length="-1"), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}
    ),
    "parameters are ignored": _create(creation("?1;a", Upload_Length="20;b=c"), IMAGE, 201, FINISHED | {"Upload-Offset": "20"}),
    "the largest Upload-Length is 201": _create(creation("?0", Upload_Length=str(TiB)), b"", 201, BEGUN),
}

REFUSALS = {
    "?1 with less content than Upload-Length is 400": _create(
        creation("?1", Upload_Length="21"), IMAGE, 400, REFUSED, type=INCONSISTENT_LENGTH, status=400
    ),
    "?1 with more content than Upload-Length is 400": _create(
        creation("?1", Upload_Length="19"), IMAGE, 400, REFUSED, type=INCONSISTENT_LENGTH
    ),
    "?0 with more content than Upload-Length is 400": _create(
        creation("?0", Upload_Length="19"), IMAGE, 400, REFUSED, type=INCONSISTENT_LENGTH
    ),
    "an Upload-Length over max-size is 413 with Upload-Limit": _create(
        creation("?0", Upload_Length=str(TiB + 1)), b"", 413, REFUSED | {"Upload-Limit": f"max-size={TiB}"}, status=413
    ),
    "an Upload-Length of 999999999999999 is 413": _create(creation("?0", Upload_Length="9" * 15), b"", 413, REFUSED),
    "an Upload-Complete that is none is 400": _create(INTEROP | creation("yes"), IMAGE, 400, REFUSED),
    "an interop version without Upload-Complete is 400": _create(INTEROP, IMAGE, 400, REFUSED),
    "a creation at an upload is 405": Exchange(
        method="POST", fields=creation("?0"), content=IMAGE, status=405, says={"Allow": ANYTHING, "Upload-Complete": "?0"}
    ),
}

DISCOVERY = {
    f"OPTIONS {path} {how} tells Upload-Limit and Accept-Patch": Exchange(
        method="OPTIONS",
        path=path,
        fields=fields,
        status=204,
        says={"Upload-Limit": f"max-size={TiB}, max-age=86400", "Accept-Patch": "application/partial-upload"},
    )
    for path in ("/files", "/files/{key}")
    for how, fields in {
        "as it is": {},
        "with an interop version": INTEROP,
        "with Upload-Complete": {"Upload-Complete": "?1"},
    }.items()
}

TABLE = CREATIONS | REFUSALS | DISCOVERY


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_creation(service: Service, exchange: Exchange) -> None:
    """Every creation is answered as the draft says."""
    await check(service, exchange)


@pytest.mark.parametrize(("idle", "final"), [(50, 60), (60, 50)])
async def test_uploads_live_as_long_as_was_announced(serve: Serve, idle: float, final: float) -> None:
    """What OPTIONS tells of the age is not longer than an upload lives to which nothing is sent."""
    service = await serve(idle_expiry=idle, final_expiry=final)
    discovered = await service.send("OPTIONS", "/files")
    record = await service.record(key_of(await service.send("POST", "/files", creation("?0"))))

    assert record is not None
    assert record.expires_at is not None
    assert discovered.headers["Upload-Limit"].endswith(" max-age=50")
    assert record.expires_at - record.created_at >= 50


async def test_limits_are_those_of_the_settings(serve: Serve) -> None:
    """OPTIONS and refusals tell the largest size that the settings allow, and so do uploads."""
    service = await serve(max_size=LENGTH - 1, final_expiry=60)
    discovered = await service.send("OPTIONS", "/files")
    refused = await service.send("POST", "/files", creation("?1"), IMAGE)
    chunked = await service.send("POST", "/files", creation("?1"), (IMAGE,))
    begun = await service.send("POST", "/files", creation("?0"))

    assert discovered.headers["Upload-Limit"] == "max-size=19, max-age=60"
    assert [(413, "max-size=19")] * 2 == [(r.status_code, r.headers["Upload-Limit"]) for r in (refused, chunked)]
    assert Like(r"max-size=19, max-age=(59|60)") == begun.headers["Upload-Limit"]


async def test_complete_at_once(service: Service) -> None:
    """What ?1 brought whole is complete, with the name and the type that it came with."""
    described = {"Content-Type": "image/png", "Content-Disposition": "attachment; filename*=UTF-8''%C3%BC.png"}
    created = await service.send("POST", "/files", creation("?1") | described, IMAGE)
    record = await service.record(key_of(created))
    download = await service.send("GET", f"/files/{key_of(created)}")

    assert record is not None
    assert (State.COMPLETE, "ü.png", LENGTH) == (record.state, record.name, record.length)
    assert (200, IMAGE, "image/png") == (download.status_code, download.content, download.headers["Content-Type"])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('inline; filename="a.txt"', "a.txt"),
        ("attachment; filename=a.txt", "a.txt"),
        ("attachment; filename=\"x\"; filename*=UTF-8''%e2%82%ac%20rates", "€ rates"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%2f..%2fetc%2fpasswd", "passwd"),
        ("attachment; filename*=UTF-8''a%00b%0d%0a.txt", "ab.txt"),
        ('attachment; filename=""', None),
        ("attachment", None),
        ("", None),
        (";;;=", None),
        ('attachment; filename="unended', None),
        ("attachment;filename=close.txt", "close.txt"),
        ('attachment; filename="a \\"b\\".txt"', 'a "b".txt'),
    ],
    ids=[
        "inline",
        "a token",
        "filename* wins",
        "a path",
        "a path in filename*",
        "control characters",
        "an empty name",
        "no name",
        "nothing",
        "nonsense",
        "an unended string",
        "no space",
        "quoted pairs",
    ],
)
async def test_file_name(service: Service, value: str, name: str | None) -> None:
    """Content-Disposition names the upload, never with a path or a control character."""
    created = await service.send("POST", "/files", creation("?0", Content_Disposition=value))
    record = await service.record(key_of(created))

    assert record is not None
    assert created.status_code == 201
    assert name == record.name


async def test_unreadable_charset_of_a_file_name(service: Service) -> None:
    """A file name in a character set that nobody knows is no reason to fail."""
    value = "attachment; filename*=x-unknown''%ff%fe"
    created = await service.send("POST", "/files", creation("?0", Content_Disposition=value))

    assert created.status_code == 201


async def test_overrun_of_a_creation(service: Service) -> None:
    """Chunked content over Upload-Length is 400 inconsistent-upload-length, and no Location tells of it."""
    response = await service.send("POST", "/files", creation("?1", Upload_Length="10"), (IMAGE[:6], IMAGE[6:]))

    assert (400, INCONSISTENT_LENGTH) == (response.status_code, response.json()["type"])
    assert ("?0", None) == (response.headers["Upload-Complete"], response.headers.get("Location"))


async def test_careful_creation(service: Service) -> None:
    """An upload that is created empty goes on at the Location that it was told."""
    created = await service.send("POST", "/files", creation("?0"))
    appended = await service.send("PATCH", created.headers["Location"], append(0, "?1"), IMAGE)

    assert (204, "?1", "20") == (appended.status_code, appended.headers["Upload-Complete"], appended.headers["Upload-Offset"])


async def test_chunked_content_that_ends_short(service: Service) -> None:
    """Chunked content with ?1 that ends before Upload-Length is 400, and nothing is complete."""
    response = await service.send("POST", "/files", creation("?1", Upload_Length="21"), (IMAGE,))

    assert (400, "?0", INCONSISTENT_LENGTH) == (
        response.status_code,
        response.headers["Upload-Complete"],
        response.json()["type"],
    )


async def test_time_is_left_from_the_answer_on(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """After content that took long to come, max-age counts from the answer on, and not from the beginning of the request."""
    service = await serve(idle_expiry=600)
    monkeypatch.setattr("holdfast.service.asgi.requests.time", SimpleNamespace(time=lambda: time.time() - 100))
    response = await service.send("POST", "/files", creation("?0"), IMAGE[:5])

    assert re.search(r"max-age=(599|600)$", response.headers["Upload-Limit"])
