"""
The native JSON API: objects, and what is in their slots.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import ObjectRef, Subject
from tests.protocols.access.accounts import ACCOUNTS, KELP, bearing
from tests.protocols.attachments_requests import COMMUNITY_URL, JSON
from tests.protocols.service import COMMUNITY, Serve, Service

USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
URL = f"/api/v1/objects/user/{USER}"


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service."""
    return await serve()


async def test_register(service: Service) -> None:
    """An object is registered, found, changed, and keeps its etag while nothing changes."""
    unknown = await service.send("GET", URL)
    created = await service.send("PUT", URL, JSON, b'{"name": "Kelp", "age": 4}')
    found = await service.send("GET", URL)
    again = await service.send("PUT", URL, JSON, b'{"age":4,"name":"Kelp"}')
    changed = await service.send("PUT", URL, JSON, b"{}")

    assert [404, 200, 200, 200, 200] == [answer.status_code for answer in (unknown, created, found, again, changed)]
    assert "application/problem+json" == unknown.headers["Content-Type"]
    assert {"name": "Kelp", "age": 4} == found.json()["attributes"]
    assert {"ProfilePhoto": {"etag": "", "attachments": []}} == found.json()["slots"]
    assert created.headers["ETag"] == found.headers["ETag"] == again.headers["ETag"] != changed.headers["ETag"]


async def test_a_guid_is_the_same_however_it_is_written(service: Service) -> None:
    """GUIDs are compared in lower case."""
    await service.send("PUT", URL.replace(USER, USER.upper()), JSON, b"{}")

    assert (200, USER) == ((await service.send("GET", URL)).status_code, (await service.send("GET", URL)).json()["id"])


async def test_slots(service: Service) -> None:
    """An object tells what is in its slots."""
    key = await service.photo()
    await service.send("PUT", URL, JSON, b"{}")
    attached = await service.send("POST", f"{COMMUNITY_URL}/{key}/association/{USER}?type=ProfilePhoto")
    slot = (await service.send("GET", URL)).json()["slots"]["ProfilePhoto"]

    assert (attached.headers["ETag"], [key]) == (f'"{slot["etag"]}"', [active["key"] for active in slot["attachments"]])


def nested(depth: int) -> bytes:
    """Return a JSON object that is nested so deep, itself included."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("path", "fields", "content", "status", "code"),
    [
        (URL, {}, b"{}", 415, "unsupported_media_type"),
        (URL, {"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        (URL, JSON, b"", 400, "invalid_document"),
        (URL, JSON, b"[]", 400, "invalid_document"),
        (URL, JSON, b"null", 400, "invalid_document"),
        (URL, JSON, b'{"a": NaN}', 400, "invalid_document"),
        (URL, JSON, b"\xff", 400, "invalid_document"),
        (URL, JSON, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "invalid_document"),
        (URL, JSON, b'{"a": 1e999}', 400, "invalid_document"),
        (URL, JSON, b'{"a": [-1e999]}', 400, "invalid_document"),
        (URL, JSON, nested(33), 400, "invalid_document"),
        (URL, JSON, nested(960), 400, "invalid_document"),
        (URL, JSON, json.dumps({"a": "x" * 70_000}).encode(), 413, "document_too_large"),
        ("/api/v1/objects/User/1", JSON, b"{}", 400, "kind_invalid"),
        (URL, JSON, b'{"a": 1, "a": 2}', 400, "invalid_document"),
        (URL, JSON, b'{"a": "\\ud800"}', 400, "invalid_document"),
        ("/api/v1/objects/user/a%20b", JSON, b"{}", 400, "id_invalid"),
        ("/api/v1/objects/user/%00", JSON, b"{}", 400, "id_invalid"),
        ("/api/v1/objects/user/" + "a" * 256, JSON, b"{}", 400, "id_invalid"),
    ],
)
async def test_refused(service: Service, path: str, fields: dict[str, str], content: bytes, status: int, code: str) -> None:
    """Bad input is refused as problem details, and registers nothing."""
    response = await service.send("PUT", path, fields, content)

    assert (status, code) == (response.status_code, response.json()["title"])
    assert "application/problem+json" == response.headers["Content-Type"]
    assert 404 == (await service.send("GET", URL)).status_code


async def test_the_deepest_that_is_taken(service: Service) -> None:
    """It is told again, alone and in a list."""
    registered = await service.send("PUT", URL, JSON, nested(32))
    answers = [await service.send("GET", URL), (await service.send("GET", "/api/v1/objects/user"))]

    assert [200, 200, 200] == [answer.status_code for answer in (registered, *answers)]
    assert json.loads(nested(32)) == answers[0].json()["attributes"] == answers[1].json()["items"][0]["attributes"]


async def test_pages_are_not_too_large(service: Service) -> None:
    """However many objects are asked for, an answer stays small, and the cursor goes through all of them."""
    names = [f"{at:02}" for at in range(30)]
    for name in names:
        content = json.dumps({"a": "x" * 60_000}).encode()
        assert 200 == (await service.send("PUT", f"/api/v1/objects/user/{name}", JSON, content)).status_code
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await service.send("GET", f"/api/v1/objects/user?limit=1000&after={after}")
        assert len(page.content) < 600_000
        found += [item["id"] for item in page.json()["items"]]
        after = page.json()["next"]

    assert names == found


async def test_methods(service: Service) -> None:
    """What means nothing is 405 with Allow."""
    refused, options = await service.send("PATCH", URL), await service.send("OPTIONS", URL)

    assert (405, "GET, PUT, DELETE, HEAD, OPTIONS") == (refused.status_code, refused.headers["Allow"])
    assert (204, "GET, PUT, DELETE, HEAD, OPTIONS") == (options.status_code, options.headers["Allow"])


async def test_who_changed_it(serve: Serve) -> None:
    """An object tells who changed it last."""
    service = await serve(**ACCOUNTS)
    created = await service.send("PUT", URL, JSON | bearing("admin"), b"{}")
    key = await service.photo(creator=Subject(KELP))
    await service.send("PUT", f"{URL}/slots/ProfilePhoto/attachments/{key}", bearing("owner"))
    changed = await service.send("GET", URL, bearing("admin"))

    assert ["root", KELP] == [answer.json()["updatedBy"] for answer in (created, changed)]


async def test_when_it_was_created_and_changed(service: Service) -> None:
    """An object tells both moments, each by its own name."""
    await service.send("PUT", URL, JSON, b"{}")
    ref = ObjectRef(tenant=COMMUNITY, kind="user", id=USER)
    record = await service.stores.metadata.get_object(ref)
    aged = dataclasses.replace(record, created_at=0.0, updated_at=86_400.0, revision=record.revision + 1)
    await service.stores.metadata.commit([Change(old=record, new=aged)])
    found = (await service.send("GET", URL)).json()

    assert ("1970-01-01", "1970-01-02") == (found["createdAt"][:10], found["updatedAt"][:10])
