"""
The one read of the older Igloo API.
"""

from __future__ import annotations

import pytest

from tests.pictures import PNG
from tests.protocols.attachments_requests import COMMUNITY_URL
from tests.protocols.service import CANCELLED, HALF, HALF_SENT, NOTHING, Given, Serve

VIEWS = ["/.api/api.svc//attachments/{key}/view", "/.api/api.svc/attachments/{key}/view"]


@pytest.mark.parametrize("path", VIEWS)
async def test_an_attachment(serve: Serve, path: str) -> None:
    """With one slash or two, the answer is what the attachments API tells of the attachment, in an envelope."""
    service = await serve()
    key = await service.photo()
    told = await service.send("GET", f"{COMMUNITY_URL}/uploads/{key}")
    viewed = await service.send("GET", path.replace("{key}", key))
    half = await service.send("GET", path.replace("{key}", await service.keep(HALF_SENT)))

    assert (200, {"response": told.json()}) == (viewed.status_code, viewed.json())
    assert (len(PNG), f"/.api2/binaries/{key}/download/{key}") == (told.json()["contentLength"], told.json()["binaryLocation"])
    assert (200, HALF) == (half.status_code, half.json()["response"]["offset"])


@pytest.mark.parametrize(
    ("given", "method", "status", "code"),
    [
        (NOTHING, "GET", 404, "not_found"),
        (CANCELLED, "GET", 410, "gone"),
        (HALF_SENT, "POST", 405, "method_not_allowed"),
        (HALF_SENT, "DELETE", 405, "method_not_allowed"),
    ],
)
async def test_refused(serve: Serve, given: Given, method: str, status: int, code: str) -> None:
    """Refusals have the shape of the attachments API, and nothing is changed."""
    service = await serve()
    key = await service.keep(given)
    before = await service.record(key)
    answer = await service.send(method, VIEWS[0].replace("{key}", key))

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert before == await service.record(key)
