"""
Who may do what: every route and verb, asked by everybody.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass

import pytest
from starlette.routing import Route

from holdfast.service.accounts.making import make_token
from holdfast.service.protocols.http.picture_urls import avatar_url
from holdfast.storage.records import Key, ObjectRef, SlotRef, State, Subject, Tenant
from tests.pictures import GIF, PNG, TELLING
from tests.protocols.access.accounts import ACCOUNTS, GROUP, KELP, SECRET, TEAM, TOKENS, WRACK, bearing, serve_accounts
from tests.protocols.service import COMMUNITY, HALF, HALF_SENT, IMAGE, LENGTH, Serve, Service

WHO = tuple(TOKENS)
TUS = {"Tus-Resumable": "1.0.0"}
DRAFT = {"Upload-Draft-Interop-Version": "9"}
JSON = {"Content-Type": "application/json"}
HOST = {**JSON, "X-Symphony-Host": "localhost.symphony.com"}
API = "/.api2/api/v1/communities/1"
PHOTO_SLOT = f"/api/v1/objects/user/{KELP}/slots/ProfilePhoto"
REST = {
    "Content-Range": f"bytes {HALF}-{LENGTH - 1}/{LENGTH}",
    "Content-Type": "image/png",
}
ENTRY = json.dumps({"Name": "a.png", "ContentType": "image/png", "ContentLength": LENGTH}).encode()
IMAGE_DOCUMENT = json.dumps({"image": b64encode(GIF).decode()}).encode()
PICTURE_DOCUMENT = json.dumps({"picture": b64encode(GIF).decode()}).encode()


@dataclass(frozen=True)
class Row:
    """
    A request, and what everybody is answered, in the order of `WHO`.

    Nobody is 401 everywhere, and the administrator of another tenant finds nothing, or only what is their own.
    """

    method: str
    path: str
    answers: str
    fields: dict[str, str] | None = None
    content: bytes = b""


# {open}: half of it is there; {free}: complete, in no slot; {photo}: in the slot of its owner, KELP.
#                                              nobody owner member viewer uploader attacher admin holder entitled stranger
ROWS = [
    Row("POST", "/files", "401 201 201 403 201 403 201 201 201 201", {**TUS, "Upload-Length": "5"}),
    Row("POST", "/files", "401 201 201 403 201 403 201 201 201 201", {**DRAFT, "Upload-Complete": "?0"}),
    Row("PUT", "/files", "401 201 201 403 201 403 201 201 201 201", {**DRAFT, "Upload-Complete": "?0"}),
    Row("HEAD", "/files/{open}", "401 200 403 403 200 403 200 403 403 404", TUS),
    Row("HEAD", "/files/{open}", "401 204 403 403 204 403 204 403 403 404", DRAFT),
    Row("HEAD", "/files/{free}", "401 200 403 200 200 403 200 403 403 404", TUS),
    Row("HEAD", "/files/{photo}", "401 200 200 200 200 403 200 200 200 404", TUS),
    Row("GET", "/files/{free}", "401 200 403 200 403 403 200 403 403 404"),
    Row("GET", "/files/{photo}", "401 200 200 200 403 403 200 200 200 404"),
    Row(
        "PATCH",
        "/files/{open}",
        "401 204 403 403 204 403 204 403 403 404",
        {**TUS, "Upload-Offset": str(HALF), "Content-Type": "application/offset+octet-stream"},
        IMAGE[HALF:],
    ),
    Row(
        "PATCH",
        "/files/{open}",
        "401 204 403 403 204 403 204 403 403 404",
        {**DRAFT, "Upload-Offset": str(HALF), "Upload-Complete": "?1", "Content-Type": "application/partial-upload"},
        IMAGE[HALF:],
    ),
    Row("DELETE", "/files/{open}", "401 204 403 403 204 403 204 403 403 404", TUS),
    Row("DELETE", "/files/{free}", "401 204 403 403 204 403 204 403 403 404", DRAFT),
    Row("DELETE", "/files/{photo}", "401 409 403 403 409 403 409 403 403 404", TUS),
    Row("POST", f"{API}/attachments", "401 201 201 403 201 403 201 201 201 404", JSON, ENTRY),
    Row("PATCH", f"{API}/attachments/uploads/{{open}}", "401 200 403 403 200 403 200 403 403 404", REST, IMAGE[HALF:]),
    Row("HEAD", f"{API}/attachments/uploads/{{open}}", "401 202 403 403 202 403 202 403 403 404"),
    Row("GET", f"{API}/attachments/uploads/{{free}}", "401 200 403 200 200 403 200 403 403 404"),
    Row("DELETE", f"{API}/attachments/uploads/{{free}}", "401 204 403 403 204 403 204 403 403 404"),
    Row("POST", f"{API}/attachments/{{free}}/association/{KELP}?type=ProfilePhoto", "401 200 403 403 403 200 200 403 403 404"),
    Row("POST", f"{API}/attachments/{{free}}/association/{WRACK}?type=ProfilePhoto", "401 403 403 403 403 403 200 403 403 404"),
    Row("POST", f"{API}/attachments/{{photo}}/association/{WRACK}?type=ProfilePhoto", "401 403 403 403 403 403 200 403 403 404"),
    Row("DELETE", f"{API}/attachments/{{photo}}/association/{KELP}?type=ProfilePhoto", "401 204 403 403 403 204 204 403 403 404"),
    Row("GET", f"{API}/objects/{KELP}/attachments?type=ProfilePhoto", "401 200 200 200 403 403 200 200 200 404"),
    Row("GET", f"{API}/previews/thumbnails/{KELP}?width=50", "401 302 302 302 403 403 302 302 302 404"),
    Row("GET", "/.api2/binaries/{free}/download/a.png", "401 200 403 200 403 403 200 403 403 404"),
    Row("HEAD", "/.api2/binaries/{photo}/download/a.png", "401 200 200 200 403 403 200 200 200 404"),
    Row("GET", "/.api2/binaries/{free}/thumbnails/a.png?width=2", "401 200 403 200 403 403 200 403 403 404"),
    Row("GET", "/.api2/binaries/{photo}/thumbnails/a.png?width=2", "401 200 200 200 403 403 200 200 200 404"),
    Row("GET", "{avatar}", "401 200 200 200 403 403 200 200 200 404"),
    Row("GET", "/avatars/static/50/default.png", "200 200 200 200 200 200 200 200 200 200"),
    Row("GET", f"/profile-manager/v1/groups/{GROUP}", "401 200 200 200 403 403 200 200 200 404", HOST),
    Row("POST", f"/profile-manager/v1/groups/{GROUP}/avatar", "401 403 403 403 403 403 403 403 200 404", HOST, IMAGE_DOCUMENT),
    Row("PATCH", f"/organization/group/{TEAM}/profile", "401 403 403 403 403 403 403 200 403 404", JSON, PICTURE_DOCUMENT),
    Row("PATCH", f"/v3/organization/group/{TEAM}/profile", "401 403 403 403 403 403 403 200 403 404", JSON, PICTURE_DOCUMENT),
    Row("GET", "/api/v1/attachments/{free}", "401 200 403 200 403 403 200 403 403 404"),
    Row("GET", "/api/v1/attachments/{photo}", "401 200 200 200 403 403 200 200 200 404"),
    Row("GET", "/.api/api.svc//attachments/{free}/view", "401 200 403 200 403 403 200 403 403 404"),
    Row("GET", "/.api/api.svc/attachments/{photo}/view", "401 200 200 200 403 403 200 200 200 404"),
    Row("DELETE", "/api/v1/attachments/{free}", "401 204 403 403 204 403 204 403 403 404"),
    Row("GET", "/api/v1/attachments/{photo}/events", "401 200 403 200 403 403 200 403 403 404"),
    Row("POST", "/api/v1/attachments/{free}/links", "401 201 403 201 403 403 201 403 403 404", JSON, b'{"purpose": "view"}'),
    Row("POST", "/api/v1/attachments/{open}/links", "401 201 403 403 201 403 201 403 403 404", JSON, b'{"purpose": "upload"}'),
    Row("POST", "/api/v1/attachments/{free}/links", "401 201 403 403 403 201 201 403 403 404", JSON, b'{"purpose": "attach"}'),
    Row("GET", "/api/v1/events", "401 403 403 403 403 403 200 403 403 200"),
    Row("GET", "/api/v1/events?communityKey=1", "401 403 403 403 403 403 200 403 403 404"),
    Row("GET", "/api/v1/objects/user", "401 200 200 200 403 403 200 200 200 200"),
    Row("GET", f"/api/v1/objects/user/{KELP}", "401 200 200 200 403 403 200 200 200 404"),
    Row("PUT", f"/api/v1/objects/user/{KELP}?communityKey=1", "401 403 403 403 403 403 200 403 403 404", JSON, b"{}"),
    Row("DELETE", f"/api/v1/objects/user/{WRACK}", "401 403 403 403 403 403 204 403 403 404"),
    Row("GET", PHOTO_SLOT, "401 200 200 200 403 403 200 200 200 404"),
    Row("PUT", PHOTO_SLOT, "401 412 403 403 403 412 412 403 403 404", JSON, b'{"order": []}'),
    Row("DELETE", PHOTO_SLOT, "401 200 403 403 403 200 200 403 403 404"),
    Row("PUT", f"{PHOTO_SLOT}/attachments/{{free}}", "401 200 403 403 403 200 200 403 403 404"),
    Row("DELETE", f"{PHOTO_SLOT}/attachments/{{photo}}", "401 200 403 403 403 200 200 403 403 404"),
    Row("POST", f"{PHOTO_SLOT}/undo", "401 409 403 403 403 409 409 403 403 404"),
    Row("GET", f"{PHOTO_SLOT}/picture", "401 302 302 302 403 403 302 302 302 302"),
]


async def prepare(service: Service) -> dict[str, str]:
    """Return the keys of uploads of KELP."""
    creator = Subject(KELP)
    slot = SlotRef(tenant=COMMUNITY, kind="user", id=KELP, slot="ProfilePhoto")
    opened = await service.keep({**HALF_SENT, "creator": creator, "content_type": "image/png", "verify_type": True})
    free, photo = [await service.photo(creator=creator) for _ in range(2)]
    path = f"{API}/attachments/{photo}/association/{slot.id}?type=ProfilePhoto"
    assert (await service.send("POST", path, bearing("owner"))).status_code == 200
    return {"open": opened, "free": free, "photo": photo, "avatar": avatar_url(COMMUNITY, photo, "50")}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path} {at}" for at, row in enumerate(ROWS)])
async def test_matrix(serve: Serve, row: Row) -> None:
    """Everybody gets what they may, each on fresh things; what is refused changes nothing."""
    got = {}
    for who in WHO:
        service = await serve_accounts(serve)
        keys = await prepare(service)
        before = await facts(service, keys)
        path = row.path.format(**keys) if "{" in row.path else row.path
        response = await service.send(row.method, path, {**bearing(who), **(row.fields or {})}, row.content)
        got[who] = str(response.status_code)
        if response.status_code >= 400:
            assert before == await facts(service, keys), who
            assert KELP not in response.text or who not in ("nobody", "stranger"), who
        assert (response.status_code == 401) == ("WWW-Authenticate" in response.headers)

    assert dict(zip(WHO, row.answers.split(), strict=True)) == got


async def facts(service: Service, keys: dict[str, str]) -> list[object]:
    """Return all that a request could have changed."""
    metadata = service.stores.metadata
    found: list[object] = [await service.record(keys[name]) for name in ("open", "free", "photo")]
    for kind, name in (("user", KELP), ("user", WRACK), ("group", GROUP), ("organization_group", TEAM)):
        ref = ObjectRef(tenant=COMMUNITY, kind=kind, id=name)
        found += [await metadata.get_object(ref), *await metadata.get_slots(ref)]
    return [*found, len(await metadata.events(COMMUNITY, "", 1000))]


PUBLIC = {"/openapi.json", "/healthz", "/readyz"}


async def test_every_route_is_asked(serve: Serve) -> None:
    """No route that the service has is missing in the table, but for those that everybody may read."""
    avatar = avatar_url(COMMUNITY, Key("0123456789"), "50")
    asked = {row.path.partition("?")[0].replace("{avatar}", avatar) for row in ROWS}
    for route in (await serve()).app.routes:
        assert isinstance(route, Route)
        found = any(route.path_regex.fullmatch(one + slash) for one in asked for slash in ("", "/"))
        assert found or route.path in PUBLIC, route.path


async def test_every_verb_is_asked(serve: Serve) -> None:
    """No verb of the native API is missing in the table."""
    for path, verbs in (await serve()).native().items():
        pattern = re.compile(re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(path)))
        asked = {row.method for row in ROWS if pattern.fullmatch(row.path.partition("?")[0])}
        assert set(verbs) <= asked, path


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (make_token(secret=SECRET, tenant="1", subject=KELP, seconds=-60), "token_expired"),
        (make_token(secret="another secret, just as long as it", tenant="1", subject=KELP), "token_invalid"),
        ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.", "token_invalid"),
        ("nonsense", "token_invalid"),
        ("", "token_missing"),
    ],
    ids=["expired", "another key", "unsigned", "no token", "nothing"],
)
@pytest.mark.parametrize("carrier", ["bearer", "cookie"])
async def test_tokens_that_are_no_good(serve: Serve, token: str, code: str, carrier: str) -> None:
    """401, in the shape of the dialect, before any content is read."""
    service = await serve(**ACCOUNTS)
    fields = (
        {"Cookie": f"a=b; iglooauth={token}"} if carrier == "cookie" else {"Authorization": f"Bearer {token}"} if token else {}
    )
    response = await service.send("POST", f"{API}/attachments", {**fields, **JSON}, ENTRY)

    assert (401, code) == (response.status_code, response.json()["code"])


async def test_cookie(serve: Serve) -> None:
    """The cookie of the known client is as good as a bearer, but not where another site's page sent it along."""
    service = await serve(**ACCOUNTS)
    cookie = {"Cookie": f"iglooauth={TOKENS['owner']}"}
    good = await service.send("POST", f"{API}/attachments", {**cookie, **JSON}, ENTRY)
    forged = await service.send("POST", f"{API}/attachments", {**cookie, **JSON, "Origin": "https://evil.example"}, ENTRY)

    assert [201, 401] == [good.status_code, forged.status_code]


async def test_others_see_sanitised_pictures(serve: Serve) -> None:
    """The original is for its owner; others of the tenant see its pixels."""
    service = await serve_accounts(serve)
    photo = await service.photo(TELLING, creator=Subject(KELP))
    await service.send("POST", f"{API}/attachments/{photo}/association/{KELP}?type=ProfilePhoto", bearing("owner"))
    mine, theirs = [await service.send("GET", f"/files/{photo}", bearing(who)) for who in ("owner", "member")]

    assert (TELLING, PNG) == (mine.content, theirs.content)
    assert (200, "image/png") == (theirs.status_code, theirs.headers["Content-Type"])


async def test_links(serve: Serve) -> None:
    """A link opens one upload for one purpose, and nothing else."""
    service = await serve_accounts(serve)
    keys = await prepare(service)

    async def link(key: str, purpose: str) -> str:
        document = json.dumps({"purpose": purpose}).encode()
        answer = await service.send("POST", f"/api/v1/attachments/{key}/links", {**bearing("owner"), **JSON}, document)
        return str(answer.json()["link"])

    view, upload = await link(keys["free"], "view"), await link(keys["open"], "upload")
    patch = {**TUS, "Upload-Offset": str(HALF), "Content-Type": "application/offset+octet-stream"}
    answers = [
        await service.send("GET", f"/files/{keys['free']}?link={view}"),
        await service.send("GET", f"/files/{keys['photo']}?link={view}"),
        await service.send("DELETE", f"/files/{keys['free']}?link={view}", TUS),
        await service.send("GET", f"/api/v1/objects/user?link={view}"),
        await service.send("POST", f"/files?link={upload}", {**TUS, "Upload-Length": "5"}),
        await service.send("GET", f"/files/{keys['free']}?link={view[:-1]}"),
        await service.send("PATCH", f"/files/{keys['open']}?link={upload}", patch, IMAGE[HALF:]),
    ]

    assert [200, 404, 403, 403, 403, 401, 204] == [answer.status_code for answer in answers]
    record = await service.record(keys["open"])
    assert record is not None
    assert State.COMPLETE is record.state or State.REJECTED is record.state


async def test_tenants_are_apart(serve: Serve) -> None:
    """A token opens its own tenant, whatever the URL does not say."""
    service = await serve_accounts(serve)
    created = await service.send("POST", "/files", {**bearing("stranger"), **TUS, "Upload-Length": "5"})
    key = created.headers["Location"].rpartition("/")[2]

    assert await service.record(key, "2") is not None
    assert await service.record(key, "1") is None
    assert Tenant("2") == (await service.record(key, "2")).tenant  # type: ignore[union-attr]


async def test_who_may_instead(serve: Serve) -> None:
    """A refusal says who changes the slot, whatever its dialect."""
    service = await serve_accounts(serve)
    json_content = {"Content-Type": "application/json", "X-Symphony-Host": "host"}
    avatar = await service.send(
        "POST", f"/profile-manager/v1/groups/{GROUP}/avatar", {**bearing("admin"), **json_content}, b'{"image": "AA=="}'
    )
    photo = await service.send("DELETE", f"/api/v1/objects/user/{KELP}/slots/ProfilePhoto", bearing("member"))

    assert (403, 403) == (avatar.status_code, photo.status_code)
    assert "GroupAvatar is changed by accounts with the entitlement Distribution List Manager" == avatar.json()["message"]
    assert "ProfilePhoto is changed by the user itself or administrators" == photo.json()["detail"]
