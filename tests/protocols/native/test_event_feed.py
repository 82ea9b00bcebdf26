"""
The feed of events in the native JSON API: its cursor, its filters, and what it refuses.
"""

from __future__ import annotations

import pytest

from tests.protocols.access.accounts import KELP, bearing, serve_accounts
from tests.protocols.service import Serve, Service

FEED = "/api/v1/events"
JSON = {"Content-Type": "application/json"}
TUS = {"Tus-Resumable": "1.0.0"}


async def happened(service: Service) -> list[str]:
    """Let something happen, and return the keys of two uploads."""
    await service.send("PUT", f"/api/v1/objects/user/{KELP}", JSON, b"{}")
    begun = [await service.send("POST", "/files", TUS | {"Upload-Length": "5"}) for _ in range(2)]
    return [answer.headers["Location"].rpartition("/")[2] for answer in begun]


async def test_an_empty_page_repeats_the_cursor(serve: Serve) -> None:
    """The cursor is never null: a feed that is read to its end, or has nothing in it, is asked again with what it told."""
    service = await serve()
    nothing = (await service.send("GET", FEED)).json()
    key, _ = await happened(service)
    news = (await service.send("GET", f"{FEED}?after={nothing['next']}")).json()
    again = (await service.send("GET", f"{FEED}?after={news['next']}")).json()
    of_one = (await service.send("GET", f"/api/v1/attachments/{key}/events?after={news['next']}")).json()

    assert {"items": [], "next": "", "more": False} == nothing
    assert (3, news["items"][-1]["cursor"]) == (len(news["items"]), news["next"])
    assert [{"items": [], "next": news["next"], "more": False}] * 2 == [again, of_one]


@pytest.mark.parametrize(
    ("given", "types"),
    [
        ("type=upload.created", ["upload.created"] * 2),
        ("attachment={key}", ["upload.created"]),
        (f"object=user/{KELP.upper()}", ["object.registered"]),
        ("type=upload.created&object=user/7", []),
        ("attachment=nobodysKey", []),
        ("communityKey=1&limit=1", ["object.registered"]),
    ],
)
async def test_filters(serve: Serve, given: str, types: list[str]) -> None:
    """Only what agrees with all that is given is told."""
    service = await serve()
    key, _ = await happened(service)
    page = (await service.send("GET", f"{FEED}?{given.replace('{key}', key)}")).json()

    assert types == [event["type"] for event in page["items"]]


async def test_who_did_it(serve: Serve) -> None:
    """Events are found by the account that caused them, of the tenant and of one attachment."""
    service = await serve_accounts(serve)
    begun = await service.send("POST", "/files", {**bearing("owner"), **TUS, "Upload-Length": "5"})
    key = begun.headers["Location"].rpartition("/")[2]
    paths = (f"{FEED}?actor={KELP}", f"{FEED}?actor=root&attachment={key}", f"/api/v1/attachments/{key}/events?actor=root")
    found = [(await service.send("GET", path, bearing("admin"))).json()["items"] for path in paths]

    assert [["upload.created"], [], []] == [[event["type"] for event in items] for items in found]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{FEED}?after=999", "cursor_invalid"),
        (f"{FEED}?after=0", "cursor_invalid"),
        (f"{FEED}?after=kelp", "cursor_invalid"),
        ("/api/v1/attachments/{key}/events?after=999", "cursor_invalid"),
        (f"{FEED}?afer=1", "parameter_unknown"),
        (f"{FEED}?Type=upload.created", "parameter_unknown"),
        ("/api/v1/attachments/{key}/events?attachment={key}", "parameter_unknown"),
        ("/api/v1/objects/user?kind=user", "parameter_unknown"),
        ("/api/v1/objects/user?type=upload.created", "parameter_unknown"),
        (f"{FEED}?type=", "filter_invalid"),
        (f"{FEED}?type=created", "filter_invalid"),
        (f"{FEED}?attachment=short", "filter_invalid"),
        (f"{FEED}?object=user", "filter_invalid"),
        (f"{FEED}?object=user/a%20b", "filter_invalid"),
        (f"{FEED}?actor=%00", "filter_invalid"),
        (f"{FEED}?type=a.b&type=a.b", "repeated_value"),
    ],
)
async def test_refused(serve: Serve, path: str, code: str) -> None:
    """What is not known, or cannot be understood, is refused: else a client would read more than it asked for, or nothing."""
    service = await serve()
    key, _ = await happened(service)
    answer = await service.send("GET", path.replace("{key}", key))

    assert (400, code) == (answer.status_code, answer.json()["title"])
