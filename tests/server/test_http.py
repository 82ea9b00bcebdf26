"""
The real server on a real connection: what cannot be said in ASGI.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from service.server.http import MAX_OUTSIDE
from service.server.run import bind, config
from service.settings import Settings
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, FORM, form

KiB = 1024
MiB = 1024 * KiB


@dataclass(frozen=True)
class Answer:
    """
    A response as it came.
    """

    status: int
    fields: Mapping[str, str]
    content: bytes


class Connection:
    """
    One connection to the server, on which bytes are written as the test says.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, method: str, path: str, fields: Mapping[str, str], content: bytes = b"") -> None:
        """
        Send a request; where *fields* tell no length, that of *content* is told.
        """
        told = {"host": "holdfast.test"} | {name.lower(): value for name, value in fields.items()}
        if not {"content-length", "transfer-encoding"} & told.keys() and content:
            told["content-length"] = str(len(content))
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)

    async def answer(self, method: str = "GET") -> Answer:
        """
        Return the next response.
        """
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")[:-2]
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = 0 if method == "HEAD" else int(fields.get("content-length", 0))
            return Answer(int(status.split()[1]), fields, await self.reader.readexactly(length))

    async def ask(self, method: str, path: str, fields: Mapping[str, str], content: bytes = b"") -> Answer:
        """
        Return the response to a request.
        """
        self.write(method, path, fields, content)
        return await self.answer(method)

    async def rest(self) -> bytes:
        """
        Return what comes until the server closes.
        """
        async with asyncio.timeout(10):
            return await self.reader.read()

    def reset(self) -> None:
        """
        Break the connection off, without a farewell.
        """
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """
    The server of ``holdfast serve``, in this process.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket = bind(settings)
        self._server = uvicorn.Server(config(settings))
        self._task: asyncio.Task[None] | None = None
        self._connections: list[Connection] = []

    async def start(self) -> None:
        """
        Begin to serve.
        """
        self._task = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    def end(self) -> None:
        """
        Begin to shut down.
        """
        self._server.should_exit = True

    async def close(self) -> None:
        """
        Return when it is gone.
        """
        for connection in self._connections:
            connection.writer.close()
        self.end()
        if self._task is not None:
            await asyncio.wait_for(self._task, 20)

    async def connect(self) -> Connection:
        """
        Return a new connection.
        """
        connection = Connection(*await asyncio.open_connection(*self._socket.getsockname()[:2]))
        self._connections.append(connection)
        return connection

    async def create(self, length: int) -> str:
        """
        Return the path of a new upload.
        """
        created = await (await self.connect()).ask("POST", "/files", tus_requests.creation(length))
        return "/files/" + created.fields["location"].rpartition("/")[2]

    async def offset(self, path: str) -> int:
        """
        Return how far an upload is.
        """
        return int((await (await self.connect()).ask("HEAD", path, tus_requests.VERSION)).fields["upload-offset"])


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:
    """Return a server over the embedded stores, whose threads make a request wait for more than its client."""
    for name, value in {"DATA_DIR": str(tmp_path), "DURABILITY": "none", "PORT": "0", "SHUTDOWN_GRACE": "5"}.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", value)
    running = Server(Settings())
    await running.start()
    yield running
    await running.close()


async def test_head_without_end(server: Server) -> None:
    """A head that does not end is refused as soon as it is too large, and the connection closed."""
    connection = await server.connect()
    connection.writer.write(b"GET /files HTTP/1.1\r\n")
    line = b"X-Long: " + b"x" * 1000 + b"\r\n"
    try:
        for _ in range(MAX_OUTSIDE // len(line) + 100):
            connection.writer.write(line)
            await connection.writer.drain()
        answer = await connection.rest()
    except ConnectionError:
        answer = b"HTTP/1.1 400"  # closed on us while we were writing, which is as good

    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("fields", [{f"X-{number}": "x" * 100 for number in range(1000)}, {"X": "x" * 100 * KiB}])
async def test_large_head(server: Server, fields: dict[str, str]) -> None:
    """A head that ends, but is too large, is 431 in the shape of its protocol."""
    answer = await (await server.connect()).ask("POST", "/files", tus_requests.creation(20) | fields)

    assert (431, "1.0.0") == (answer.status, answer.fields["tus-resumable"])


async def test_chunk_extensions_have_a_bound(server: Server) -> None:
    """What stands between chunks has a bound, as a head has."""
    path = await server.create(20)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Transfer-Encoding": "chunked"})
    try:
        connection.writer.write(b"1;")
        for _ in range(2 * MAX_OUTSIDE // (64 * KiB)):
            connection.writer.write(b"x" * 64 * KiB)
            await connection.writer.drain()
        answer = await connection.rest()
    except ConnectionError:
        answer = b""

    assert not answer.startswith(b"HTTP/1.1 2")


async def test_pipelined_requests(server: Server) -> None:
    """Requests that were sent behind content, without waiting for its answer, are answered in their order."""
    path = await server.create(300 * KiB)
    connection = await server.connect()
    content = b"x" * 100 * KiB
    for offset in (0, 100 * KiB, 200 * KiB):
        connection.write("PATCH", path, tus_requests.at(offset), content)
    connection.write("HEAD", path, tus_requests.VERSION)
    connection.write("GET", path, {})
    answers = [await connection.answer(method) for method in ("PATCH", "PATCH", "PATCH", "HEAD", "GET")]

    assert [204, 204, 204, 200, 200] == [answer.status for answer in answers]
    assert content * 3 == answers[-1].content


async def test_connection_stays(server: Server) -> None:
    """A connection serves many requests, of every protocol, with and without content."""
    connection = await server.connect()
    statuses = []
    for _ in range(3):
        created = await connection.ask("POST", "/files", draft_requests.creation("?0"), b"x")
        path = "/files/" + created.fields["location"].rpartition("/")[2]
        finished = await connection.ask("PATCH", path, draft_requests.append(1, "?1"), b"y")
        entry = await connection.ask("POST", COMMUNITY_URL, FORM, form())
        missing = await connection.ask("HEAD", "/files/0123456789", tus_requests.VERSION)
        statuses += [created.status, finished.status, entry.status, missing.status]

    assert [201, 204, 201, 404] * 3 == statuses


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("size", [1, 10_000, 65_536, 65_537, 300_000, 3 * MiB + 1])
async def test_abrupt_close(server: Server, size: int, chunked: bool) -> None:
    """Every byte that was received before the client went away is kept."""
    path = await server.create(4 * MiB)
    connection = await server.connect()
    described = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(4 * MiB)}
    content = b"x" * size
    connection.write("PATCH", path, tus_requests.at(0) | described, b"%x\r\n%b\r\n" % (size, content) if chunked else content)
    await connection.writer.drain()
    connection.writer.close()
    await connection.writer.wait_closed()

    assert await _settled(server, path) == size


async def test_reset(server: Server) -> None:
    """When a connection is reset, the bytes that the server had read are kept."""
    path = await server.create(4 * MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(4 * MiB)}, b"x" * 300_000)
    await connection.writer.drain()
    await asyncio.sleep(0.5)
    connection.reset()

    assert await _settled(server, path) == 300_000


async def test_half_closed(server: Server) -> None:
    """A client that ends its side in the middle of content loses nothing, and nothing is made up."""
    path = await server.create(100)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": "100"}, b"x" * 40)
    connection.writer.write_eof()
    await connection.rest()

    assert await _settled(server, path) == 40


async def test_resumed_at_once(server: Server) -> None:
    """A client whose connection hangs asks on another, is answered at once, and with every byte that had arrived."""
    path = await server.create(MiB)
    hanging = await server.connect()
    hanging.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(MiB)}, b"x" * 200_000)
    await hanging.writer.drain()
    await asyncio.sleep(0.5)
    started = asyncio.get_running_loop().time()
    offset = await server.offset(path)
    elapsed = asyncio.get_running_loop().time() - started
    finished = await (await server.connect()).ask("PATCH", path, tus_requests.at(offset), b"x" * (MiB - offset))

    assert (200_000, 204) == (offset, finished.status)
    assert elapsed < 1
    assert (await hanging.answer()).status == 423


@pytest.mark.parametrize("declared", [20, 10 * MiB])
async def test_expectation_of_what_is_refused(server: Server, declared: int) -> None:
    """A client that asks before it sends is refused without having to send."""
    connection = await server.connect()
    fields = tus_requests.at(0) | {"Expect": "100-continue", "Content-Length": str(declared)}
    answer = await connection.ask("PATCH", "/files/0123456789", fields)

    assert (404, "close") == (answer.status, answer.fields["connection"])
    assert await connection.rest() == b""


async def test_expectation_of_what_is_taken(server: Server) -> None:
    """A client that asks before it sends is told to go on."""
    path = await server.create(20)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Expect": "100-continue", "Content-Length": "20"})
    first = await connection.answer()
    connection.writer.write(b"x" * 20)
    second = await connection.answer()

    assert [100, 204] == [first.status, second.status]


async def test_shutdown(server: Server) -> None:
    """When the server ends, content under way ends too, what came is acknowledged, and the connection is closed."""
    path = await server.create(MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(MiB)}, b"x" * 200_000)
    await connection.writer.drain()
    await asyncio.sleep(0.5)
    server.end()
    answer = await connection.answer()

    assert (204, "200000", "close") == (answer.status, answer.fields["upload-offset"], answer.fields["connection"])
    assert await connection.rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /files\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost : a\r\n\r\n",
        b"PATCH /files/0123456789 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
    ],
    ids=[
        "nonsense",
        "no version",
        "a negative length",
        "a list of lengths",
        "two lengths",
        "a length and chunks",
        "a length of 5,000 digits",
        "a space before a colon",
        "a chunk without a size",
        "TLS",
        "nulls",
    ],
)
async def test_no_http(server: Server, head: bytes) -> None:
    """What is not HTTP is refused and the connection closed; nobody else notices."""
    connection = await server.connect()
    connection.writer.write(head)
    connection.writer.write_eof()
    answer = await connection.rest()
    other = await (await server.connect()).ask("GET", "/healthz", {})

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert other.status == 200


async def _settled(server: Server, path: str) -> int:
    """Return the offset of an upload whose client went away; asking at once would take it from the one who still reads."""
    await asyncio.sleep(0.3)
    return await server.offset(path)
