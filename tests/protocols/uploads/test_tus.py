"""
tus 1.0.0, the core protocol: every rule that a conformance tester checks, as a request and its response.
"""

from __future__ import annotations

import httpx
import pytest

from tests.protocols.exchange import ABSENT, ANYTHING, IMF_FIXDATE, Exchange, check
from tests.protocols.service import (
    CANCELLED,
    COMPLETE,
    DAY,
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
    Serve,
    Service,
    key_of,
)
from tests.protocols.tus_requests import APPEND, CONTENT_TYPE, VERSION, at, creation

GONE = {"Upload-Offset": ABSENT, "Upload-Length": ABSENT}
STANDS = {"Upload-Offset": str(HALF), "Upload-Expires": IMF_FIXDATE}
REST = IMAGE[HALF:]

VERSIONS = {
    "a POST without Tus-Resumable is 412 with Tus-Version": Exchange(
        method="POST", path="/files", fields={"Upload-Length": "20"}, status=412, says={"Tus-Version": "1.0.0"}
    ),
    "a PATCH without Tus-Resumable is 412 with Tus-Version": Exchange(
        method="PATCH", fields=CONTENT_TYPE | {"Upload-Offset": "0"}, content=IMAGE, status=412, says={"Tus-Version": "1.0.0"}
    ),
    **{
        f"a {method} of version {version} is 412 with Tus-Version": Exchange(
            method=method,
            path="/files" if method == "POST" else "/files/{key}",
            given=HALF_SENT,
            fields=at(HALF) | {"Upload-Length": "20", "Tus-Resumable": version},
            status=412,
            says={"Tus-Version": "1.0.0", "Upload-Offset": ABSENT},
        )
        for method in ("POST", "HEAD", "PATCH", "DELETE")
        for version in ("0.2.2", "1.0", "1.0.1", "2.0.0", "", "1.0.0, 1.0.0")
    },
}

METHODS = {
    "X-HTTP-Method-Override makes a POST a PATCH": Exchange(
        method="POST", fields=at(0, X_HTTP_Method_Override="PATCH"), content=IMAGE, status=204, says={"Upload-Offset": "20"}
    ),
    "X-HTTP-Method-Override makes a POST a HEAD": Exchange(
        method="POST",
        given=HALF_SENT,
        fields=VERSION | {"X-HTTP-Method-Override": "HEAD"},
        status=200,
        says={"Upload-Offset": str(HALF)},
    ),
    "X-HTTP-Method-Override makes a POST a DELETE": Exchange(
        method="POST", fields=VERSION | {"X-HTTP-Method-Override": "DELETE"}, status=204
    ),
    **{
        f"X-HTTP-Method-Override does not make a {method} a {meant}": Exchange(
            method=method,
            given=COMPLETE if meant == "GET" else EMPTY,
            fields=at(0, X_HTTP_Method_Override=meant),
            content=IMAGE if method in ("POST", "PUT") else b"",
            status=400,
            offset=20 if meant == "GET" else 0,
        )
        for method, meant in (
            ("HEAD", "GET"),
            ("POST", "GET"),
            ("PUT", "PATCH"),
            ("GET", "DELETE"),
            ("DELETE", "HEAD"),
            ("POST", "PURGE"),
            ("POST", ""),
        )
    },
    **{
        f"X-HTTP-Method-Override makes a {method} OPTIONS, whatever the version": Exchange(
            method=method, fields={"X-HTTP-Method-Override": "OPTIONS"}, status=204, says={"Tus-Version": "1.0.0"}, offset=0
        )
        for method in ("POST", "GET", "HEAD", "DELETE")
    },
    "X-HTTP-Method-Override may repeat the method": Exchange(
        method="PATCH", fields=at(0, X_HTTP_Method_Override="patch"), content=IMAGE, status=204, offset=20
    ),
    "a PUT is 405 with Allow": Exchange(method="PUT", fields=VERSION, status=405, says={"Allow": ANYTHING}),
    "a POST to an upload is 405 with Allow": Exchange(method="POST", fields=creation(20), status=405, says={"Allow": ANYTHING}),
    "a PATCH of the collection is 405": Exchange(method="PATCH", path="/files", fields=at(0), content=IMAGE, status=405),
    "a HEAD of the collection is 405": Exchange(method="HEAD", path="/files", fields=VERSION, status=405),
}

HEADS = {
    "HEAD tells an offset of 0": Exchange(
        method="HEAD",
        fields=VERSION,
        status=200,
        says={"Upload-Offset": "0", "Upload-Length": "20", "Upload-Defer-Length": ABSENT, "Cache-Control": "no-store"},
    ),
    "HEAD tells how far an upload is": Exchange(
        method="HEAD", given=HALF_SENT, fields=VERSION, status=200, says={"Upload-Offset": str(HALF), "Upload-Length": "20"}
    ),
    "HEAD tells the offset of a complete upload, that does not expire": Exchange(
        method="HEAD",
        given=COMPLETE,
        fields=VERSION,
        status=200,
        says={"Upload-Offset": "20", "Upload-Length": "20", "Upload-Expires": ABSENT, "Cache-Control": "no-store"},
    ),
    "HEAD tells Upload-Defer-Length: 1 while the length is unknown": Exchange(
        method="HEAD",
        given=HALF_DEFERRED,
        fields=VERSION,
        status=200,
        says={"Upload-Offset": str(HALF), "Upload-Length": ABSENT, "Upload-Defer-Length": "1", "Cache-Control": "no-store"},
    ),
    "HEAD gives Upload-Metadata back as it came": Exchange(
        method="HEAD",
        given={"metadata": "b d29ybGQ=,valueless,a ,empty"},
        fields=VERSION,
        status=200,
        says={"Upload-Metadata": "b d29ybGQ=,valueless,a ,empty"},
    ),
    "HEAD has no Upload-Metadata where there was none": Exchange(
        method="HEAD", fields=VERSION, status=200, says={"Upload-Metadata": ABSENT}
    ),
    "HEAD of an unknown upload is 404 without Upload-Offset": Exchange(
        method="HEAD", given=NOTHING, fields=VERSION, status=404, says=GONE
    ),
    "HEAD of a cancelled upload is 404 without Upload-Offset": Exchange(
        method="HEAD", given=CANCELLED, fields=VERSION, status=404, says=GONE
    ),
    "HEAD of an expired upload is 410 without Upload-Offset": Exchange(
        method="HEAD", given=EXPIRED, fields=VERSION, status=410, says=GONE
    ),
    "HEAD of an upload whose time ran out is 410 without Upload-Offset": Exchange(
        method="HEAD", given=OVERDUE, fields=VERSION, status=410, says=GONE
    ),
    "HEAD of an invalid upload is 410 without Upload-Offset": Exchange(
        method="HEAD", given=INVALID, fields=VERSION, status=410, says=GONE
    ),
}

APPENDS = {
    "PATCH is 204 with Upload-Offset = old + stored bytes": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), content=REST[:4], status=204, says={"Upload-Offset": "13"}, offset=13
    ),
    "PATCH in the chunked transfer coding is 204 with Upload-Offset": Exchange(
        method="PATCH", fields=at(0), content=(IMAGE[:7], b"", IMAGE[7:]), status=204, says={"Upload-Offset": "20"}, offset=20
    ),
    "PATCH without content is 204 and changes nothing": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), status=204, says={"Upload-Offset": str(HALF)}, offset=HALF
    ),
    "PATCH without content tells when the upload expires": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), status=204, says={"Upload-Expires": IMF_FIXDATE}
    ),
    "PATCH of a Content-Type with parameters is taken": Exchange(
        method="PATCH",
        fields=at(0) | {"Content-Type": "Application/Offset+Octet-Stream; charset=binary"},
        content=IMAGE,
        status=204,
        says={"Upload-Offset": "20"},
    ),
    "PATCH with a leading zero in Upload-Offset is taken": Exchange(
        method="PATCH", given=HALF_SENT, fields=at("009"), content=REST, status=204, says={"Upload-Offset": "20"}
    ),
    **{
        f"PATCH of the Content-Type {wrong!r} is 415": Exchange(
            method="PATCH", fields=at(0) | {"Content-Type": wrong}, content=IMAGE, status=415, offset=0
        )
        for wrong in (
            "",
            "text/plain",
            "application/octet-stream",
            "application/partial-upload",
            "offset+octet-stream",
            "nonsense",
        )
    },
    "PATCH without a Content-Type is 415": Exchange(
        method="PATCH", fields=VERSION | {"Upload-Offset": "0"}, content=IMAGE, status=415, offset=0
    ),
    "PATCH without Upload-Offset is 400": Exchange(method="PATCH", fields=APPEND, content=IMAGE, status=400, offset=0),
    **{
        f"PATCH with the Upload-Offset {wrong!r} is 400": Exchange(
            method="PATCH", fields=at(wrong), content=IMAGE, status=400, offset=0
        )
        for wrong in ("-1", "abc", "1.5", "", "+0", "0x0", "0, 0", "\u0660", "1e1", "0;a=b", "?0")
    },
    "PATCH behind the offset is 409 and tells the offset": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(0), content=IMAGE, status=409, says=STANDS, offset=HALF
    ),
    "PATCH ahead of the offset is 409 and tells the offset": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(10), content=IMAGE, status=409, says=STANDS, offset=HALF
    ),
    "PATCH far ahead of the offset is 409": Exchange(
        method="PATCH", given=HALF_SENT, fields=at("9" * 5000), content=REST, status=409, offset=HALF
    ),
    "PATCH of a complete upload at another offset is 409": Exchange(
        method="PATCH", given=COMPLETE, fields=at(HALF), content=REST, status=409, offset=LENGTH
    ),
    "PATCH of an unknown upload is 404": Exchange(
        method="PATCH", given=NOTHING, fields=at(0), content=IMAGE, status=404, says=GONE
    ),
    "PATCH of a cancelled upload is 404": Exchange(
        method="PATCH", given=CANCELLED, fields=at(HALF), content=REST, status=404, says=GONE
    ),
    "PATCH of an expired upload is 410": Exchange(
        method="PATCH", given=EXPIRED, fields=at(HALF), content=REST, status=410, says=GONE
    ),
    "PATCH of an upload whose time ran out is 410": Exchange(
        method="PATCH", given=OVERDUE, fields=at(HALF), content=REST, status=410, says=GONE
    ),
    "content longer than what remains is 413, by Content-Length": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), content=REST + b"!", status=413, says=STANDS, offset=HALF
    ),
    "content longer than what remains is 413, in the chunked transfer coding": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), content=(REST, b"!"), status=413, says=STANDS, offset=HALF
    ),
    "content longer than what remains is 413, in one chunk": Exchange(
        method="PATCH", given=HALF_SENT, fields=at(HALF), content=(REST + b"!",), status=413, says=STANDS, offset=HALF
    ),
    "PATCH of a complete upload at its end without content is 204": Exchange(
        method="PATCH", given=COMPLETE, fields=at(20), status=204, says={"Upload-Offset": "20", "Upload-Expires": ABSENT}
    ),
    "PATCH of a complete upload at its end with content is 413": Exchange(
        method="PATCH", given=COMPLETE, fields=at(20), content=b"!", status=413, offset=LENGTH
    ),
    "PATCH of a complete upload at its end with content is 413, in the chunked transfer coding": Exchange(
        method="PATCH", given=COMPLETE, fields=at(20), content=(b"!",), status=413, offset=LENGTH
    ),
    "PATCH without content completes what has all its bytes": Exchange(
        method="PATCH", given=FULL, fields=at(20), status=204, says={"Upload-Offset": "20", "Upload-Expires": ABSENT}
    ),
    "PATCH tells when an unfinished upload expires": Exchange(
        method="PATCH", fields=at(0), content=b"1", status=204, says={"Upload-Expires": IMF_FIXDATE}
    ),
    "PATCH tells no Upload-Expires once the upload is complete": Exchange(
        method="PATCH", fields=at(0), content=IMAGE, status=204, says={"Upload-Expires": ABSENT}
    ),
}

LENGTHS = {
    "PATCH may repeat the Upload-Length": Exchange(
        method="PATCH", fields=at(0, Upload_Length="20"), content=IMAGE, status=204, says={"Upload-Offset": "20"}
    ),
    "PATCH with another Upload-Length is 400": Exchange(
        method="PATCH",
        fields=at(0, Upload_Length="21"),
        content=IMAGE,
        status=400,
        says={"Upload-Expires": IMF_FIXDATE},
        offset=0,
    ),
    "PATCH may tell a deferred Upload-Length": Exchange(
        method="PATCH", given=DEFERRED, fields=at(0, Upload_Length="20"), content=IMAGE, status=204, says={"Upload-Offset": "20"}
    ),
    "PATCH may tell a deferred Upload-Length without content": Exchange(
        method="PATCH", given=HALF_DEFERRED, fields=at(HALF, Upload_Length="20"), status=204, says={"Upload-Offset": str(HALF)}
    ),
    "PATCH that tells the offset as the deferred Upload-Length completes the upload": Exchange(
        method="PATCH",
        given=HALF_DEFERRED,
        fields=at(HALF, Upload_Length=str(HALF)),
        status=204,
        says={"Upload-Offset": str(HALF), "Upload-Expires": ABSENT},
    ),
    "PATCH that tells an Upload-Length before the offset is 400": Exchange(
        method="PATCH", given=HALF_DEFERRED, fields=at(HALF, Upload_Length="8"), status=400, offset=HALF
    ),
    "PATCH that tells an Upload-Length over Tus-Max-Size is 413": Exchange(
        method="PATCH", given=DEFERRED, fields=at(0, Upload_Length="1099511627777"), content=IMAGE, status=413, offset=0
    ),
    **{
        f"PATCH with the Upload-Length {wrong!r} is 400": Exchange(
            method="PATCH", given=DEFERRED, fields=at(0, Upload_Length=wrong), content=IMAGE, status=400, offset=0
        )
        for wrong in ("-1", "abc", "1.5", "", "20, 20")
    },
    "content longer than the Upload-Length that came with it is 413": Exchange(
        method="PATCH", given=DEFERRED, fields=at(0, Upload_Length="19"), content=IMAGE, status=413, offset=0
    ),
    "content longer than the Upload-Length that came with it is 413, in the chunked transfer coding": Exchange(
        method="PATCH", given=DEFERRED, fields=at(0, Upload_Length="19"), content=(IMAGE,), status=413, offset=0
    ),
}

TERMINATIONS = {
    "DELETE of an unfinished upload is 204": Exchange(method="DELETE", given=HALF_SENT, fields=VERSION, status=204),
    "DELETE of a complete upload is 204": Exchange(method="DELETE", given=COMPLETE, fields=VERSION, status=204),
    "DELETE of an unknown upload is 404": Exchange(method="DELETE", given=NOTHING, fields=VERSION, status=404),
    "DELETE of a cancelled upload is 404": Exchange(method="DELETE", given=CANCELLED, fields=VERSION, status=404),
    "DELETE of an expired upload is 410": Exchange(method="DELETE", given=EXPIRED, fields=VERSION, status=410),
    "DELETE of an upload whose time ran out is 410": Exchange(method="DELETE", given=OVERDUE, fields=VERSION, status=410),
}

TABLE = VERSIONS | METHODS | HEADS | APPENDS | LENGTHS | TERMINATIONS


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_core(service: Service, exchange: Exchange) -> None:
    """Every request of the core protocol is answered as the specification says, with the version, refusals included."""
    response = await check(service, exchange)

    assert response.headers.get("Tus-Resumable") == "1.0.0"


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "GET", "DELETE"])
@pytest.mark.parametrize("given", [HALF_SENT, COMPLETE], ids=["unfinished", "complete"])
async def test_terminated(service: Service, given: dict[str, object], method: str) -> None:
    """After a termination the upload is not found, whatever it is asked."""
    key = await service.keep(given)
    await service.send("DELETE", f"/files/{key}", VERSION)
    response = await service.send(method, f"/files/{key}", at(HALF))

    assert response.status_code == httpx.codes.NOT_FOUND
    assert "Upload-Offset" not in response.headers


async def test_complete_uploads_do_not_expire(service: Service) -> None:
    """Only unfinished uploads expire: a complete one is there after years."""
    key = await service.keep({**COMPLETE, "created_at": 1.0})
    response = await service.send("HEAD", f"/files/{key}", VERSION)

    assert response.status_code == httpx.codes.OK


async def test_expires(serve: Serve) -> None:
    """An upload that nobody goes on with is gone after the time that the settings say."""
    service = await serve(idle_expiry=0.000_001)
    created = await service.send("POST", "/files", creation(20))
    response = await service.send("HEAD", f"/files/{key_of(created)}", VERSION)

    assert response.status_code == httpx.codes.GONE


async def test_expiry_slides(service: Service) -> None:
    """Progress moves Upload-Expires."""
    key = await service.keep({"expires_at": 4_000_000_000.0})
    before = await service.record(key)
    await service.send("PATCH", f"/files/{key}", at(0), IMAGE[:1])
    after = await service.record(key)

    assert before is not None
    assert after is not None
    assert after.expires_at == pytest.approx(before.created_at + DAY, abs=60)


async def test_the_bytes_are_the_bytes(service: Service) -> None:
    """What was sent in pieces is what is downloaded."""
    created = await service.send("POST", "/files", creation(20))
    key = key_of(created)
    for offset in range(LENGTH):
        await service.send("PATCH", f"/files/{key}", at(offset), IMAGE[offset : offset + 1])
    response = await service.send("GET", f"/files/{key}", VERSION)

    assert response.content == IMAGE


async def test_expiry_is_told(service: Service) -> None:
    """A question about an unfinished upload is answered with Upload-Expires, one about a complete upload is not."""
    key = await service.keep({"expires_at": 4_000_000_000.0})
    open_one = await service.send("HEAD", f"/files/{key}", VERSION)
    complete = await service.send("HEAD", f"/files/{await service.keep(COMPLETE)}", VERSION)

    assert "Tue, 02 Oct 2096 07:06:40 GMT" == open_one.headers["Upload-Expires"]
    assert "Upload-Expires" not in complete.headers


async def test_what_is_complete_does_not_expire(serve: Serve) -> None:
    """No answer says when a complete upload expires, though an attachment that gets into no slot is purged in time."""
    service = await serve(unattached_expiry=60)
    created = await service.send("POST", "/files", creation(20))
    path = f"/files/{key_of(created)}"
    answers = [await service.send("PATCH", path, at(0), bytes(20)), await service.send("HEAD", path, VERSION)]

    assert "Upload-Expires" in created.headers
    assert ["20", "20"] == [answer.headers["Upload-Offset"] for answer in answers]
    assert not any("Upload-Expires" in answer.headers for answer in answers)
