"""
The group avatar of Symphony: the rows of its table, in the words of its documents.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator

import pytest

from holdfast.storage.records import State
from tests.pictures import GIF, JPEG, PNG, picture
from tests.protocols.access.accounts import GROUP, bearing, serve_accounts
from tests.protocols.service import COMMUNITY, Serve, Service

GROUP_URL = f"/profile-manager/v1/groups/{GROUP}"
URL = f"{GROUP_URL}/avatar"
HOST = {"X-Symphony-Host": "localhost.symphony.com"}
JSON = {"Content-Type": "application/json"}
# What the document shows of a group.
TOLD = {
    "type": "SDL",
    "ownerType": "TENANT",
    "ownerId": 100,
    "name": "Test Group",
    "createdBy": "text",
    "status": "ACTIVE",
    "members": [{"memberTenant": 100, "memberId": 12345678900000}, {"addedDate": "2025-08-02T01:25:51.063Z"}],
    "profile": {"displayName": "Test Group", "companyName": "Acme Corporation", "id": "text", "avatars": []},
    "visibilityRestriction": {"restrictedTenantsList": [100], "restrictedUsersList": [12345678900000]},
    "implicitConnection": {"connectedTenantsList": [100], "connectedUsersList": [12345678900000]},
    "interactionTransfer": {"restrictedTenantsList": [100], "restrictedUsersList": [12345678900000]},
}
TEAM = "abcdefab-2222-4333-8444-555555555555"
TEAM_IN_CAPITALS = TEAM.upper()
PLAIN = b64encode(PNG).decode()


# As the documentation of Symphony shows it; of values only whether they are lists or objects matters.
SHOWN: dict[str, object] = {
    **dict.fromkeys(("type", "ownerType", "ownerId", "name", "id", "createdDate", "createdBy", "updatedDate", "updatedBy")),
    **dict.fromkeys(("status", "eTag")),
    "members": [],
    "profile": {
        **dict.fromkeys(("displayName", "companyName", "email", "mobile", "jobTitle", "jobRole", "jobDepartment", "jobDivision")),
        **dict.fromkeys(("jobPhone", "jobCity", "id")),
        "industryOfInterest": [],
        "assetClassesOfInterest": [],
        "marketCoverage": [],
        "responsibility": [],
        "function": [],
        "instrument": [],
        "avatars": [],
    },
    "visibilityRestriction": {"restrictedTenantsList": [], "restrictedUsersList": []},
    "implicitConnection": {"connectedTenantsList": [], "connectedUsersList": []},
    "interactionTransfer": {"restrictedTenantsList": [], "restrictedUsersList": []},
}


def document(image: object = PLAIN) -> bytes:
    """Return what the official client sends."""
    return json.dumps({"image": image}).encode()


async def registered(serve: Serve, told: dict[str, object] | None = None, **settings: object) -> Service:
    """Return a service that knows one group."""
    service = await serve(**settings)
    await service.send("PUT", f"/api/v1/objects/group/{GROUP}", JSON, json.dumps(told or TOLD).encode())
    return service


async def unattached(service: Service) -> int:
    """Return how many uploads there are that were neither attached nor given up."""
    events = [logged.event for logged in await service.stores.metadata.events(COMMUNITY, "", 1000)]
    created = {event.attachment for event in events if event.type == "upload.created"}
    ended = {event.attachment for event in events if event.type in ("upload.cancelled", "upload.rejected", "attachment.attached")}
    return len(created - ended)


@pytest.mark.parametrize("written", [TEAM, TEAM_IN_CAPITALS, f"%7B{TEAM_IN_CAPITALS}%7D"])
async def test_a_group_that_is_a_guid(serve: Serve, written: str) -> None:
    """A GUID is the same in any case, and with braces, whether the group is read or changed."""
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/group/{TEAM}", JSON, json.dumps(TOLD).encode())
    url = f"/profile-manager/v1/groups/{written}"
    changed = await service.send("POST", f"{url}/avatar", HOST | JSON, document())
    read = await service.send("GET", url, HOST)

    assert [(200, TEAM), (200, TEAM)] == [(answer.status_code, answer.json()["id"]) for answer in (changed, read)]


async def test_the_whole_group(serve: Serve) -> None:
    """200 with every member of the document, Etag, new avatars of each size under names of 43 characters."""
    service = await registered(serve)
    before = await service.send("GET", GROUP_URL, HOST)
    response = await service.send("POST", URL, {**HOST, **JSON}, document())
    after = await service.send("GET", GROUP_URL, HOST)
    group = response.json()

    assert (200, 200, 200) == (before.status_code, response.status_code, after.status_code)
    assert group == after.json()
    assert {**TOLD, "profile": 0} == {**{name: group[name] for name in TOLD}, "profile": 0}
    assert {"id", "createdDate", "updatedDate", "updatedBy", "eTag"} <= set(group)
    assert (GROUP, f'"{group["eTag"]}"') == (group["id"], response.headers["ETag"])
    assert [] == before.json()["profile"]["avatars"]
    assert group["eTag"] != before.json()["eTag"]
    assert ["original", "600", "150", "50"] == [avatar["size"] for avatar in group["profile"]["avatars"]]
    for avatar in group["profile"]["avatars"]:
        shown = await service.send("GET", avatar["url"])
        assert (200, "image/png", 43) == (shown.status_code, shown.headers["Content-Type"], len(avatar["url"].rpartition("/")[2]))
        assert "immutable" in shown.headers["Cache-Control"]


def members(value: object, path: str = "") -> dict[str, str]:
    """Return every member of a JSON value by its path, and whether it is a list, an object or something else."""
    found: dict[str, str] = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        found[f"{path}/{name}"] = "list" if isinstance(inner, list) else "object" if isinstance(inner, dict) else "value"
        found |= members(inner, f"{path}/{name}")
    return found


async def test_every_member_of_the_document(serve: Serve) -> None:
    """Of a group of which nothing is known there is every member that Symphony's own answer shows; what is told stays."""
    bare = await registered(serve, {"type": "SDL"})
    told = {"restrictedUsersList": [7], "more": 1}
    known = await registered(serve, {"createdBy": "9", "visibilityRestriction": told, "implicitConnection": None})
    nothing = (await bare.send("GET", GROUP_URL, HOST)).json()
    something = (await known.send("GET", GROUP_URL, HOST)).json()

    assert members(SHOWN) == {path: members(nothing).get(path) for path in members(SHOWN)}
    assert {"restrictedTenantsList": [], "restrictedUsersList": []} == nothing["interactionTransfer"]
    assert ("9", {"restrictedTenantsList": [], **told}) == (something["createdBy"], something["visibilityRestriction"])
    assert {"connectedTenantsList": [], "connectedUsersList": []} == something["implicitConnection"]


@pytest.mark.parametrize(
    "image",
    [
        PLAIN,
        PLAIN.rstrip("="),
        urlsafe_b64encode(picture("PNG", (40, 40), (251, 255, 254))).decode(),
        "\n".join(PLAIN[at : at + 20] for at in range(0, len(PLAIN), 20)),
        f"data:image/png;base64,{PLAIN}",
        b64encode(JPEG).decode(),
        b64encode(GIF).decode(),
    ],
    ids=["standard", "without padding", "URL-safe alphabet", "white space", "data: URL", "JPEG", "GIF"],
)
async def test_ways_to_write_it(serve: Serve, image: str) -> None:
    """Standard alphabet, padding optional, white space ignored, a data: URL, the URL-safe alphabet."""
    service = await registered(serve)
    response = await service.send("POST", URL, {**HOST, **JSON}, document(image))

    assert (200, 4) == (response.status_code, len(response.json()["profile"]["avatars"]))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{}", "image_required"),
        (document(None), "image_required"),
        (document(""), "image_empty"),
        (document(5), "image_not_string"),
        (document([PLAIN]), "image_not_string"),
        (b"[]", "invalid_document"),
        (b"null", "invalid_document"),
        (b"", "invalid_document"),
        (b'{"image": "' + PLAIN.encode(), "invalid_document"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "invalid_document"),
        (document(PLAIN[:-3]), "invalid_base64"),
        (document("%%%%"), "invalid_base64"),
        (document("ab-_+/=="), "invalid_base64"),
        (document("Ynl0ZXM="), "unsupported_image"),
        (document(b64encode(b"<html><script>alert(1)</script></html>").decode()), "unsupported_image"),
        (document(b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"/>').decode()), "unsupported_image"),
        (document(f"data:image/gif;base64,{PLAIN}"), "data_type_mismatch"),
        (document(b64encode(PNG[:40]).decode()), "image_invalid"),
        (document(b64encode(PNG + b"PK\x05\x06" + bytes(18)).decode()), "image_invalid"),
        (document(b64encode(PNG + bytes(2 * 1024 * 1024)).decode()), "image_too_large"),
        (document("A" * 3_000_000), "image_too_large"),
        (document("A" * 6_000_000), "document_too_large"),
    ],
)
async def test_bad_request(serve: Serve, content: bytes, code: str) -> None:
    """400 with a code that says what is wrong; the group is as it was, and nothing is left of the image."""
    service = await registered(serve)
    before = (await service.send("GET", GROUP_URL, HOST)).json()
    response = await service.send("POST", URL, {**HOST, **JSON}, content)

    assert (400, code) == (response.status_code, response.json()["code"])
    assert {"code", "message"} == set(response.json())
    assert before == (await service.send("GET", GROUP_URL, HOST)).json()
    assert 0 == await unattached(service)


async def test_two_megabytes_are_taken(serve: Serve) -> None:
    """ "Original image must be less than 2MB": 2 MiB of decoded bytes are, one more is not; a document of 5 MB is not read."""
    service = await registered(serve)
    fits = PNG + bytes(2 * 1024 * 1024 - len(PNG))
    answers = [
        await service.send("POST", URL, {**HOST, **JSON}, document(b64encode(image).decode())) for image in (fits, fits + b"0")
    ]
    huge = await service.send("POST", URL, {**HOST, **JSON, "Content-Length": "5000000"}, b"")

    assert [(200, None), (400, "image_too_large")] == [(answer.status_code, answer.json().get("code")) for answer in answers]
    assert 400 == huge.status_code


async def test_again(serve: Serve) -> None:
    """Posting identical bytes again: 200, eTag unchanged, nothing is kept twice."""
    service = await registered(serve)
    first, second = [await service.send("POST", URL, {**HOST, **JSON}, document()) for _ in range(2)]

    assert (200, first.json()) == (second.status_code, second.json())
    assert 0 == await unattached(service)


async def test_replace(serve: Serve) -> None:
    """Another image is under other names; the one before is kept for its grace, then purged."""
    service = await registered(serve)
    first, second = [
        (await service.send("POST", URL, {**HOST, **JSON}, document(b64encode(image).decode()))).json() for image in (PNG, GIF)
    ]
    old = first["profile"]["avatars"][0]["url"].split("/")[4]
    record = await service.record(old)

    assert first["eTag"] != second["eTag"]
    assert not {avatar["url"] for avatar in first["profile"]["avatars"]} & {
        avatar["url"] for avatar in second["profile"]["avatars"]
    }
    assert record is not None
    assert (State.COMPLETE, ()) == (record.state, record.attached)
    assert record.expires_at is not None


@pytest.mark.parametrize(
    ("mode", "host", "status"),
    [
        ("compatible", "", 200),
        ("strict", "", 400),
        ("strict", "a.symphony.com", 200),
        ("compatible", None, 400),
        ("strict", None, 400),
    ],
)
async def test_x_symphony_host(serve: Serve, mode: str, host: str | None, status: int) -> None:
    """Required; "min: 1", but the official Java client sends it empty.  It is recorded as the originator."""
    service = await registered(serve, symphony_host=mode)
    fields = JSON if host is None else {**JSON, "X-Symphony-Host": host}
    response = await service.send("POST", URL, fields, document())
    events = [logged.event for logged in await service.stores.metadata.events(COMMUNITY, "", 100)]

    assert status == response.status_code
    if status == 200:
        assert [host or None] == [event.originator for event in events if event.type == "attachment.attached"]


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [({"type": "COMPANY"}, 400, "group_type_invalid"), ({"status": "DELETED"}, 404, "group_not_found")],
)
async def test_groups_without_avatars(serve: Serve, told: dict[str, object], status: int, code: str) -> None:
    """A profile exists only for SDL; a deleted group is not found."""
    service = await registered(serve, told)
    response = await service.send("POST", URL, {**HOST, **JSON}, document())

    assert (status, code) == (response.status_code, response.json()["code"])


@pytest.mark.parametrize("group", ["unknown", "a%20b", "b" * 300])
async def test_unknown_group(serve: Serve, group: str) -> None:
    """404, for reading and for writing."""
    service = await registered(serve)
    answers = [
        await service.send("POST", f"/profile-manager/v1/groups/{group}/avatar", {**HOST, **JSON}, document()),
        await service.send("GET", f"/profile-manager/v1/groups/{group}", HOST),
    ]

    assert [404, 404] == [answer.status_code for answer in answers]


async def test_if_match(serve: Serve) -> None:
    """An If-Match that is not the group's is 412, as for PUT."""
    service = await registered(serve)
    etag = (await service.send("GET", GROUP_URL, HOST)).headers["ETag"]
    wrong = await service.send("POST", URL, {**HOST, **JSON, "If-Match": '"another"'}, document())
    right = await service.send("POST", URL, {**HOST, **JSON, "If-Match": etag}, document())

    assert [412, 200] == [wrong.status_code, right.status_code]


async def test_accounts(serve: Serve) -> None:
    """Wrong or missing token: 401, never 403, for the client refreshes on that only; no entitlement: 403 with its code."""
    service = await serve_accounts(serve)
    missing = await service.send("POST", URL, {**HOST, **JSON}, document())
    forbidden = await service.send("POST", URL, {**bearing("member"), **HOST, **JSON}, document())
    good = await service.send("POST", URL, {**bearing("entitled"), **HOST, **JSON}, document())

    assert [401, 403, 200] == [missing.status_code, forbidden.status_code, good.status_code]
    assert "SYMPHONY_PROFILE_MANAGER__ENTITLEMENT_NOT_FOUND" == forbidden.json()["code"]
    assert "lists" == good.json()["updatedBy"]


async def test_cut(serve: Serve) -> None:
    """A document that does not come whole leaves nothing."""
    service = await registered(serve, idle_timeout=0.2)

    async def content() -> AsyncIterator[bytes]:
        yield document()[:50]
        await asyncio.sleep(1)

    response = await service.send("POST", URL, {**HOST, **JSON, "Content-Length": str(len(document()))}, content())

    assert (400, "document_cut") == (response.status_code, response.json()["code"])
    assert 0 == await unattached(service)


@pytest.mark.parametrize(("path", "method"), [(URL, "GET"), (URL, "PUT"), (GROUP_URL, "POST"), (GROUP_URL, "DELETE")])
async def test_methods(serve: Serve, path: str, method: str) -> None:
    """What means nothing is 405 with Allow."""
    response = await (await registered(serve)).send(method, path, HOST)

    assert (405, True) == (response.status_code, "Allow" in response.headers)
