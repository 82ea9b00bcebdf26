"""
Content that is cut, comes too slowly, or is taken over, and stores that fail: what came is kept, and success is never invented.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from holdfast.service.asgi.receiving.buffers import Buffers
from holdfast.service.asgi.receiving.connection import EXTENSION
from holdfast.service.stores import Stores
from holdfast.storage.errors import NoSpace, Unavailable
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.content import Checkpoint, unrecorded
from holdfast.storage.records import Receipt, Ref, State, UploadRecord
from tests.asgi.wire import Wire, scope
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry, span
from tests.protocols.exchange import ANYTHING
from tests.protocols.service import COMPLETE, EMPTY, HALF, HALF_SENT, IMAGE, LENGTH, RECEIVED, Serve, Service

# An append of all twenty bytes in each protocol: its path, its fields, and how the one who loses the upload is told.
APPENDS: dict[str, tuple[str, Mapping[str, str], int]] = {
    "tus": ("/files/{key}", tus_requests.at(0), 423),
    "the attachments API": (ENTRY_URL, span(0, 19), 423),
    "the IETF draft": ("/files/{key}", draft_requests.append(0, "?1"), 409),
}
QUESTIONS: dict[str, tuple[str, Mapping[str, str], int]] = {
    "tus": ("/files/{key}", tus_requests.VERSION, 200),
    "the attachments API": (ENTRY_URL, {}, 202),
    "the IETF draft": ("/files/{key}", draft_requests.INTEROP, 204),
}
PROTOCOLS = list(APPENDS)


class Troubled(MemoryByteStore):
    """
    A store with room for *room* bytes of each append, whose next *failures* publications fail.
    """

    def __init__(self, *, room: int = 1000, failures: int = 0) -> None:
        super().__init__()
        self.room = room
        self.failures = failures

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        whole = b"".join([bytes(block) async for block in content])
        receipt = await super().append(record, _once(whole[: self.room]), checkpoint)
        if len(whole) > self.room:
            raise NoSpace("/data is full", receipt)
        return receipt

    async def complete(self, record: UploadRecord) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("/data does not answer")
        await super().complete(record)


class Silent(MemoryMetadataStore):
    """
    A store that does not answer while it is *silent*.
    """

    silent = False

    async def get(self, ref: Ref) -> UploadRecord:
        if self.silent:
            raise Unavailable("/data does not answer")
        return await super().get(ref)


class ConnectionExtension:
    """
    What a server offers that keeps its connections to itself, and says when it shuts down.
    """

    has_all = sends_files = False

    def __init__(self) -> None:
        self.on_shutdown: Callable[[], None] | None = None

    def remains(self) -> tuple[bytes, bool]:
        """Return nothing."""
        return b"", False

    def hand_over(self, _length: int, _buffers: Buffers) -> None:
        """Keep the connection."""


async def _once(content: bytes) -> AsyncIterator[memoryview]:
    yield memoryview(content)


def _begin(service: Service, protocol: str, key: str, length: int | None = LENGTH) -> tuple[Wire, asyncio.Task[None]]:
    """Begin an append of *length* bytes, and send none yet."""
    path, fields, _ = APPENDS[protocol]
    described = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    wire = Wire()
    return wire, wire.start(service.app, scope("PATCH", path.replace("{key}", key), {**fields, **described}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kept", [0, 1, HALF, LENGTH - 1])
async def test_cut(service: Service, protocol: str, kept: int) -> None:
    """When the client goes away in the middle, every byte that came is kept, and the upload goes on there."""
    key = await service.keep(EMPTY)
    wire, task = _begin(service, protocol, key)
    for position in range(kept):
        wire.content(IMAGE[position : position + 1])
    wire.leave()
    await task
    path, fields, status = QUESTIONS[protocol]
    asked = await service.send("HEAD", path.replace("{key}", key), fields)

    assert (status, str(kept)) == (asked.status_code, asked.headers["Upload-Offset"])
    assert await service.content(key) == IMAGE[:kept]


@pytest.mark.parametrize("protocol", ["tus", "the IETF draft"])
async def test_cut_while_chunked(service: Service, protocol: str) -> None:
    """Chunked content that is cut completes nothing, even where its request said that it would."""
    key = await service.keep({"length": None})
    wire, task = _begin(service, protocol, key, None)
    wire.content(IMAGE)
    wire.leave()
    await task
    record = await service.record(key)

    assert record is not None
    assert (State.OPEN, LENGTH) == (record.state, record.offset)


@pytest.mark.parametrize("newer", PROTOCOLS)
@pytest.mark.parametrize("older", PROTOCOLS)
async def test_question_evicts(service: Service, older: str, newer: str) -> None:
    """A question about the offset ends an append that is under way, and tells an offset that the next append can use."""
    key = await service.keep(EMPTY)
    wire, task = _begin(service, older, key)
    wire.content(IMAGE[:HALF])
    await wire.idle()
    path, fields, status = QUESTIONS[newer]
    asked = await asyncio.wait_for(service.send("HEAD", path.replace("{key}", key), fields), 1)
    wire.leave()
    await task

    assert (status, str(HALF)) == (asked.status_code, asked.headers["Upload-Offset"])
    assert APPENDS[older][2] == wire.status
    assert wire.fields["upload-offset"] == str(HALF)
    assert wire.fields["connection"] == "close"


@pytest.mark.parametrize("newer", PROTOCOLS)
@pytest.mark.parametrize("older", PROTOCOLS)
async def test_cancellation_evicts(service: Service, older: str, newer: str) -> None:
    """A cancellation ends an append that is under way, and is the last word."""
    key = await service.keep(EMPTY)
    wire, task = _begin(service, older, key)
    wire.content(IMAGE[:HALF])
    await wire.idle()
    path, fields, _ = QUESTIONS[newer]
    deleted = await asyncio.wait_for(service.send("DELETE", path.replace("{key}", key), fields), 1)
    wire.leave()
    await task
    record = await service.record(key)

    assert record is not None
    assert (204, State.CANCELLED) == (deleted.status_code, record.state)
    assert 400 <= wire.status < 500


async def test_newest_append_wins(service: Service) -> None:
    """Of two appends at the same offset the older ends, and the newer is told where the upload is."""
    key = await service.keep(EMPTY)
    wire, task = _begin(service, "tus", key)
    wire.content(IMAGE[:HALF])
    await wire.idle()
    late = await service.send("PATCH", f"/files/{key}", tus_requests.at(0), IMAGE)
    resumed = await service.send("PATCH", f"/files/{key}", tus_requests.at(HALF), IMAGE[HALF:])
    wire.leave()
    await task

    assert (409, str(HALF)) == (late.status_code, late.headers["Upload-Offset"])
    assert (204, 423) == (resumed.status_code, wire.status)
    assert await service.content(key) == IMAGE


async def test_resent_range_wins(service: Service) -> None:
    """A client of the attachments API that just sends everything again gets its file, while its first request hangs."""
    key = await service.keep(EMPTY)
    wire, task = _begin(service, "the attachments API", key)
    wire.content(IMAGE[:HALF])
    await wire.idle()
    again = await service.send("PATCH", ENTRY_URL.replace("{key}", key), span(0, 19), IMAGE)
    wire.leave()
    await task

    assert (200, 423, "1") == (again.status_code, wire.status, wire.fields["retry-after"])
    assert await service.content(key) == IMAGE


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_idle(serve: Serve, protocol: str) -> None:
    """Content that does not come on is 408 and the connection is closed; what came is kept."""
    service = await serve(idle_timeout=0.1)
    key = await service.keep(EMPTY)
    wire, task = _begin(service, protocol, key)
    wire.content(IMAGE[:HALF])
    await wire.refused(task)
    record = await service.record(key)

    assert record is not None
    assert (408, "close", HALF) == (wire.status, wire.fields["connection"], record.offset)


@pytest.mark.parametrize(
    "fields",
    [tus_requests.creation(20) | tus_requests.CONTENT_TYPE, draft_requests.creation("?1", Upload_Length="20")],
    ids=["tus", "the IETF draft"],
)
async def test_idle_creation(serve: Serve, fields: Mapping[str, str]) -> None:
    """A creation whose content does not come on tells where to go on."""
    service = await serve(idle_timeout=0.1)
    wire = Wire()
    task = wire.start(service.app, scope("POST", "/files", {**fields, "Content-Length": "20"}))
    wire.content(IMAGE[:HALF])
    await wire.refused(task)

    assert wire.fields.get("location") == ANYTHING
    assert wire.fields["upload-offset"] == str(HALF)


async def test_idle_document(serve: Serve) -> None:
    """A document that does not come on is 408, and creates nothing."""
    service = await serve(idle_timeout=0.1)
    wire = Wire()
    task = wire.start(service.app, scope("POST", COMMUNITY_URL, {**JSON, "Content-Length": str(len(entry()))}))
    wire.content(entry()[:5])
    await wire.refused(task)

    assert (408, None) == (wire.status, wire.fields.get("location"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_full_disk(serve: Serve, protocol: str) -> None:
    """A disk that is full is 507, and keeps what there was room for."""
    stores = Stores(content=Troubled(room=HALF), metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores)
    key = await service.keep(EMPTY)
    path, fields, _ = APPENDS[protocol]
    response = await service.send("PATCH", path.replace("{key}", key), fields, IMAGE)

    assert (507, str(HALF)) == (response.status_code, response.headers["Upload-Offset"])
    assert "/data" not in response.text
    assert await service.content(key) == IMAGE[:HALF]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_failed_finish(serve: Serve, protocol: str) -> None:
    """A finish that fails is 503 with Retry-After, never success; the same request again finishes."""
    stores = Stores(content=Troubled(failures=1), metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores)
    key = await service.keep(EMPTY)
    path, fields, _ = APPENDS[protocol]
    failed = await service.send("PATCH", path.replace("{key}", key), fields, IMAGE)
    between = await service.record(key)
    again = dict(fields) | ({} if protocol == "the attachments API" else {"Upload-Offset": str(LENGTH)})
    finished = await service.send("PATCH", path.replace("{key}", key), again, IMAGE if again == fields else b"")
    record = await service.record(key)

    assert between is not None
    assert record is not None
    assert (503, ANYTHING) == (failed.status_code, failed.headers.get("Retry-After"))
    assert (State.RECEIVED, State.COMPLETE) == (between.state, record.state)
    assert finished.is_success


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_question_finishes(serve: Serve, protocol: str) -> None:
    """A question about an upload whose finish was interrupted finishes it, or says that it could not."""
    stores = Stores(content=Troubled(failures=1), metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores)
    key = await service.keep(RECEIVED)
    path, fields, _ = QUESTIONS[protocol]
    failed = await service.send("HEAD", path.replace("{key}", key), fields)
    finished = await service.send("HEAD", path.replace("{key}", key), fields)
    record = await service.record(key)

    assert record is not None
    # tus clients begin anew after a HEAD that fails with a 5xx, and try again after a 423.
    assert (423 if protocol == "tus" else 503) == failed.status_code
    assert (True, State.COMPLETE) == (finished.is_success, record.state)


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_silent_store(serve: Serve, protocol: str, method: str) -> None:
    """A store that does not answer is a refusal to try again later, and no lost upload."""
    metadata = Silent()
    service = await serve(stores=Stores(content=MemoryByteStore(), metadata=metadata, leases=MemoryLeases()))
    key = await service.keep(COMPLETE if method == "GET" else HALF_SENT)
    before = await service.record(key)
    path, fields, _ = APPENDS[protocol] if method == "PATCH" else QUESTIONS[protocol]
    metadata.silent = True
    response = await service.send(method, path.replace("{key}", key), fields, IMAGE if method == "PATCH" else b"")
    metadata.silent = False

    assert (423 if (protocol, method) == ("tus", "HEAD") else 503) == response.status_code
    assert response.headers.get("Retry-After") == ANYTHING
    assert "/data" not in response.text
    assert before == await service.record(key)


async def test_many_questions(service: Service) -> None:
    """Whoever asks while others ask and send is answered, and the upload has nothing but what was sent."""
    key = await service.keep(EMPTY)
    requests = [service.send("PATCH", f"/files/{key}", tus_requests.at(0), IMAGE) for _ in range(10)]
    requests += [service.send("HEAD", f"/files/{key}", tus_requests.VERSION) for _ in range(10)]
    responses = await asyncio.gather(*requests)

    assert {response.status_code for response in responses} <= {200, 204, 409, 423}
    assert IMAGE.startswith(await service.content(key))


@pytest.mark.parametrize(
    ("protocol", "told"),
    [("tus", (204, None)), ("the attachments API", (202, None)), ("the IETF draft", (503, "1"))],
    ids=PROTOCOLS,
)
async def test_shutdown(service: Service, protocol: str, told: tuple[int, str | None]) -> None:
    """When the process ends, an append is answered with the offset; where that is a refusal, with when to come again."""
    key = await service.keep(EMPTY)
    path, fields, _ = APPENDS[protocol]
    extension, wire = ConnectionExtension(), Wire()
    described = {**fields, "Content-Length": str(LENGTH)}
    request = scope("PATCH", path.replace("{key}", key), described, extensions={EXTENSION: extension})
    task = wire.start(service.app, request)
    wire.content(IMAGE[:HALF])
    await wire.idle()
    assert extension.on_shutdown is not None
    extension.on_shutdown()
    await task

    assert told == (wire.status, wire.fields.get("retry-after"))
    assert str(HALF) == wire.fields["upload-offset"]
