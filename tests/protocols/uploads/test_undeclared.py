"""
Requests that name no protocol: what a browser asks, and what somebody tries out with curl.
"""

from __future__ import annotations

import pytest

from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, JSON, entry
from tests.protocols.service import COMPLETE, EMPTY, IMAGE, UNKNOWN, Service

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=a"}
PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/files", FORM),
        ("POST", "/files", PARTS),
        ("POST", "/files", PLAIN),
        ("POST", "/files", {}),
        ("PUT", "/files", PLAIN),
        ("PATCH", "/files/{key}", PLAIN),
        ("PATCH", "/files/{key}", {}),
    ],
)
async def test_told_what_to_send(service: Service, method: str, path: str, fields: dict[str, str]) -> None:
    """Whoever names no protocol is told which there are, and changes nothing."""
    key = await service.keep(EMPTY)
    response = await service.send(method, path.replace("{key}", key), fields, IMAGE)
    problem = response.json()
    record = await service.record(key)

    assert (400, "application/problem+json", None) == (
        response.status_code,
        response.headers["Content-Type"],
        response.headers.get("Tus-Version"),
    )
    assert (400, "protocol_missing") == (problem["status"], problem["title"])
    assert all(name in problem["detail"] for name in ("Tus-Resumable: 1.0.0", "Upload-Complete"))
    assert record is not None
    assert record.offset == 0


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/files/{key}"), ("PATCH", "/files"), ("GET", "/files"), ("DELETE", "/files")]
)
async def test_other_methods(service: Service, method: str, path: str) -> None:
    """A method that means nothing here in any protocol is told so."""
    response = await service.send(method, path.replace("{key}", await service.keep(EMPTY)), PLAIN)

    assert (405, "method_not_allowed") == (response.status_code, response.json()["title"])


async def test_what_a_browser_asks(service: Service) -> None:
    """What is there is shown, what is not there is not found, and what was begun by any protocol can be given up."""
    begun, complete = await service.keep(EMPTY), await service.keep(COMPLETE)
    asked = [("GET", complete), ("HEAD", complete), ("GET", UNKNOWN), ("GET", "no key"), ("DELETE", begun)]
    answers = [await service.send(method, f"/files/{key}") for method, key in asked]

    assert [200, 200, 404, 404, 204] == [answer.status_code for answer in answers]
    assert ["upload_not_found"] * 2 == [answer.json()["title"] for answer in answers[2:4]]


@pytest.mark.parametrize(
    "fields",
    [{"Upload-Length": "20"}, {"Upload-Defer-Length": "1"}, {"Upload-Metadata": ""}, tus_requests.CONTENT_TYPE],
)
async def test_tus_without_a_version(service: Service, fields: dict[str, str]) -> None:
    """A request that has fields of tus is tus; without its version it gets the answer that tus has for that."""
    response = await service.send("POST", "/files", fields)

    assert (412, "1.0.0") == (response.status_code, response.headers["Tus-Version"])
    assert response.text.startswith("version_not_supported: ")


async def test_draft_without_a_version(service: Service) -> None:
    """A request that has fields of the IETF draft is that; its version need not be named."""
    key = await service.keep(EMPTY)
    fields = {"Content-Type": draft_requests.append(0, "?1")["Content-Type"], "Upload-Offset": "0"}
    response = await service.send("PATCH", f"/files/{key}", fields, IMAGE)

    assert response.json()["title"] != "protocol_missing"
    assert "Tus-Version" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", COMMUNITY_URL, entry()),
        ("PUT", "/api/v1/objects/user/0f8fad5b-d9cb-469f-a165-70867728950e", b"{}"),
    ],
)
async def test_byte_order_mark(service: Service, method: str, path: str, content: bytes) -> None:
    """A byte order mark before JSON is ignored, as it is before a picture in JSON."""
    answers = [await service.send(method, path, JSON, mark + content) for mark in (b"", b"\xef\xbb\xbf")]

    assert 2 == len([answer for answer in answers if answer.is_success])
