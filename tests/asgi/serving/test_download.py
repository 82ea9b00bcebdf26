"""
Downloads over the whole service: fields, ranges, stores that fail, and clients that leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.service.core.content.sniffing import TEXT_BYTES
from holdfast.service.protocols.http.representation import IMAGE_POLICY
from holdfast.service.stores import Stores
from holdfast.storage.errors import Unavailable
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.records import State, UploadRecord
from tests.asgi.wire import Wire, scope
from tests.protocols.draft_requests import INTEROP
from tests.protocols.service import (
    CANCELLED,
    COMPLETE,
    EXPIRED,
    HALF_SENT,
    IMAGE,
    LENGTH,
    NOTHING,
    OVERDUE,
    RECEIVED,
    REJECTED,
    Facts,
    Given,
    Serve,
    Service,
)
from tests.protocols.tus_requests import VERSION

PATHS = ["/files/{key}", "/files/{key}/", "/.api2/binaries/{key}/download/photo.png", "/.api2/binaries/{key}/download/any"]
NAMED: Facts = {**COMPLETE, "name": "photo.png", "content_type": "image/png"}


class Reluctant(MemoryByteStore):
    """
    A store that reads in blocks of four bytes, and fails after *blocks* of them.
    """

    def __init__(self, blocks: int = 1000) -> None:
        super().__init__()
        self.blocks = blocks
        self.read_blocks = 0
        self.closed = False

    async def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        try:
            for at in range(start, stop, 4):
                if self.read_blocks == self.blocks:
                    raise Unavailable("the disk does not answer")
                self.read_blocks += 1
                async for block in super().read(record, at, min(at + 4, stop)):
                    yield block
        finally:
            self.closed = True


async def _serve(serve: Serve, content: MemoryByteStore) -> Service:
    return await serve(stores=Stores(content=content, metadata=MemoryMetadataStore(), leases=MemoryLeases()))


@pytest.mark.parametrize("path", PATHS)
async def test_whole(service: Service, path: str) -> None:
    """A complete upload is served whole under each of its URLs."""
    key = await service.keep(NAMED)
    response = await service.send("GET", path.replace("{key}", key))
    fields = {name: response.headers[name] for name in ("Content-Type", "Content-Disposition", "Content-Length")}

    assert (200, IMAGE) == (response.status_code, response.content)
    assert {
        "Content-Type": "image/png",
        "Content-Disposition": 'inline; filename="photo.png"',
        "Content-Length": str(LENGTH),
    } == fields
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == IMAGE_POLICY


@pytest.mark.parametrize("path", PATHS)
async def test_head(service: Service, path: str) -> None:
    """HEAD has the fields of GET, and no content; where it tells an offset besides, its answer is not stored."""
    key = await service.keep(NAMED)
    got = await service.send("GET", path.replace("{key}", key))
    asked = await service.send("HEAD", path.replace("{key}", key))
    told = {name: value for name, value in asked.headers.items() if not name.startswith("upload-")}

    cached = "no-store" if "upload-offset" in asked.headers else got.headers["cache-control"]

    assert (200, b"") == (asked.status_code, asked.content)
    assert {**got.headers, "cache-control": cached} == told


@pytest.mark.parametrize("path", PATHS)
async def test_range(service: Service, path: str) -> None:
    """A range is 206, and its bytes."""
    key = await service.keep(NAMED)
    response = await service.send("GET", path.replace("{key}", key), {"Range": "bytes=2-5"})

    assert (206, IMAGE[2:6]) == (response.status_code, response.content)
    assert ("bytes 2-5/20", "4") == (response.headers["Content-Range"], response.headers["Content-Length"])


async def test_unsatisfiable_range(service: Service) -> None:
    """A range that is not there is 416, with the length."""
    key = await service.keep(NAMED)
    response = await service.send("GET", f"/files/{key}", {"Range": "bytes=20-"})

    assert (416, "bytes */20", b"") == (response.status_code, response.headers["Content-Range"], response.content)


async def test_not_modified(service: Service) -> None:
    """Who has it already is told so, without content."""
    key = await service.keep(NAMED)
    first = await service.send("GET", f"/files/{key}")
    again = await service.send("GET", f"/files/{key}", {"If-None-Match": first.headers["ETag"]})

    assert (304, b"", first.headers["ETag"]) == (again.status_code, again.content, again.headers["ETag"])


@pytest.mark.parametrize("fields", [VERSION, {}], ids=["tus", "no protocol"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        (NOTHING, 404),
        (HALF_SENT, 404),
        (CANCELLED, 404),
        (EXPIRED, 410),
        (OVERDUE, 410),
        (REJECTED, 422),
        ({**COMPLETE, "tenant": "2"}, 404),
    ],
    ids=["unknown", "unfinished", "cancelled", "expired", "overdue", "rejected", "of another tenant"],
)
async def test_nothing_to_download(service: Service, given: Given, status: int, fields: dict[str, str]) -> None:
    """What is not a complete upload is not served, and not cached."""
    key = await service.keep(given)
    response = await service.send("GET", f"/files/{key}", fields)

    assert (status, "no-store") == (response.status_code, response.headers["Cache-Control"])
    assert (fields.get("Tus-Resumable")) == response.headers.get("Tus-Resumable")


async def test_question_of_the_draft(service: Service) -> None:
    """GET with an interop version asks for the offset, and gets no content."""
    key = await service.keep(NAMED)
    response = await service.send("GET", f"/files/{key}", INTEROP)

    assert (204, b"", "20") == (response.status_code, response.content, response.headers["Upload-Offset"])


async def test_interrupted_finish(service: Service) -> None:
    """A download drives a finish that was interrupted, and is served."""
    key = await service.keep(RECEIVED)
    response = await service.send("GET", f"/files/{key}")
    record = await service.record(key)

    assert record is not None
    assert (200, IMAGE, State.COMPLETE) == (response.status_code, response.content, record.state)


async def test_store_that_fails_at_once(serve: Serve) -> None:
    """A store that fails before the first byte is 503, not a broken download."""
    service = await _serve(serve, Reluctant(blocks=0))
    key = await service.keep(NAMED)
    response = await service.send("GET", f"/files/{key}")

    assert (503, True) == (response.status_code, "Retry-After" in response.headers)


async def test_store_that_fails_later(serve: Serve) -> None:
    """A store that fails in the middle breaks the download off: its end is not made up."""
    store = Reluctant(blocks=2)
    service = await _serve(serve, store)
    key = await service.keep(NAMED)
    wire = Wire()
    wire.content(more=False)
    task = wire.start(service.app, scope("GET", f"/files/{key}"))
    await asyncio.wait([task])
    last = wire.sent[-1]

    assert (200, str(LENGTH)) == (wire.status, wire.fields["content-length"])
    assert IMAGE.startswith(wire.body)
    assert len(wire.body) < LENGTH
    assert task.exception() is not None or last.get("more_body", False)


async def test_client_that_leaves(serve: Serve) -> None:
    """When the client leaves, nothing more is read for it, and the store is let go."""
    store = Reluctant()
    service = await _serve(serve, store)
    key = await service.keep({**NAMED, "length": 4000, "offset": 4000}, b"x" * 4000)
    wire = Wire()
    wire.content(more=False)
    wire.leave()
    task = wire.start(service.app, scope("GET", f"/files/{key}"))
    await asyncio.wait_for(asyncio.wait([task]), 5)

    assert store.closed
    assert store.read_blocks < 1000


async def test_download_disturbs_nobody(service: Service) -> None:
    """Asking for an unfinished upload's content does not end the append that is under way."""
    key = await service.keep({})
    wire = Wire()
    append = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    task = wire.start(service.app, scope("PATCH", f"/files/{key}", {**append, "Content-Length": "20"}))
    wire.content(IMAGE[:5])
    await wire.idle()
    response = await service.send("GET", f"/files/{key}")
    wire.content(IMAGE[5:], more=False)
    await task

    assert (404, 204, "20") == (response.status_code, wire.status, wire.fields["upload-offset"])


async def test_large(service: Service) -> None:
    """What is larger than any block comes whole."""
    content = bytes(range(256)) * 12_000
    key = await service.keep({**NAMED, "length": len(content), "offset": len(content)}, content)
    response = await service.send("GET", f"/files/{key}")

    assert content == response.content


TEXTS: dict[str, tuple[str, bytes, str]] = {
    "ASCII": ("text/plain", b"kelp", "text/plain; charset=utf-8"),
    "UTF-8": ("text/html", "Größe".encode(), "text/html; charset=utf-8"),
    "Latin-1": ("text/plain", b"Gr\xf6\xdfe", "text/plain"),
    "a type with parameters": ("Text/CSV; header=present", b"a,b", "Text/CSV; header=present; charset=utf-8"),
    "a charset of its own": ("text/plain; charset=iso-8859-1", b"kelp", "text/plain; charset=iso-8859-1"),
    "no text": ("application/json", b"{}", "application/json"),
    "a character cut where nobody looks any more": (
        "text/plain",
        b"a" * (TEXT_BYTES - 1) + "ö".encode(),
        "text/plain; charset=utf-8",
    ),
    "what is none where nobody looks any more": ("text/plain", b"a" * TEXT_BYTES + b"\xff", "text/plain; charset=utf-8"),
    "a character cut at the end": ("text/plain", "Größ".encode()[:-1], "text/plain"),
    "nothing at all": ("text/plain", b"", "text/plain"),
}


@pytest.mark.parametrize(("declared", "content", "told"), TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("path", ["/files/{key}", "/.api2/binaries/{key}/download/any"])
async def test_charset(service: Service, path: str, declared: str, content: bytes, told: str) -> None:
    """A text that begins as UTF-8 is told to be that, unless its client named a charset: in answers to GET and HEAD alike."""
    facts = {**COMPLETE, "offset": len(content), "length": len(content), "content_type": declared}
    key = await service.keep(facts, content)
    answers = [await service.send(method, path.replace("{key}", key)) for method in ("HEAD", "GET", "GET")]
    document = (await service.send("GET", f"/api/v1/attachments/{key}")).json()

    assert [told] * 3 == [answer.headers["Content-Type"] for answer in answers]
    assert (content, declared) == (answers[1].content, document["contentType"])
