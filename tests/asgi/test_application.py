"""
The short way to uploads.
"""

from __future__ import annotations

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.application import Application
from holdfast.service.asgi.cors import cors


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Be an application with a bug."""
    raise ZeroDivisionError


@pytest.mark.parametrize("path", ["/files", "/files/", "/files/0123456789"])
async def test_a_bug(path: str) -> None:
    """It is answered as anywhere else, and told to the server."""
    application = Application(broken, cors("*"), [])
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast.test") as client:
        answer = await client.get(path)

    assert (500, "internal_error") == (answer.status_code, answer.json()["title"])


@pytest.mark.parametrize("path", ["/", "/filesystem", "/file"])
async def test_other_ways(path: str) -> None:
    """What only looks like it goes to the router."""
    application = Application(broken, cors("*"), [])
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast.test") as client:
        answer = await client.get(path)

    assert 404 == answer.status_code
