"""
The native JSON API: slots, attachments, events and links.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from holdfast.service.core.policies import Policy
from tests.pictures import PNG
from tests.protocols.access.accounts import KELP
from tests.protocols.service import CANCELLED, HALF_SENT, Serve, Service

JSON = {"Content-Type": "application/json"}
USER = f"/api/v1/objects/user/{KELP}"
PHOTO = f"{USER}/slots/ProfilePhoto"
TICKET = "/api/v1/objects/ticket/17"
FILES = f"{TICKET}/slots/Files"


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service that knows a user, and a ticket with three places for files."""
    service = await serve(slots=(Policy(kind="ticket", slot="Files", most=3),))
    for path in (USER, TICKET):
        await service.send("PUT", path, JSON, b"{}")
    return service


def keys(answer: httpx.Response) -> list[str]:
    """Return what is in the slot that an answer tells of."""
    return [active["key"] for active in answer.json()["attachments"]]


async def attach(service: Service, slot: str, key: str, **document: Any) -> httpx.Response:  # noqa: ANN401 - a JSON value
    """Attach, at a place if one is given."""
    content = json.dumps(document).encode() if document else b""
    return await service.send("PUT", f"{slot}/attachments/{key}", JSON if document else {}, content)


async def test_one(service: Service) -> None:
    """Attach, replace, undo, detach: each answer is the slot, its history newest first."""
    first, second = await service.photo(), await service.photo()
    empty = await service.send("GET", PHOTO)
    attached = await attach(service, PHOTO, first)
    replaced = await attach(service, PHOTO, second)
    undone = await service.send("POST", f"{PHOTO}/undo")
    detached = await service.send("DELETE", f"{PHOTO}/attachments/{first}")
    found = await service.send("GET", PHOTO)

    assert [[], [first], [second], [first], []] == [keys(answer) for answer in (empty, attached, replaced, undone, detached)]
    assert {200} == {answer.status_code for answer in (empty, attached, replaced, undone, detached, found)}
    assert detached.json() == found.json()
    assert [(first, "detached"), (second, "undone")] == [(past["key"], past["ending"]) for past in found.json()["history"]]
    etags = [answer.headers["ETag"] for answer in (attached, replaced, undone, detached)]
    assert 4 == len(set(etags))
    assert "ETag" not in empty.headers


async def test_many(service: Service) -> None:
    """A slot of many keeps its order, takes a place, is ordered anew, and refuses what is too much."""
    first, second, third, fourth = [await service.photo() for _ in range(4)]
    await attach(service, FILES, first)
    await attach(service, FILES, second)
    placed = await attach(service, FILES, third, place=0)
    full = await attach(service, FILES, fourth)
    ordered = await service.send("PUT", FILES, JSON, json.dumps({"order": [first, second, third]}).encode())
    wrong = await service.send("PUT", FILES, JSON, json.dumps({"order": [first, second]}).encode())
    emptied = await service.send("DELETE", FILES)

    assert [[third, first, second], [first, second, third], []] == [keys(answer) for answer in (placed, ordered, emptied)]
    assert [(409, "slot_full"), (412, "changed")] == [(one.status_code, one.json()["title"]) for one in (full, wrong)]


async def test_what_is_in_a_slot_is_described(service: Service) -> None:
    """Name, type and length of each attachment, to those who may see them: a link that attaches one tells nothing of others."""
    first, second = await service.photo(name="a.png", content_type="image/png"), await service.photo(b"text")
    await attach(service, FILES, first)
    changed = await attach(service, FILES, second)
    found = (await service.send("GET", FILES)).json()["attachments"]

    assert [("a.png", "image/png", len(PNG)), (None, None, 4)] == [
        (one["name"], one["contentType"], one["length"]) for one in found
    ]
    assert "name" not in changed.json()["attachments"][0]


async def test_attach_what_is_there(service: Service) -> None:
    """It stays where it is, whatever place is told; an order moves it."""
    first, second = await service.photo(), await service.photo()
    await attach(service, FILES, first)
    await attach(service, FILES, second)

    assert [first, second] == keys(await attach(service, FILES, second, place=0))


async def test_compare_and_set(service: Service) -> None:
    """If-Match and If-None-Match make a change conditional."""
    first, second = await service.photo(), await service.photo()
    path = f"{PHOTO}/attachments/{first}"
    began = await service.send("PUT", path, {"If-None-Match": "*"})
    late = await service.send("PUT", f"{PHOTO}/attachments/{second}", {"If-None-Match": "*"})
    good = await service.send("PUT", f"{PHOTO}/attachments/{second}", {"If-Match": began.headers["ETag"]})

    assert [200, 412, 200] == [answer.status_code for answer in (began, late, good)]


async def test_what_is_not_there_matches_nothing(service: Service) -> None:
    """If-Match: * asks for something that is there: a new object, a slot in which nothing ever was, are not."""
    photo = await service.photo()
    answers = [
        await service.send("PUT", "/api/v1/objects/user/new", {**JSON, "If-Match": "*"}, b"{}"),
        await service.send("GET", "/api/v1/objects/user/new"),
        await service.send("PUT", f"{PHOTO}/attachments/{photo}", {"If-Match": "*"}),
        await service.send("PUT", "/api/v1/objects/user/new", {**JSON, "If-None-Match": "*"}, b"{}"),
        await service.send("PUT", "/api/v1/objects/user/new", {**JSON, "If-Match": "*"}, b'{"a": 1}'),
    ]

    assert [412, 404, 412, 200, 200] == [answer.status_code for answer in answers]


async def test_attachment(service: Service) -> None:
    """What is known of an attachment; it is deleted when it is in no slot, and is 410 then."""
    key = await service.photo(name="a.png")
    await attach(service, PHOTO, key)
    path = f"/api/v1/attachments/{key}"
    found = (await service.send("GET", path)).json()
    refused = await service.send("DELETE", path)
    await service.send("DELETE", PHOTO)
    deleted, again = [await service.send("DELETE", path) for _ in range(2)]

    assert ("complete", "a.png", [{"kind": "user", "id": KELP, "slot": "ProfilePhoto"}]) == (
        found["state"],
        found["name"],
        found["attached"],
    )
    assert [(409, "attached"), (410, "attachment_gone")] == [(one.status_code, one.json()["title"]) for one in (refused, again)]
    assert 204 == deleted.status_code
    assert 410 == (await service.send("GET", path)).status_code


async def test_what_is_in_a_slot_again_does_not_expire(service: Service) -> None:
    """What left a slot tells until when it is kept; in a slot it tells nothing of the kind."""
    key = await service.photo()
    url = f"/api/v1/attachments/{key}"
    await attach(service, PHOTO, key)
    await service.send("DELETE", PHOTO)
    outside = (await service.send("GET", url)).json()["expiresAt"]
    await attach(service, PHOTO, key)
    inside = (await service.send("GET", url)).json()["expiresAt"]

    assert outside is not None
    assert inside is None


async def test_timeline(service: Service) -> None:
    """What happened to an attachment, in pages behind a cursor, also when it is gone."""
    created = await service.send("POST", "/files", {"Tus-Resumable": "1.0.0", "Upload-Length": "5"})
    key = created.headers["Location"].rpartition("/")[2]
    content = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    await service.send("PATCH", f"/files/{key}", content, b"kelps")
    await attach(service, FILES, key)
    await service.send("DELETE", FILES)
    await service.send("DELETE", f"/api/v1/attachments/{key}")
    path = f"/api/v1/attachments/{key}/events"
    kinds = [
        "upload.created",
        "upload.received",
        "upload.completed",
        "attachment.attached",
        "attachment.detached",
        "upload.cancelled",
    ]
    whole = (await service.send("GET", path)).json()
    pages, after, more = [], "", []
    for _ in kinds:
        page = (await service.send("GET", f"{path}?limit=1&after={after}")).json()
        pages += page["items"]
        after = page["next"]
        more.append(page["more"])

    assert kinds == [event["type"] for event in whole["items"]]
    assert whole["items"] == pages
    assert [*[True] * (len(kinds) - 1), False] == more
    everything = (await service.send("GET", "/api/v1/events")).json()["items"]
    assert whole["items"] == [event for event in everything if event["attachment"] == key]


async def test_list_objects(service: Service) -> None:
    """Objects of one kind, in pages; one that was deleted is not among them, and what was in its slots is free."""
    for name in range(5):
        await service.send("PUT", f"/api/v1/objects/ticket/t{name}", JSON, b"{}")
    key = await service.photo()
    await attach(service, "/api/v1/objects/ticket/t3/slots/Files", key)
    deleted = await service.send("DELETE", "/api/v1/objects/ticket/t3")
    first = (await service.send("GET", "/api/v1/objects/ticket?limit=3")).json()
    rest = (await service.send("GET", f"/api/v1/objects/ticket?limit=3&after={first['next']}")).json()
    record = await service.record(key)

    assert 204 == deleted.status_code
    assert ["17", "t0", "t1", "t2", "t4"] == [item["id"] for item in first["items"] + rest["items"]]
    assert (3, None) == (len(first["items"]), rest["next"])
    assert record is not None
    assert () == record.attached
    assert record.expires_at is not None


async def test_object_conditions(service: Service) -> None:
    """An object is registered and deleted under conditions, too."""
    etag = (await service.send("GET", USER)).headers["ETag"]
    answers = [
        await service.send("PUT", USER, {**JSON, "If-None-Match": "*"}, b'{"a": 1}'),
        await service.send("PUT", USER, {**JSON, "If-Match": '"other"'}, b'{"a": 1}'),
        await service.send("PUT", USER, {**JSON, "If-Match": etag}, b'{"a": 1}'),
        await service.send("DELETE", USER, {"If-Match": etag}),
        await service.send("DELETE", USER),
        await service.send("DELETE", USER),
        await service.send("PUT", USER, {**JSON, "If-None-Match": "*"}, b"{}"),
    ]

    assert [412, 412, 200, 412, 204, 404, 200] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", f"{USER}/slots/Banner", b"", 404, "slot_unknown"),
        ("GET", f"{USER}/slots/no%20slot", b"", 400, "slot_invalid"),
        ("GET", "/api/v1/objects/user/unknown/slots/ProfilePhoto", b"", 404, "object_not_found"),
        ("PUT", FILES, b"{}", 400, "order_invalid"),
        ("PUT", FILES, b'{"order": "a"}', 400, "order_invalid"),
        ("PUT", FILES, b'{"order": [1]}', 400, "order_invalid"),
        ("PUT", FILES, b'{"order": ["nobodysKey"]}', 412, "changed"),
        ("PUT", f"{FILES}/attachments/nobodysKey", b"", 404, "attachment_not_found"),
        ("PUT", f"{FILES}/attachments/short", b"", 404, "attachment_not_found"),
        ("PUT", f"{FILES}/attachments/{{half}}", b"", 409, "upload_incomplete"),
        ("PUT", f"{FILES}/attachments/{{gone}}", b"", 410, "attachment_gone"),
        ("PUT", f"{FILES}/attachments/{{text}}", b'{"place": -1}', 400, "place_invalid"),
        ("PUT", f"{FILES}/attachments/{{text}}", b'{"place": true}', 400, "place_invalid"),
        ("PUT", f"{FILES}/attachments/{{text}}", b"[1]", 400, "invalid_document"),
        ("PUT", f"{FILES}/attachments/{{text}}", b'{"palce": 0}', 400, "member_unknown"),
        ("PUT", FILES, b'{"order": [], "sort": true}', 400, "member_unknown"),
        ("POST", "/api/v1/attachments/{text}/links", b'{"purpose": "view", "second": 1}', 400, "member_unknown"),
        ("PUT", f"{PHOTO}/attachments/{{text}}", b"", 415, "content_type_not_accepted"),
        ("DELETE", f"{FILES}/attachments/{{text}}", b"", 404, "not_attached"),
        ("POST", f"{FILES}/undo", b"", 409, "nothing_to_undo"),
        ("GET", "/api/v1/attachments/nobodysKey", b"", 404, "attachment_not_found"),
        ("GET", "/api/v1/attachments/nobodysKey/events", b"", 404, "attachment_not_found"),
        ("POST", "/api/v1/attachments/{text}/links", b'{"purpose": "all"}', 400, "purpose_invalid"),
        ("POST", "/api/v1/attachments/{text}/links", b'{"purpose": ["view"]}', 400, "purpose_invalid"),
        ("POST", "/api/v1/attachments/{text}/links", b'{"purpose": "view", "seconds": 0}', 400, "seconds_invalid"),
        ("POST", "/api/v1/attachments/{text}/links", b'{"purpose": "view", "seconds": true}', 400, "seconds_invalid"),
        ("GET", "/api/v1/events?limit=0", b"", 400, "limit_invalid"),
        ("GET", "/api/v1/events?limit=1001", b"", 400, "limit_invalid"),
        ("GET", "/api/v1/events?limit=1&limit=2", b"", 400, "repeated_value"),
        ("GET", "/api/v1/events?after=nonsense", b"", 400, "cursor_invalid"),
        ("GET", "/api/v1/objects/ticket?after=%00", b"", 400, "cursor_invalid"),
    ],
)
async def test_refused(service: Service, method: str, path: str, content: bytes, status: int, code: str) -> None:
    """Bad input is refused as problem details."""
    given = {
        "half": await service.keep(HALF_SENT),
        "gone": await service.keep(CANCELLED),
        "text": await service.photo(b"plain text"),
    }
    response = await service.send(method, path.format(**given) if "{" in path else path, JSON if content else {}, content)

    assert (status, code) == (response.status_code, response.json()["title"])
    assert "application/problem+json" == response.headers["Content-Type"]


async def test_links_without_accounts(service: Service) -> None:
    """Where there are no accounts, links work all the same, and hold as long as they may."""
    key = await service.photo(name="ä b.png")
    answer = await service.send("POST", f"/api/v1/attachments/{key}/links", JSON, b'{"purpose": "view", "seconds": 999999}')
    shown = await service.send("GET", answer.json()["url"])

    assert [201, 200] == [answer.status_code, shown.status_code]
