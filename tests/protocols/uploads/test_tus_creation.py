"""
tus 1.0.0, the extensions creation, creation-with-upload and creation-defer-length, and what OPTIONS says.
"""

from __future__ import annotations

import httpx
import pytest

from holdfast.service.protocols.uploads.tus import MAX_METADATA
from holdfast.storage.records import State
from tests.protocols.exchange import ABSENT, ANYTHING, IMF_FIXDATE, Exchange, Like, check
from tests.protocols.service import IMAGE, LENGTH, ORIGIN, Serve, Service, key_of
from tests.protocols.tus_requests import CONTENT_TYPE, VERSION, at, creation, metadata

LOCATION = Like(r"http://holdfast\.test/files/[0-9A-Za-z]{10}")
TiB = 1024**4

OPTIONS = {
    f"OPTIONS {path} {tells}": Exchange(
        method="OPTIONS",
        path=path,
        fields=fields,
        status=204,
        says={
            "Tus-Version": "1.0.0",
            "Tus-Extension": "creation,creation-with-upload,creation-defer-length,termination,expiration",
            "Tus-Max-Size": str(TiB),
        },
    )
    for path in ("/files", "/files/{key}")
    for tells, fields in {
        "needs no Tus-Resumable": {},
        "takes Tus-Resumable": VERSION,
        "ignores a Tus-Resumable of another version": {"Tus-Resumable": "0.0.1"},
        "may stand in X-HTTP-Method-Override": {"X-HTTP-Method-Override": "OPTIONS"},
    }.items()
}


def _post(fields: dict[str, str], status: int, content: bytes | tuple[bytes, ...] = b"", **says: str | None) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in says.items()}
    return Exchange(method="POST", path="/files", fields=fields, content=content, status=status, says=named)


LENGTHS = {
    "POST with Upload-Length is 201 with an absolute Location": _post(creation(20), 201, Location=LOCATION),
    "POST with Upload-Defer-Length: 1 is 201": _post(creation(Upload_Defer_Length="1"), 201, Location=LOCATION),
    "POST tells when the upload expires": _post(creation(20), 201, Upload_Expires=IMF_FIXDATE),
    "POST with Upload-Length: 0 is 201, and tells no Upload-Expires": _post(
        creation(0), 201, Location=LOCATION, Upload_Expires=ABSENT
    ),
    "POST with the Upload-Length that Tus-Max-Size allows is 201": _post(creation(TiB), 201),
    "POST with an Upload-Length over Tus-Max-Size is 413": _post(creation(TiB + 1), 413, Location=ABSENT),
    "POST with neither length is 400": _post(creation(), 400, Location=ABSENT),
    "POST with both lengths is 400": _post(creation(20, Upload_Defer_Length="1"), 400, Location=ABSENT),
    **{
        f"POST with Upload-Defer-Length: {wrong!r} is 400": _post(creation(Upload_Defer_Length=wrong), 400, Location=ABSENT)
        for wrong in ("0", "2", "", "true", "01", "1, 1")
    },
    **{
        f"POST with Upload-Length: {wrong!r} is 400": _post(creation(wrong), 400, Location=ABSENT)
        for wrong in ("-1", "abc", "1.5", "", "+5", "0x14", "20, 20", "1e3", "\u0662\u0660", " 2 0")
    },
}

CONTENTS = {
    "creation with upload is 201 with Upload-Offset": _post(
        creation(20) | CONTENT_TYPE, 201, IMAGE[:5], Location=LOCATION, Upload_Offset="5", Upload_Expires=IMF_FIXDATE
    ),
    "creation with upload of everything completes the upload": _post(
        creation(20) | CONTENT_TYPE, 201, IMAGE, Upload_Offset="20", Upload_Expires=ABSENT
    ),
    "creation with upload in the chunked transfer coding is 201 with Upload-Offset": _post(
        creation(20) | CONTENT_TYPE, 201, (IMAGE[:3], IMAGE[3:]), Upload_Offset="20"
    ),
    "creation with upload of a deferred length is 201 with Upload-Offset": _post(
        creation(Upload_Defer_Length="1") | CONTENT_TYPE, 201, IMAGE, Upload_Offset="20", Upload_Expires=IMF_FIXDATE
    ),
    **{
        f"content of the type {other!r} is not taken": _post(
            creation(20, Content_Type=other), 201, IMAGE, Location=LOCATION, Upload_Offset="0"
        )
        for other in ("text/plain", "application/octet-stream", "application/partial-upload", "nonsense")
    },
    "content without a type is not taken": _post(creation(20), 201, IMAGE, Location=LOCATION, Upload_Offset="0"),
    "content without a type in the chunked transfer coding is not taken": _post(creation(20), 201, (IMAGE,), Upload_Offset="0"),
    "content of another type is not too much for an empty upload": _post(
        creation(0, Content_Type="text/plain"), 201, IMAGE, Upload_Offset="0"
    ),
    "a type without content means nothing": _post(creation(20, Content_Type="text/plain"), 201, Upload_Offset="0"),
    "content longer than Upload-Length is 413, by Content-Length": _post(
        creation(19) | CONTENT_TYPE, 413, IMAGE, Location=ABSENT, Upload_Offset=ABSENT
    ),
}

METADATA = {
    "POST with a pair is 201": _post(creation(20, Upload_Metadata=metadata(filename="a.png")), 201),
    "POST with an empty Upload-Metadata is 201": _post(creation(20, Upload_Metadata=""), 201),
    "the value may be left out": _post(creation(20, Upload_Metadata="is_confidential"), 201),
    "the value may be empty": _post(creation(20, Upload_Metadata="a ,b YQ=="), 201),
    "spaces around a comma are tolerated": _post(creation(20, Upload_Metadata="a YQ==, b YQ=="), 201),
    **{
        f"Upload-Metadata {why} is 400": _post(creation(20, Upload_Metadata=wrong), 400, Location=ABSENT)
        for why, wrong in {
            "with an empty key": ",a YQ==",
            "with an empty pair": "a YQ==,,b YQ==",
            "with a comma at the end": "a YQ==,",
            "with a key twice": "a YQ==,a Yg==",
            "with a key twice, once without value": "a,a Yg==",
            "that is not base64": "a ???",
            "in the URL-safe alphabet": "a _-_-",
            "without padding": "a YQ",
            "with too much padding": "a YQ===",
            "with padding in the middle": "a YQ==YQ==",
            "with bits in the padding's place": "a YQ=",
            "with a second space": "a YQ== YQ==",
            "with a key that is not ASCII": "ä YQ==",
            "with a control character": "a\x01b YQ==",
        }.items()
    },
    "Upload-Metadata over its limit is refused": _post(creation(20, Upload_Metadata="a " + "YQYQ" * 2100), 431, Location=ABSENT),
}

TABLE = OPTIONS | LENGTHS | CONTENTS | METADATA


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_creation(service: Service, exchange: Exchange) -> None:
    """Every creation is answered as the specification says, with the version, refusals included."""
    response = await check(service, exchange)

    assert response.headers.get("Tus-Resumable") == "1.0.0"


async def test_empty_upload_is_complete(service: Service) -> None:
    """An upload of no bytes is complete at its creation, and can be downloaded."""
    created = await service.send("POST", "/files", creation(0))
    record = await service.record(key_of(created))
    response = await service.send("GET", f"/files/{key_of(created)}")

    assert record is not None
    assert record.state is State.COMPLETE
    assert (httpx.codes.OK, b"") == (response.status_code, response.content)


async def test_metadata_comes_back(service: Service) -> None:
    """HEAD gives Upload-Metadata back exactly as it came, whatever its order and spaces."""
    value = "z YQ==,valueless,empty ,filename d29ybGQ=, a YQ=="
    created = await service.send("POST", "/files", creation(20, Upload_Metadata=value))
    response = await service.send("HEAD", f"/files/{key_of(created)}", VERSION)

    assert value == response.headers["Upload-Metadata"]


@pytest.mark.parametrize(
    ("value", "disposition", "kind"),
    [
        (metadata(filename="a.png", filetype="image/png"), 'inline; filename="a.png"', "image/png"),
        (metadata(name="b.pdf", type="application/pdf"), 'attachment; filename="b.pdf"', "application/pdf"),
        (metadata(filename="../../etc/passwd"), 'attachment; filename="passwd"', "application/octet-stream"),
        (
            metadata(filename="ü.txt", filetype="no type"),
            "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt",
            "application/octet-stream",
        ),
        ("filename", "attachment", "application/octet-stream"),
        ("", "attachment", "application/octet-stream"),
    ],
    ids=["filename and filetype", "name and type", "a path", "not ASCII, and no media type", "no value", "nothing"],
)
async def test_metadata_names_the_download(service: Service, value: str, disposition: str, kind: str) -> None:
    """The file name and the media type in the metadata are those of the download."""
    created = await service.send("POST", "/files", creation(20, Upload_Metadata=value) | CONTENT_TYPE, IMAGE)
    response = await service.send("GET", f"/files/{key_of(created)}")

    assert (disposition, kind) == (response.headers["Content-Disposition"], response.headers["Content-Type"])


async def test_deferred_length_is_told_later(service: Service) -> None:
    """A length that is told with a PATCH is the length from then on."""
    created = await service.send("POST", "/files", creation(Upload_Defer_Length="1"))
    path = f"/files/{key_of(created)}"
    await service.send("PATCH", path, at(0), IMAGE[:5])
    before = await service.send("HEAD", path, VERSION)
    await service.send("PATCH", path, at(5, Upload_Length="20"), IMAGE[5:9])
    after = await service.send("HEAD", path, VERSION)

    assert ("1", None) == (before.headers.get("Upload-Defer-Length"), before.headers.get("Upload-Length"))
    assert (None, "20") == (after.headers.get("Upload-Defer-Length"), after.headers.get("Upload-Length"))


async def test_deferred_length_has_a_bound(serve: Serve) -> None:
    """Content over Tus-Max-Size is 413 where no length was told, and the upload stays as it was."""
    service = await serve(max_size=LENGTH - 1)
    key = await service.keep({"length": None, "offset": 3})
    announced = await service.send("PATCH", f"/files/{key}", at(3), IMAGE[3:])
    chunked = await service.send("PATCH", f"/files/{key}", at(3), (IMAGE[3:10], IMAGE[10:]))
    record = await service.record(key)

    assert record is not None
    assert (413, 413, 3) == (announced.status_code, chunked.status_code, record.offset)


async def test_overrun_of_a_creation(service: Service) -> None:
    """Chunked content that goes on after Upload-Length is 413, and tells no Location."""
    response = await service.send("POST", "/files", creation(10) | CONTENT_TYPE, (IMAGE[:6], IMAGE[6:]))

    assert (413, None) == (response.status_code, response.headers.get("Location"))


@pytest.mark.parametrize(
    ("client", "fields", "location"),
    [
        ("127.0.0.1", {}, ORIGIN),
        ("127.0.0.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}, "https://up.example"),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, "https://holdfast.test"),
        ("127.0.0.1", {"X-Forwarded-Host": "up.example:8443"}, "http://up.example:8443"),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.1;proto=https;host=up.example"}, "https://up.example"),
        ("127.0.0.1", {"Forwarded": 'host="up.example:8443"; proto=HTTPS, for=10.0.0.1'}, "https://up.example:8443"),
        ("192.0.2.1", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}, ORIGIN),
        ("192.0.2.1", {"Forwarded": "proto=https;host=up.example"}, ORIGIN),
    ],
    ids=[
        "without a proxy",
        "X-Forwarded-Proto and -Host of a trusted proxy",
        "X-Forwarded-Proto alone",
        "X-Forwarded-Host with a port",
        "Forwarded of a trusted proxy",
        "Forwarded of several proxies",
        "X-Forwarded-* of somebody else",
        "Forwarded of somebody else",
    ],
)
async def test_location(serve: Serve, client: str, fields: dict[str, str], location: str) -> None:
    """Location is absolute, with the origin that the client sees if a trusted proxy tells it."""
    service = await serve(client=client, open_behind_proxy=True)
    response = await service.send("POST", "/files", creation(20) | fields)

    assert location == response.headers["Location"].rpartition("/files/")[0]


async def test_keys_differ(service: Service) -> None:
    """The same creation twice makes two uploads."""
    first, second = [await service.send("POST", "/files", creation(20)) for _ in range(2)]

    assert key_of(first) != key_of(second)
    assert ANYTHING == first.headers["Location"]


async def test_metadata_has_a_bound(service: Service) -> None:
    """As much metadata as may be is taken and comes back; one byte more is 431."""
    most = "key " + "YWFh" * ((MAX_METADATA - len("key ")) // len("YWFh"))
    taken = await service.send("POST", "/files", creation(20, Upload_Metadata=most))
    refused = await service.send("POST", "/files", creation(20, Upload_Metadata="k" + most))

    assert MAX_METADATA == len(most)
    assert (201, 431) == (taken.status_code, refused.status_code)
