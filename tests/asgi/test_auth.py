"""
A service without accounts: open to this machine, and to no other.
"""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from tests.pictures import GIF
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry
from tests.protocols.service import COMPLETE, HALF_SENT, LENGTH, Fields, Serve, Service

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ELSEWHERE = {
    "by a proxy that tells of it": ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}),
    "by a proxy that does not": ("127.0.0.1", {"X-Forwarded-Proto": "https"}),
    "by itself": ("192.0.2.1", {}),
}
PICTURE = b64encode(GIF).decode()
# A request of each kind, to an upload that is half there or complete.
REQUESTS: dict[str, tuple[str, str, Fields, bytes]] = {
    "tus: create": ("POST", "/files", tus_requests.creation(LENGTH), b""),
    "tus: offset": ("HEAD", "/files/{half}", tus_requests.VERSION, b""),
    "tus: cancel": ("DELETE", "/files/{half}", tus_requests.VERSION, b""),
    "IETF draft: create": ("POST", "/files", draft_requests.creation("?1"), b"content"),
    "attachments API: create": ("POST", COMMUNITY_URL, JSON, entry()),
    "attachments API: cancel": ("DELETE", ENTRY_URL.replace("{key}", "{half}"), {}, b""),
    "download": ("GET", "/files/{whole}", {}, b""),
    "binary": ("GET", "/.api2/binaries/{whole}/download/a", {}, b""),
    "thumbnail": ("GET", "/.api2/binaries/{whole}/thumbnails/a", {}, b""),
    "group avatar": (
        "POST",
        "/profile-manager/v1/groups/60af77fd294165466ccdf510/avatar",
        JSON | {"X-Symphony-Host": "a"},
        json.dumps({"image": PICTURE}).encode(),
    ),
    "group picture": ("PATCH", f"/organization/group/{GUID}/profile", JSON, json.dumps({"picture": PICTURE}).encode()),
    "native": ("PUT", f"/api/v1/objects/user/{GUID}", JSON, b"{}"),
}


async def _send(service: Service, name: str, fields: dict[str, str]) -> tuple[int, str]:
    method, path, own, content = REQUESTS[name]
    half, whole = await service.keep(HALF_SENT), await service.photo()
    response = await service.send(method, path.format(half=half, whole=whole), {**dict(own), **fields}, content)
    unchanged = await service.record(half)

    assert unchanged is not None
    assert (response.status_code < 400) or unchanged.state == "open"
    return response.status_code, response.text


@pytest.mark.parametrize("name", REQUESTS)
async def test_elsewhere(serve: Serve, name: str) -> None:
    """Whatever another machine asks, it is refused in the shape of the dialect, and told what the service needs."""
    for client, fields in ELSEWHERE.values():
        service = await serve(client=client)
        status, text = await _send(service, name, fields)

        assert status == 403
        assert REQUESTS[name][0] == "HEAD" or ("accounts_off" in text and "HOLDFAST_AUTH=jwt" in text)


@pytest.mark.parametrize("name", REQUESTS)
async def test_here(serve: Serve, name: str) -> None:
    """This machine is served, also by a proxy; and everybody where a setting says so."""
    local = await serve()
    opened = await serve(client="192.0.2.1", open_behind_proxy=True)
    answers = [
        await _send(local, name, {}),
        await _send(local, name, {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}),
        await _send(opened, name, {"X-Forwarded-For": "192.0.2.2"}),
    ]

    assert 403 not in [status for status, _ in answers]


async def test_told_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells of it once, however often somebody tries."""
    service = await serve(client="192.0.2.1")
    for _ in range(3):
        await service.send("GET", f"/files/{await service.keep(COMPLETE)}")

    assert ["a request from another machine was refused"] == [record.getMessage().split(":")[0] for record in caplog.records]


async def test_questions_about_the_service(serve: Serve) -> None:
    """What tells nothing of anybody is answered to everybody: how it is, and what it speaks."""
    service = await serve(client="192.0.2.1")
    asked = [("GET", "/healthz"), ("GET", "/openapi.json"), ("OPTIONS", "/files"), ("GET", "/avatars/static/150/default.png")]

    assert {200, 204} == {(await service.send(method, path)).status_code for method, path in asked}
