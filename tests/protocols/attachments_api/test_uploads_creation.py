"""
The attachments API, creating entries: every rule of the creation, and the documented and the known client's own requests.
"""

from __future__ import annotations

import json

import httpx
import pytest

from tests.protocols.access.accounts import bearing, serve_accounts
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, FORM, JSON, entry, form, part, span
from tests.protocols.exchange import ABSENT, IMF_FIXDATE, Exchange, Like, check
from tests.protocols.service import IMAGE, LENGTH, ORIGIN, Serve, Service, key_of

LOCATION = Like(r"/\.api2/api/v1/communities/1/attachments/uploads/[0-9A-Za-z]{10}")
CREATED = {"Location": LOCATION, "Cache-Control": "no-store", "Content-Type": "application/json"}
REFUSED = {"Location": ABSENT, "Cache-Control": "no-store", "Content-Type": "application/json"}
TiB = 1024**4


def _post(content: bytes, status: int, fields: dict[str, str] = JSON, path: str = COMMUNITY_URL, **tells: object) -> Exchange:
    says = CREATED if status == httpx.codes.CREATED else REFUSED
    return Exchange(method="POST", path=path, fields=fields, content=content, status=status, says=says, tells=tells)


ENCODINGS = {
    "a JSON document is 201 with Location and the entry": _post(
        entry(),
        201,
        key=Like("[0-9A-Za-z]{10}"),
        name="photo.png",
        contentType="image/png",
        contentLength=LENGTH,
        offset=0,
        expiresAt=IMF_FIXDATE,
        isProfilePhoto=False,
    ),
    "a form with lower-camel keys is 201": _post(form(), 201, FORM, name="photo.png", contentLength=LENGTH, offset=0),
    "a JSON document of a type with parameters is 201": _post(entry(), 201, {"Content-Type": "application/json; charset=utf-8"}),
    "keys are case-insensitive in JSON": _post(
        b'{"CONTENTLENGTH": 20, "contenttype": "image/png", "nAmE": "a.png"}', 201, name="a.png", contentLength=20
    ),
    "keys are case-insensitive in a form": _post(b"CONTENTLENGTH=20&contenttype=image/png&nAmE=a.png", 201, FORM, name="a.png"),
    "values that nobody asked for are ignored": _post(entry(Other={"deep": [1, {}]}), 201),
    "a number as a string is a number": _post(entry(ContentLength="20"), 201, contentLength=20),
    "JSON under another type is 415": _post(entry(), 415, {"Content-Type": "text/plain"}, code="unsupported_media_type"),
    "a document without a type is 415": _post(entry(), 415, {}, code="unsupported_media_type"),
    "a form under JSON's type is 400": _post(form(), 400, code="invalid_document"),
    "JSON under a form's type is 400": _post(entry(), 400, FORM, code="invalid_document"),
    "a key twice is 400": _post(b'{"Name": "a.png", "name": "b.png"}', 400, code="repeated_value"),
    "a key twice in a form is 400": _post(b"name=a&name=b", 400, FORM, code="repeated_value"),
    "a document over its limit is 413": _post(entry(Name="a" * 20_000), 413, code="document_too_large"),
}

NO_LENGTHS: tuple[object, ...] = (0, -1, 1.5, 20.0, True, "abc", "", "-1", "0", "1e3", "\u0662\u0660", [], {}, [20])

LENGTHS = {
    "no ContentLength is 400": _post(entry(ContentLength=...), 400, code="contentlength_required"),
    "a ContentLength of null is 400": _post(entry(ContentLength=None), 400, code="contentlength_required"),
    **{
        f"the ContentLength {wrong!r} is 400": _post(entry(ContentLength=wrong), 400, code="contentlength_invalid")
        for wrong in NO_LENGTHS
    },
    **{
        f"the ContentLength {wrong!r} of a form is 400": _post(form(contentLength=wrong), 400, FORM, code="contentlength_invalid")
        for wrong in ("", "0", "-1", "1.5", "abc", "+5", "0x14")
    },
    "the largest ContentLength is 201": _post(entry(ContentLength=TiB), 201, contentLength=TiB),
    "a ContentLength over the largest is 413": _post(entry(ContentLength=TiB + 1), 413, code="too_large"),
    "a ContentLength over all bounds is 413": _post(entry(ContentLength=10**30), 413, code="too_large"),
}

TYPES = {
    "no ContentType is 400": _post(entry(ContentType=...), 400, code="contenttype_required"),
    **{
        f"the ContentType {kind!r} is undeclared": _post(entry(ContentType=kind), 201)
        for kind in ("", "application/octet-stream", "image/*", "*/*", "binary/octet-stream")
    },
    **{
        f"the ContentType {wrong!r} is 400": _post(entry(ContentType=wrong), 400, code="contenttype_invalid")
        for wrong in ("png", "image/", "/png", "image/png\x00", "image png", 7, ["image/png"], "image/" + "p" * 300)
    },
    **{
        f"the ContentType {kind!r} is accepted, and told as declared": _post(entry(ContentType=kind), 201, contentType=kind)
        for kind in ("image/jpg", "image/jpeg", "image/pjpeg", "image/png", "image/gif", "IMAGE/PNG")
    },
    **{
        f"the ContentType {kind!r} is 415": _post(entry(ContentType=kind), 415, code="content_type_not_accepted")
        for kind in ("text/html", "image/svg+xml", "image/webp", "application/pdf")
    },
}

NAMES = {
    "no Name is 400": _post(entry(Name=...), 400, code="name_required"),
    **{
        f"the Name {wrong!r} is 400": _post(entry(Name=wrong), 400, code="name_invalid")
        for wrong in ("", " ", "/", "a/", "..", ".", "a\x00.png", "a\n.png", "a\x7f.png", "\u202egnp.exe", "\ud800", 7, ["a"])
    },
    **{
        f"of the Name {name!r} its last segment is kept": _post(entry(Name=name), 201, name=kept)
        for name, kept in {
            "a.png": "a.png",
            "../../etc/passwd": "passwd",
            "C:\\Users\\me\\a.png": "a.png",
            "/a/b.png": "b.png",
            "ü b.png": "ü b.png",
        }.items()
    },
    "a Name of 255 characters is 201": _post(entry(Name="ü" * 255), 201, name="ü" * 255),
    "a Name of 255 characters and their accents is 201": _post(entry(Name="u\u0308" * 255), 201, name="u\u0308" * 255),
    "a Name of more than 255 characters is 400": _post(entry(Name="ü" * 256), 400, code="name_too_long"),
    "a Name of 10,000 characters is 400": _post(entry(Name="a" * 10_000), 400, code="name_too_long"),
}

COMMUNITIES = {
    f"the communityKey {wrong!r} is 400": _post(
        entry(), 400, path=f"/.api2/api/v1/communities/{wrong}/attachments", code="community_key_invalid"
    )
    for wrong in ("abc", "1.5", "-1", "+1", "01", "1%20", "%D9%A1", "1" * 40, "0x1")
} | {
    "a slash at the end makes no difference": _post(entry(), 201, path=COMMUNITY_URL + "/"),
}

TABLE = ENCODINGS | LENGTHS | TYPES | NAMES | COMMUNITIES


@pytest.mark.parametrize("exchange", TABLE.values(), ids=TABLE.keys())
async def test_creation(service: Service, exchange: Exchange) -> None:
    """Every creation of an entry is answered as its documentation, and the known client, have it."""
    await check(service, exchange)


async def test_documented_requests(service: Service) -> None:
    """The requests of the documentation, in its own words, upload a file."""
    created = await service.send(
        "POST",
        "/.api2/api/v1/communities/1/attachments",
        {"Content-Type": "application/json"},
        b'{"ContentLength": 20, "ContentType": "image/png", "Name": "photo.png"}',
    )
    key = created.headers["Location"].split("/")[-1]
    uploaded = await service.send(
        "PATCH",
        f"/.api2/api/v1/communities/1/attachments/uploads/{key}",
        {"Content-Range": "bytes 0-19/20", "Content-Length": "20", "Content-Type": "image/png"},
        IMAGE,
    )

    assert (201, 10, 200) == (created.status_code, len(key), uploaded.status_code)
    assert await service.content(key) == IMAGE


async def test_documented_resumption(service: Service) -> None:
    """If there are already nine bytes, the content range starts at byte nine, "since bytes are 0-indexed"."""
    created = await service.send("POST", COMMUNITY_URL, JSON, entry())
    path = created.headers["Location"]
    await service.send("PATCH", path, span(0, 8), part(0, 8))
    status = await service.send("PATCH", path, {"Content-Range": "bytes */20"})
    finished = await service.send("PATCH", path, span(9, 19), part(9, 19))

    assert (202, ["9-"], 200) == (status.status_code, status.json()["nextExpectedRanges"], finished.status_code)
    assert await service.content(key_of(created)) == IMAGE


@pytest.mark.parametrize("kind", ["image/jpg", "image/png"])
async def test_known_client(service: Service, kind: str) -> None:
    """What pyigloo does works: a form, Location behind an endpoint with a slash, the key its last segment."""
    endpoint = ORIGIN + "/"
    content = {"image/png": IMAGE, "image/jpg": b"\xff\xd8\xff and so on, a jpeg"}[kind]
    cookie = {"Cookie": "iglooauth=0123"}
    created = await service.send(
        "POST",
        endpoint + ".api2/api/v1/communities/1/attachments",
        cookie | FORM,
        f"name=photo&contentType={kind.replace('/', '%2F')}&contentLength={len(content)}".encode(),
    )
    location = created.headers["Location"]
    key = location.split("/")[-1]
    length = len(content)
    uploaded = await service.send(
        "PATCH",
        endpoint + location[1:],
        cookie | {"Content-Range": f"bytes 0-{length - 1}/{length}", "Content-Length": str(length), "Content-Type": kind},
        content,
    )

    assert (201, 200, kind) == (created.status_code, uploaded.status_code, uploaded.json()["contentType"])
    assert await service.content(key) == content


async def test_location_does_not_depend_on_proxies(serve: Serve) -> None:
    """Location is path-absolute, whatever a proxy says of the origin."""
    service = await serve(open_behind_proxy=True)
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}
    response = await service.send("POST", COMMUNITY_URL, JSON | proxied, entry())

    assert response.headers["Location"] == LOCATION


async def test_keys_are_unguessable(service: Service) -> None:
    """Keys are ten characters of [0-9A-Za-z], and no two are the same."""
    keys = {key_of(await service.send("POST", COMMUNITY_URL, JSON, entry())) for _ in range(50)}

    assert len(keys) == 50


async def test_idempotency_key(service: Service) -> None:
    """An Idempotency-Key names one request of a community: repeated it is the same entry, with another request it is 422."""
    fields = JSON | {"Idempotency-Key": "7b3c"}
    first = await service.send("POST", COMMUNITY_URL, fields, entry())
    again = await service.send("POST", COMMUNITY_URL, fields, entry())
    other = await service.send("POST", COMMUNITY_URL, fields, entry(ContentLength=21))
    elsewhere = await service.send("POST", COMMUNITY_URL.replace("/1/", "/2/"), fields, entry())

    assert first.headers["Location"] == again.headers["Location"]
    assert (201, 201, 422) == (first.status_code, again.status_code, other.status_code)
    assert other.json()["code"] == "idempotency_conflict"
    assert (201, True) == (elsewhere.status_code, key_of(first) != key_of(elsewhere))


async def test_an_idempotency_key_belongs_to_its_account(serve: Serve) -> None:
    """Two people may call different requests alike, and each finds his own again."""
    service = await serve_accounts(serve)
    fields = JSON | {"Idempotency-Key": "7b3c"}
    mine, yours = [await service.send("POST", COMMUNITY_URL, fields | bearing(who), entry()) for who in ("owner", "member")]
    again = await service.send("POST", COMMUNITY_URL, fields | bearing("owner"), entry())
    other = await service.send("POST", COMMUNITY_URL, fields | bearing("member"), entry(ContentLength=21))

    assert [201, 201, 201, 422] == [answer.status_code for answer in (mine, yours, again, other)]
    assert key_of(mine) == key_of(again) != key_of(yours)


async def test_idempotency_key_after_progress(service: Service) -> None:
    """A creation that is repeated after content came tells how far the entry is."""
    fields = JSON | {"Idempotency-Key": "7b3c"}
    first = await service.send("POST", COMMUNITY_URL, fields, entry())
    await service.send("PATCH", first.headers["Location"], span(0, 8), part(0, 8))
    again = await service.send("POST", COMMUNITY_URL, fields, entry())

    assert (201, 9) == (again.status_code, again.json()["offset"])


async def test_long_idempotency_key(service: Service) -> None:
    """An Idempotency-Key has a bound, and may be as long as that."""
    longest = await service.send("POST", COMMUNITY_URL, JSON | {"Idempotency-Key": "k" * 255}, entry())
    response = await service.send("POST", COMMUNITY_URL, JSON | {"Idempotency-Key": "k" * 256}, entry())

    assert 201 == longest.status_code
    assert (400, "idempotency_key_too_long") == (response.status_code, response.json()["code"])


async def test_communities_are_apart(service: Service) -> None:
    """An entry is there in its own community only, and community 1 is the one that /files belongs to."""
    created = await service.send("POST", COMMUNITY_URL.replace("/1/", "/2/"), JSON, entry())
    key = key_of(created)
    statuses = [
        (await service.send("HEAD", path)).status_code
        for path in (created.headers["Location"], ENTRY_URL.replace("{key}", key), f"/files/{key}")
    ]

    assert [202, 404, 404] == statuses


async def test_binary_of_another_community(service: Service) -> None:
    """The binaryLocation of a complete upload serves it, whatever its community."""
    created = await service.send("POST", COMMUNITY_URL.replace("/1/", "/2/"), JSON, entry())
    uploaded = await service.send("PATCH", created.headers["Location"], span(0, 19), IMAGE)
    download = await service.send("GET", uploaded.json()["binaryLocation"])

    assert (200, IMAGE) == (download.status_code, download.content)


async def test_entries_have_a_size(serve: Serve) -> None:
    """The largest size that the settings allow is the largest ContentLength."""
    service = await serve(max_size=LENGTH - 1)
    response = await service.send("POST", COMMUNITY_URL, JSON, entry())

    assert (413, "too_large") == (response.status_code, response.json()["code"])


@pytest.mark.parametrize(
    ("member", "spelled"), [("Name", "name"), ("ContentType", "contentType"), ("ContentLength", "contentLength")]
)
async def test_what_is_missing_is_named_as_clients_write_it(service: Service, member: str, spelled: str) -> None:
    """The message is for whoever writes the client, in whichever case they write."""
    members = {"Name": "a.png", "ContentType": "image/png", "ContentLength": 20}
    del members[member]
    response = await service.send("POST", COMMUNITY_URL, JSON, json.dumps(members).encode())

    assert (400, f"{spelled} is missing") == (response.status_code, response.json()["message"])
