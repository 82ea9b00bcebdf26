"""
Documents that are held in memory: how much of them at once, and what a client sees whose document does not fit.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from holdfast.service import app
from holdfast.service.asgi.receiving.room import BUDGET, DocumentRoom
from holdfast.service.protocols.http.wire import ProtocolError
from tests.pictures import PNG
from tests.protocols.access.accounts import TEAM, bearing, serve_accounts
from tests.protocols.service import Serve

ROOM = 100


def _is_taken(room: DocumentRoom, client: str | None, size: int) -> bool:
    with room.document(client) as hold:
        try:
            hold(size)
        except ProtocolError:
            return False
        return True


@pytest.mark.parametrize(
    ("client", "size", "is_taken"),
    [
        ("other", 40, True),  # it is the last that fits
        ("other", 41, False),
        ("one", 30, True),  # its share is not full
        ("one", 31, False),
        (None, 40, True),  # clients that the server cannot tell apart have no share
        (None, 41, False),
    ],
)
def test_room(client: str | None, size: int, is_taken: bool) -> None:
    """There is room for all clients together, and for each a share of it."""
    room = DocumentRoom(ROOM, 50)
    with room.document("one") as one, room.document(None) as other:
        one(20)
        other(40)
        assert is_taken == _is_taken(room, client, size)

    assert _is_taken(room, client, size)


def test_larger_than_the_room() -> None:
    """A document that is larger than all the room is taken while it is the only one, however it comes."""
    room = DocumentRoom(ROOM, 50)
    with room.document("one") as hold:
        hold(40)
        hold(1000)
        assert not _is_taken(room, "other", 1)

    assert _is_taken(room, "other", 1)


def test_one_goes_on() -> None:
    """Of documents that fill the room together, one is refused, and then the other goes on."""
    room = DocumentRoom(ROOM, ROOM)
    with room.document("one") as one:
        one(50)
        with room.document("other") as other:
            other(50)
            with pytest.raises(ProtocolError):
                other(1)
        one(50)


@pytest.mark.parametrize(
    ("method", "url", "kind", "expected", "member"),
    [
        ("POST", f"/profile-manager/v1/groups/{TEAM}/avatar", "group", (429, "overloaded"), "image"),
        ("PATCH", f"/organization/group/{TEAM}/profile", "organization_group", (503, "documents_waiting"), "picture"),
    ],
)
async def test_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str, url: str, kind: str, expected: tuple[int, str], member: str
) -> None:
    """While others fill the room, a client is refused at once and asked to come again; what it sends then is taken."""
    room = DocumentRoom(budget=1)
    monkeypatch.setattr(app, "DocumentRoom", lambda: room)
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/{kind}/{TEAM}", {"Content-Type": "application/json"}, b"{}")
    fields = {"Content-Type": "application/json", "X-Symphony-Host": "kelp"}
    with room.document("other") as hold:
        hold(1)
        async with asyncio.timeout(5):
            refused = await service.send(method, url, fields, b"{}")
    taken = await service.send(method, url, fields, b"{}")

    assert expected[0] == refused.status_code
    assert expected[1] in refused.text
    assert "Retry-After" in refused.headers
    assert 400 == taken.status_code
    assert f"{member}_required" in taken.text


@pytest.mark.parametrize(("who", "status"), [("member", 403), ("holder", 503)])
async def test_rights_before_room(serve: Serve, monkeypatch: pytest.MonkeyPatch, who: str, status: int) -> None:
    """A caller without rights gets 403 at once, however full the room is, and none of its content is read."""
    room, came = DocumentRoom(budget=1), False
    monkeypatch.setattr(app, "DocumentRoom", lambda: room)
    service = await serve_accounts(serve)

    async def content() -> AsyncIterator[bytes]:
        nonlocal came
        came = True
        yield b"{}"

    fields = {**bearing(who), "Content-Type": "application/json", "Content-Length": "3000000", "Expect": "100-continue"}
    with room.document("other") as hold:
        hold(1)
        async with asyncio.timeout(5):
            response = await service.send("PATCH", f"/organization/group/{TEAM}/profile", fields, content())

    assert status == response.status_code
    assert came == (status == 503)


async def test_announced(serve: Serve) -> None:
    """Documents that announce all the room and send little of it do not delay another picture."""
    service = await serve()
    url, fields = f"/organization/group/{TEAM}/profile", {"Content-Type": "application/json"}
    await service.send("PUT", f"/api/v1/objects/organization_group/{TEAM}", fields, b"{}")
    begun, end = asyncio.Semaphore(0), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"picture":"'
        begun.release()
        await end.wait()

    announced = {**fields, "Content-Length": str(BUDGET // 20)}
    slow = [asyncio.create_task(service.send("PATCH", url, announced, slowly())) for _ in range(20)]
    for _ in range(20):
        await begun.acquire()
    async with asyncio.timeout(5):
        honest = await service.send("PATCH", url, fields, json.dumps({"picture": b64encode(PNG).decode()}).encode())
    end.set()
    await asyncio.gather(*slow, return_exceptions=True)

    assert 200 == honest.status_code
