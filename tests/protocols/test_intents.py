"""
Uploads that say what they are for when they begin, in every dialect.
"""

from __future__ import annotations

import json
from base64 import b64encode

import httpx
import pytest

from holdfast.service.core.policies import Policy
from holdfast.storage.records import ObjectRef, SlotRef, State
from tests.pictures import GIF, PNG
from tests.protocols.access.accounts import KELP, WRACK, bearing, serve_accounts
from tests.protocols.service import COMMUNITY, Serve, Service, key_of

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
SLOT = f"user/{KELP}/ProfilePhoto"
USER = ObjectRef(tenant=COMMUNITY, kind="user", id=KELP)
PHOTO = SlotRef(tenant=COMMUNITY, kind="user", id=KELP, slot="ProfilePhoto")
API = "/.api2/api/v1/communities/1/attachments"
MEMBERS = {"Name": "a.png", "ContentType": "image/png", "ContentLength": len(PNG)}


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service that knows one user."""
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/user/{KELP}", {"Content-Type": "application/json"}, b"{}")
    return service


async def in_slot(service: Service) -> list[str]:
    """Return what is in the slot."""
    slots = await service.stores.metadata.get_slots(USER)
    return [active.attachment for slot in slots for active in slot.active]


async def create(service: Service, dialect: str, fields: dict[str, str] | None = None, length: int = len(PNG)) -> httpx.Response:
    """Begin an upload for the slot."""
    given = fields or {}
    if dialect == "tus metadata":
        told = b64encode(given.pop("Holdfast-Attach-To", SLOT).encode()).decode()
        return await service.send(
            "POST", "/files", {**TUS, "Upload-Length": str(length), "Upload-Metadata": f"attach_to {told}", **given}
        )
    given = {"Holdfast-Attach-To": SLOT, **given}
    if dialect == "tus":
        return await service.send("POST", "/files", {**TUS, "Upload-Length": str(length), **given})
    if dialect == "draft":
        fields = {"Upload-Draft-Interop-Version": "9", "Upload-Complete": "?0", "Upload-Length": str(length), **given}
        return await service.send("POST", "/files", fields)
    document = {
        **MEMBERS,
        "ContentLength": length,
        "ObjectId": given.pop("Holdfast-Attach-To").split("/")[1],
        "Type": "ProfilePhoto",
    }
    return await service.send("POST", API, {"Content-Type": "application/json", **given}, json.dumps(document).encode())


async def finish(service: Service, key: str, content: bytes = PNG, at: int = 0) -> httpx.Response:
    """Send the content, by tus."""
    return await service.send("PATCH", f"/files/{key}", {**TUS, "Upload-Offset": str(at)}, content[at:])


@pytest.mark.parametrize("dialect", ["tus", "tus metadata", "draft", "attachments"])
async def test_attached_when_complete(service: Service, dialect: str) -> None:
    """Nothing is attached before the last byte; then it is complete and attached at once, with one event for each."""
    created = await create(service, dialect)
    key = key_of(created)
    await finish(service, key, PNG[:-1])
    before = await in_slot(service)
    await finish(service, key, PNG, len(PNG) - 1)
    record = await service.record(key)
    events = [logged.event for logged in await service.stores.metadata.events(COMMUNITY, "", 100)]

    assert (201, []) == (created.status_code, before)
    assert [key] == await in_slot(service)
    assert record is not None
    assert (State.COMPLETE, (PHOTO,), None) == (record.state, record.attached, record.expires_at)
    kinds = ["object.registered", "upload.created", "upload.received", "upload.completed", "attachment.attached"]
    assert kinds == [event.type for event in events]


async def test_in_one_request(service: Service) -> None:
    """Creation with upload attaches at once, and replaces what was there."""
    for content in (PNG, GIF):
        fields = {**TUS, "Upload-Length": str(len(content)), "Holdfast-Attach-To": SLOT}
        created = await service.send("POST", "/files", fields, content)
        assert (201, [key_of(created)]) == (created.status_code, await in_slot(service))


@pytest.mark.parametrize("dialect", ["tus", "tus metadata", "draft", "attachments"])
@pytest.mark.parametrize(
    ("fields", "length", "status"),
    [
        ({"Holdfast-Attach-To": f"user/{WRACK}/ProfilePhoto"}, 10, {404, 422}),
        ({}, 11 * 1024 * 1024, {413}),
        ({"If-Match": '"another"'}, 10, {412}),
        ({"If-Match": 'W/"another"'}, 10, {412}),
        ({"If-None-Match": "*"}, 10, {412}),
        ({"If-Match": '"another", "one more"'}, 10, {400}),
    ],
    ids=["unknown object", "too large", "changed", "weak", "known", "many"],
)
async def test_refused_when_it_begins(
    service: Service, dialect: str, fields: dict[str, str], length: int, status: set[int]
) -> None:
    """What could not be attached is refused before a byte travels; nothing was created."""
    before = len(await service.stores.metadata.events(COMMUNITY, "", 100))

    assert (await create(service, dialect, dict(fields), length)).status_code in status
    assert before == len(await service.stores.metadata.events(COMMUNITY, "", 100))


@pytest.mark.parametrize(
    "value", ["", "user", "user/1", "User/1/Photo", "user/1/", "user/1/a/b", "user//Photo", "user/a b/Photo"]
)
async def test_malformed(service: Service, value: str) -> None:
    """What names no slot is 400."""
    response = await service.send("POST", "/files", {**TUS, "Upload-Length": "5", "Holdfast-Attach-To": value})

    assert (400, True) == (response.status_code, response.text.startswith("attach_to_invalid"))


@pytest.mark.parametrize("user", [KELP.upper(), "{" + KELP + "}"])
async def test_a_guid_is_the_same_however_it_is_written(service: Service, user: str) -> None:
    """In any case, and with braces, it names the same user."""
    fields = {**TUS, "Upload-Length": str(len(PNG)), "Holdfast-Attach-To": f"user/{user}/ProfilePhoto"}
    created = await service.send("POST", "/files", fields, PNG)

    assert (201, [key_of(created)]) == (created.status_code, await in_slot(service))


async def test_unknown_slot(service: Service) -> None:
    """Objects of this kind have no such slot: 422."""
    fields = {**TUS, "Upload-Length": "5", "Holdfast-Attach-To": f"user/{KELP}/Banner"}

    assert 422 == (await service.send("POST", "/files", fields)).status_code


async def test_content_that_does_not_fit(service: Service) -> None:
    """Content that the slot never takes is rejected as a whole, and the slot stays as it was."""
    created = await create(service, "tus", length=20)
    refused = await finish(service, key_of(created), b"not an image at all!")
    record = await service.record(key_of(created))

    assert (422, []) == (refused.status_code, await in_slot(service))
    assert record is not None
    assert State.REJECTED is record.state


async def test_no_content_at_all(service: Service) -> None:
    """An empty upload is refused once, in each way to say that nothing comes, as an empty attachment is."""
    draft = {"Upload-Draft-Interop-Version": "9", "Holdfast-Attach-To": SLOT}
    deferred = {"Tus-Resumable": "1.0.0", "Upload-Defer-Length": "1", "Holdfast-Attach-To": SLOT}
    at_once = [
        await create(service, "tus", length=0),
        await service.send("POST", "/files", {**draft, "Upload-Complete": "?1"}),
    ]
    told = key_of(await service.send("POST", "/files", deferred))
    later = await service.send("PATCH", f"/files/{told}", {**TUS, "Upload-Offset": "0", "Upload-Length": "0"})
    ends = key_of(await service.send("POST", "/files", {**draft, "Upload-Complete": "?0"}))
    content = {**draft, "Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?1"}
    ended = await service.send("PATCH", f"/files/{ends}", content)
    asked = [
        await service.send("HEAD", f"/files/{told}", TUS),
        await service.send("GET", f"/files/{told}"),
        await service.send("GET", f"/api/v1/attachments/{told}"),
        await service.send("POST", f"{API}/{told}/association/{KELP}?type=ProfilePhoto"),
    ]
    events = (await service.send("GET", f"/api/v1/attachments/{told}/events")).json()["items"]

    assert {422} == {answer.status_code for answer in (*at_once, later, ended)}
    assert [422, 422, 410, 415] == [answer.status_code for answer in asked]
    assert all("None" not in answer.text for answer in asked)
    assert ("upload.rejected", {"offset": 0, "reason": "ProfilePhoto takes image/gif, image/jpeg, image/png"}) == (
        events[-1]["type"],
        events[-1]["data"],
    )
    assert [] == await in_slot(service)


async def test_object_that_goes_meanwhile(service: Service) -> None:
    """Where it cannot be attached now, nothing is complete, no byte is lost, and asking again finishes it."""
    key = key_of(await create(service, "tus"))
    path = f"/api/v1/objects/user/{KELP}"
    await service.send("DELETE", path)
    refused = await finish(service, key)
    between = await service.record(key)
    again = await service.send("HEAD", f"/files/{key}", TUS)
    await service.send("PUT", path, {"Content-Type": "application/json"}, b"{}")
    good = await service.send("HEAD", f"/files/{key}", TUS)

    assert [422, 422, 200] == [refused.status_code, again.status_code, good.status_code]
    assert between is not None
    assert (State.RECEIVED, len(PNG)) == (between.state, between.offset)
    assert [key] == await in_slot(service)


async def test_rights_are_asked_at_the_beginning_and_at_the_end(serve: Serve) -> None:
    """Who may not change the slot begins no upload for it; who may no more, does not finish one."""
    service = await serve_accounts(serve)
    fields = {**TUS, "Upload-Length": str(len(PNG)), "Holdfast-Attach-To": SLOT}
    refused = await service.send("POST", "/files", {**bearing("member"), **fields})
    created = await service.send("POST", "/files", {**bearing("owner"), **fields})
    path = f"/files/{key_of(created)}"
    patch = {**TUS, "Upload-Offset": "0"}
    without = await service.send("PATCH", path, {**bearing("uploader"), **patch}, PNG)
    full = await service.send("PATCH", path, {**bearing("owner"), **patch}, PNG)

    assert [403, 201, 403, 204] == [answer.status_code for answer in (refused, created, without, full)]
    assert [key_of(created)] == await in_slot(service)


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/*", None])
@pytest.mark.parametrize("dialect", ["tus metadata", "draft", "attachments"])
async def test_undeclared(service: Service, dialect: str, kind: str | None) -> None:
    """Where nothing in particular is declared, the content says whether the slot takes it, in every dialect."""
    told = {
        "tus metadata": {"Upload-Metadata": f"attach_to {encoded(SLOT)}" + (f",filetype {encoded(kind)}" if kind else "")},
        "draft": {"Content-Type": kind} if kind else {},
    }
    if dialect == "attachments":
        document = {**MEMBERS, "ObjectId": KELP, "Type": "ProfilePhoto", "ContentType": kind or ""}
        created = await service.send("POST", API, {"Content-Type": "application/json"}, json.dumps(document).encode())
    else:
        created = await create(service, dialect, told[dialect])
    key = key_of(created)
    done = await finish(service, key)
    record = await service.record(key)

    assert (201, 204) == (created.status_code, done.status_code)
    assert record is not None
    assert ("image/png", [key]) == (record.content_type, await in_slot(service))


@pytest.mark.parametrize(
    ("kind", "content", "taken"),
    [
        ("video/mp4", b"\0\0\0\x18ftypmp42", True),
        (None, b"%PDF-1.7", True),
        ("application/pdf", b"%PDF-1.7", True),
        ("application/pdf", b"kelp", False),
        (None, PNG, False),
    ],
)
async def test_slots_of_other_types(serve: Serve, kind: str | None, content: bytes, taken: bool) -> None:
    """A slot takes the media types that its settings name, wildcards among them."""
    slot = Policy(kind="ticket", slot="Files", most=5, types=frozenset({"application/pdf", "VIDEO/*"}))
    service = await serve(slots=(slot,))
    await service.send("PUT", "/api/v1/objects/ticket/7", {"Content-Type": "application/json"}, b"{}")
    metadata = f"attach_to {encoded('ticket/7/Files')}" + (f",filetype {encoded(kind)}" if kind else "")
    created = await create(service, "tus metadata", {"Upload-Metadata": metadata}, len(content))
    done = await finish(service, key_of(created), content)
    record = await service.record(key_of(created))

    assert 201 == created.status_code
    assert record is not None
    assert taken == (done.status_code == 204) == (record.state is State.COMPLETE)


@pytest.mark.parametrize("kind", ["png", "*/png", "image/", "image/*/x", ""])
def test_types_that_are_none(kind: str) -> None:
    """A setting that names no media type is refused."""
    with pytest.raises(ValueError, match="pattern"):
        Policy(kind="ticket", slot="Files", types=frozenset({kind}))


def encoded(value: str) -> str:
    """Return a value of Upload-Metadata."""
    return b64encode(value.encode()).decode()
