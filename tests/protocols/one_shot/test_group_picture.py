"""
The picture of an organization's group in Ellipsis Drive: the rows of its table.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode

import pytest

from holdfast.service.core.commands import ObjectOutcome, SetPicture
from holdfast.service.core.policies import ORG_GROUP_PICTURE
from holdfast.service.protocols.http.wire import Request
from holdfast.service.protocols.one_shot.group_picture import GroupPicture
from holdfast.storage.records import ObjectRef, SlotRef
from tests.pictures import GIF, JPEG, PNG
from tests.protocols.access.accounts import TEAM, bearing, serve_accounts
from tests.protocols.service import COMMUNITY, Serve, Service

JSON = {"Content-Type": "application/json"}
PLAIN = b64encode(PNG).decode()
URL = f"/organization/group/{TEAM}/profile"


def document(picture: object = PLAIN) -> bytes:
    """Return what the official client sends."""
    return json.dumps({"picture": picture}).encode()


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service that knows one group."""
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/organization_group/{TEAM}", JSON, b'{"name": "Surveyors"}')
    return service


@pytest.mark.parametrize("prefix", ["", "/v3"])
@pytest.mark.parametrize(
    "picture",
    [PLAIN, f"data:image/png;base64,{PLAIN}", f"data:image/jpeg;base64,{b64encode(JPEG).decode()}", b64encode(GIF).decode()],
    ids=["bare", "data: URL", "data: URL of a JPEG", "GIF"],
)
async def test_set(service: Service, prefix: str, picture: str) -> None:
    """Exactly 200, with id, name and the URLs of the picture."""
    response = await service.send("PATCH", prefix + URL, JSON, document(picture))
    shown = await service.send("GET", response.json()["picture"]["url"])

    assert (200, TEAM, "Surveyors") == (response.status_code, response.json()["id"], response.json()["name"])
    assert {"600", "150", "50"} == set(response.json()["picture"]["sizes"])
    assert 200 == shown.status_code


async def test_taken_away_at_once(service: Service) -> None:
    """Somebody took the picture away before the answer was written: it was set all the same, and there is none now."""
    metadata, team = service.stores.metadata, ObjectRef(tenant=COMMUNITY, kind="organization_group", id=TEAM)
    await service.send("PATCH", URL, JSON, document())
    await service.send("DELETE", f"/api/v1/objects/organization_group/{TEAM}/slots/OrgGroupPicture")
    outcome = ObjectOutcome(record=await metadata.get_object(team), slots=tuple(await metadata.get_slots(team)), changed=True)
    slot = SlotRef(tenant=COMMUNITY, kind=team.kind, id=TEAM, slot=ORG_GROUP_PICTURE.slot)
    request = Request(method="PATCH", path=URL, query="", fields={}, content_length=0, origin="", tenant=COMMUNITY, now=0)
    told = GroupPicture(TEAM, policy=ORG_GROUP_PICTURE).send(request, SetPicture(slot=slot), outcome)

    assert (200, None) == (told.status, json.loads(told.content)["picture"])


async def test_ten_blind_retries(service: Service) -> None:
    """Its client tries ten times, 2 s apart, whatever it was answered: each gets 200 and nothing changes."""
    answers = await asyncio.gather(*(service.send("PATCH", URL, JSON, document()) for _ in range(10)))
    events = [logged.event.type for logged in await service.stores.metadata.events(COMMUNITY, "", 1000)]
    created, ended = events.count("upload.created"), events.count("upload.cancelled")

    assert {200} == {answer.status_code for answer in answers}
    assert created - ended == events.count("attachment.attached")
    last = await service.send("PATCH", URL, JSON, document())
    assert last.json() == (await service.send("PATCH", URL, JSON, document())).json()


async def test_only_the_picture_is_touched(service: Service) -> None:
    """PATCH merges: unknown members are ignored, the name stays."""
    content = json.dumps({"name": "Others", "extra": {"a": [1, None]}, "picture": PLAIN}).encode()
    response = await service.send("PATCH", URL, JSON, content)

    assert (200, "Surveyors") == (response.status_code, response.json()["name"])


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        (URL, b"{}", 400, "picture_required"),
        (URL, document(None), 400, "picture_null"),
        (URL, document(""), 400, "picture_empty"),
        (URL, document(1), 400, "picture_not_string"),
        (URL, document("no base64!"), 400, "invalid_base64"),
        (URL, document(b64encode(b"text").decode()), 400, "unsupported_image"),
        (URL, document(b64encode(PNG[:40]).decode()), 400, "image_invalid"),
        (URL, document("A" * 3_000_000), 400, "image_too_large"),
        (URL, document("A" * 6_000_000), 400, "document_too_large"),
        ("/organization/group/not-a-uuid/profile", document(), 400, "group_id_invalid"),
        ("/organization/group/99999999-2222-4333-8444-555555555555/profile", document(), 404, "group_not_found"),
    ],
)
async def test_refused(service: Service, path: str, content: bytes, status: int, code: str) -> None:
    """Not 200, with a text that somebody can read; nothing is attached."""
    response = await service.send("PATCH", path, JSON, content)
    events = [logged.event.type for logged in await service.stores.metadata.events(COMMUNITY, "", 1000)]

    assert (status, True) == (response.status_code, response.text.startswith(f"{code}: "))
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "attachment.attached" not in events


async def test_access(serve: Serve) -> None:
    """ "Organization account holder only": an administrator and a member are 403, nobody is 401."""
    service = await serve_accounts(serve)
    answers = {
        who: await service.send("PATCH", URL, {**bearing(who), **JSON}, document())
        for who in ("nobody", "member", "admin", "holder")
    }

    assert {"nobody": 401, "member": 403, "admin": 403, "holder": 200} == {who: one.status_code for who, one in answers.items()}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_methods(service: Service, method: str) -> None:
    """What means nothing is 405 with Allow."""
    response = await service.send(method, URL, JSON)

    assert (405, "PATCH, OPTIONS") == (response.status_code, response.headers["Allow"])
