"""
Documents that are held in memory: how much of them at once, who waits, and what those see that wait too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from holdfast.service import app
from holdfast.service.asgi.receiving.turns import Turns
from holdfast.service.protocols.http.wire import ProtocolError
from tests.protocols.access.accounts import TEAM
from tests.protocols.service import Serve

ROOM = 100


async def _is_taken(turns: Turns, client: str | None, size: int) -> bool:
    try:
        async with turns.turn(client, size):
            return True
    except ProtocolError:
        return False


@pytest.mark.parametrize(
    ("client", "size", "is_taken"),
    [
        ("other", 40, True),  # it is the last that fits
        ("other", 41, False),
        ("one", 30, True),  # its share is not full
        ("one", 31, False),
        (None, 40, True),  # clients that are not told apart have no share
        (None, 41, False),
    ],
)
async def test_room(client: str | None, size: int, is_taken: bool) -> None:
    """There is room for all clients together, and for each a share of it."""
    turns = Turns(0.01, ROOM, 50)
    async with turns.turn("one", 20), turns.turn(None, 40):
        assert is_taken == await _is_taken(turns, client, size)

    assert await _is_taken(turns, client, size)


async def test_larger_than_the_room() -> None:
    """A document that is larger than all the room is taken by itself."""
    turns = Turns(0.01, ROOM, 50)
    async with turns.turn("one", 1000):
        assert not await _is_taken(turns, "other", 1)

    assert await _is_taken(turns, "other", 1)


async def test_waiting() -> None:
    """Those that wait have their turn as soon as there is room."""
    turns = Turns(60, ROOM, ROOM)
    async with AsyncExitStack() as others:
        async with AsyncExitStack() as first:
            await first.enter_async_context(turns.turn("one", ROOM))
            waiting = [asyncio.create_task(others.enter_async_context(turns.turn(name, 50))) for name in "ab"]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
        await asyncio.wait_for(asyncio.gather(*waiting), 5)


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
    """While others fill the room, a client is asked to come again in a while; what it sends then is taken."""
    monkeypatch.setattr(app, "Turns", lambda _: Turns(0.05, budget=1))
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/{kind}/{TEAM}", {"Content-Type": "application/json"}, b"{}")
    fields = {"Content-Type": "application/json", "X-Symphony-Host": "kelp"}
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        begun.set()
        await go_on.wait()
        yield b"{}"

    slow = asyncio.create_task(service.send(method, url, fields, slowly()))
    await begun.wait()
    refused = await service.send(method, url, fields, b"{}")
    go_on.set()
    await slow
    taken = await service.send(method, url, fields, b"{}")

    assert expected[0] == refused.status_code
    assert expected[1] in refused.text
    assert "Retry-After" in refused.headers
    for response in (await slow, taken):
        assert 400 == response.status_code
        assert f"{member}_required" in response.text
