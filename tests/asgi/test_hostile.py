"""
The whole service and fields that are made to hurt, content that is shorter than announced, and content that pauses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from holdfast.service.asgi.receiving import content as asgi_content
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.core.content.content import Stop
from holdfast.service.protocols.http.fields import parse_file_name, parse_media_type
from holdfast.storage.records import State
from tests.asgi.wire import Wire, scope
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry, span
from tests.protocols.service import EMPTY, HALF, IMAGE, LENGTH, Service

KiB = 1024
LONG = 30 * KiB  # what still goes into a head
APPENDS: dict[str, tuple[str, Mapping[str, str]]] = {
    "tus": ("/files/{key}", tus_requests.at(0)),
    "the attachments API": (ENTRY_URL, span(0, LENGTH - 1)),
    "the IETF draft": ("/files/{key}", draft_requests.append(0, "?1")),
}

HOSTILE = {
    "very long": "a/" + "b" * LONG,
    "a long parameter": "a/b;c=" + "d" * LONG,
    "control characters": "a/b;c=\x00\x01\x1b\x7f",
    "a line break": 'a/b;filename="c\r\nX: y"',
    "an unended quote": 'a/b;filename="' + "c" * LONG,
    "unended escapes": 'a/b;filename="' + "\\" * (LONG + 1),
    "many unended quotes": 'a/b;filename="' * (LONG // 14),
    "many semicolons": "a/b" + ";" * LONG,
    "semicolons and spaces": "a/b" + "; \t" * (LONG // 3),
    "a semicolon and spaces": "a/b;" + " " * LONG,
    "many parameters": "a/b" + ";c=d" * (LONG // 4) + ";",
    "many quoted parameters": "a/b" + ';c="d"' * (LONG // 6) + "!",
    "many file names": "a/b" + ";filename*=UTF-8''" * (LONG // 18),
    "slashes": "/" * LONG,
    "not ASCII": "\u00e4/\U0001f600;filename=\u202e",
    "broken escapes": "a/b;filename*=UTF-8''" + "%" * LONG,
    "nothing": "",
}


@pytest.mark.parametrize("name", ["Content-Type", "Content-Disposition"])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_descriptions(service: Service, value: str, name: str) -> None:
    """Whatever a type or a disposition says, a request is accepted or refused as the client's mistake, at once."""
    key = await service.keep(EMPTY)
    creations = [
        ("/files", tus_requests.creation(LENGTH), IMAGE),
        ("/files", draft_requests.creation("?1"), IMAGE),
        (COMMUNITY_URL, JSON, entry()),
    ]
    appends = [(path.replace("{key}", key), fields, IMAGE) for path, fields in APPENDS.values()]
    statuses = []
    started = time.process_time()
    for path, fields, content in (*creations, *appends):
        method = "PATCH" if key in path else "POST"
        response = await service.send(method, path, {**fields, name: value}, content)
        statuses.append(response.status_code)
        if response.status_code == 201 and path == "/files":
            statuses.append((await service.send("GET", response.headers["Location"])).status_code)
    elapsed = time.process_time() - started

    assert [] == [status for status in statuses if not 200 <= status < 500]
    assert elapsed < 1


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_descriptions_take_linear_time(value: str) -> None:
    """A hundred times as much takes no noticeable time either."""
    started = time.process_time()
    for text in (value, value * 100):
        parse_media_type(text)
        parse_file_name(text)

    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("concat", ["partial", "final;/files/aaaaaaaaaa /files/bbbbbbbbbb", "", "nonsense"])
@pytest.mark.parametrize("length", [LENGTH, None], ids=["with a length", "without"])
async def test_concatenation(service: Service, concat: str, length: int | None) -> None:
    """An upload that is to be a part, or made of parts, is refused before anything is created."""
    response = await service.send("POST", "/files", tus_requests.creation(length, Upload_Concat=concat))

    assert (400, "concatenation_not_supported") == (response.status_code, response.text.partition(":")[0])
    assert "Location" not in response.headers


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\u00a0", "\x85"], ids=ascii)
@pytest.mark.parametrize("name", ["Upload-Offset", "Content-Type", "Transfer-Encoding"])
@pytest.mark.parametrize("at_end", [False, True], ids=["before", "behind"])
async def test_what_is_no_white_space(service: Service, name: str, space: str, at_end: bool) -> None:
    """Spaces and tabs around a value mean nothing; any other character makes another value of it."""
    key = await service.keep(EMPTY)
    described = {"Transfer-Encoding": "chunked"} if name == "Transfer-Encoding" else {"Content-Length": str(LENGTH)}
    fields = {**tus_requests.at(0), **described}
    statuses = []
    for around in (space, " \t"):
        value = fields[name] + around if at_end else around + fields[name]
        headers = [
            (known.lower().encode(), (value if known == name else text).encode("latin-1")) for known, text in fields.items()
        ]
        wire = Wire()
        wire.content(IMAGE, more=False)
        wire.leave()
        await wire.start(service.app, scope("PATCH", f"/files/{key}", headers=[(b"host", b"a"), *headers]))
        record = await service.record(key)

        assert record is not None
        statuses.append((wire.status if wire.sent else None, record.offset))

    assert statuses[0][1] == 0
    assert statuses[0][0] is None or 400 <= statuses[0][0] <= 501
    assert (204, LENGTH) == statuses[1]


@pytest.mark.parametrize("kept", [0, 1, HALF, LENGTH - 1])
@pytest.mark.parametrize(("path", "fields"), APPENDS.values(), ids=APPENDS.keys())
async def test_end_before_the_announced_length(service: Service, path: str, fields: Mapping[str, str], kept: int) -> None:
    """A server that calls content ended before its announced length tells of a cut: what came is kept, nothing is complete."""
    key = await service.keep(EMPTY)
    wire = Wire()
    wire.content(IMAGE[:kept], more=False)
    described = {**fields, "Content-Length": str(LENGTH)}
    await wire.refused(wire.start(service.app, scope("PATCH", path.replace("{key}", key), described)))
    record = await service.record(key)

    assert record is not None
    assert (State.OPEN, kept) == (record.state, record.offset)
    assert IMAGE[:kept] == await service.content(key)


@pytest.mark.parametrize("kept", [0, HALF, LENGTH - 1, LENGTH])
async def test_content_has_ended_at_its_announced_length(kept: int) -> None:
    """Content that a server calls ended has ended if as much came as was announced, and was cut otherwise."""
    wire = Wire()
    wire.content(IMAGE[:kept], more=False)
    content = asgi_content.RequestContent(scope("PATCH", "/"), wire.receive, LENGTH, ReceiveTimers(idle_timeout=60))
    received = bytes(await content.read(LENGTH))
    content.close()

    assert IMAGE[:kept] == received
    assert (kept == LENGTH, None if kept == LENGTH else Stop.DISCONNECTED) == (content.ended, content.stopped)


@pytest.mark.parametrize("at", [1, HALF, LENGTH], ids=["one byte", "half", "every byte, but not the end"])
@pytest.mark.parametrize("protocol", ["tus", "the IETF draft"])
async def test_what_a_crash_after_a_pause_leaves(
    service: Service, monkeypatch: pytest.MonkeyPatch, protocol: str, at: int
) -> None:
    """When content pauses, what came is recorded while the request is still open, so that a crash would not take it back."""
    monkeypatch.setattr(ReceiveTimers, "check_every", 0.01)
    path, fields = APPENDS[protocol]
    key = await service.keep(EMPTY)
    wire = Wire()
    chunked = {**fields, "Transfer-Encoding": "chunked"}
    task = wire.start(service.app, scope("PATCH", path.replace("{key}", key), chunked))
    wire.content(IMAGE[:at])
    until = time.monotonic() + 5
    while (during := await service.record(key)) is not None and during.offset < at and time.monotonic() < until:
        await wire.idle()
        await asyncio.sleep(0.01)
    wire.content(IMAGE[at:], more=False)
    await task
    after = await service.record(key)

    assert during is not None
    assert after is not None
    assert (State.OPEN, at) == (during.state, during.offset)
    assert (204, State.COMPLETE, LENGTH) == (wire.status, after.state, after.offset)
