"""
The real server and clients that break rules, wait for ever, or ask for what it does not do: nobody else suffers, no byte is lost.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.asgi.requests import MAX_FIELDS
from tests.protocols import tus_requests
from tests.server.http.hostile import CONTENT, chunks, patch, rest_or_reset
from tests.server.servers import Answer, Connection, Server, StartServer

KiB = 1024
MiB = 1024 * KiB
SHORT = 0.5  # seconds

pytestmark = pytest.mark.usefixtures("quiet")


async def _write(connection: Connection, data: bytes, piece: int) -> None:
    """Send *data* in pieces that arrive one by one."""
    for at in range(0, len(data), piece):
        connection.writer.write(data[at : at + piece])
        await connection.writer.drain()
        await asyncio.sleep(0.002)


async def _download(server: Server, path: str) -> Answer:
    return await (await server.connect()).ask("GET", path, {})


UPGRADES = {
    "a web socket": (b"Connection: Upgrade", b"Upgrade: websocket"),
    "HTTP/2": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    "in a list": (b"Connection: keep-alive, upgrade", b"Upgrade: TLS/1.0, HTTP/2.0"),
    "twice": (b"Upgrade: h2c", b"Connection: upgrade", b"Upgrade: websocket"),
    "to nothing": (b"Connection: upgrade", b"Upgrade:"),
    "without a protocol": (b"Connection: upgrade",),
}


@pytest.mark.parametrize("piece", [64 * KiB, 7], ids=["at once", "in pieces"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES.keys())
async def test_upgrade_with_content(server: Server, lines: tuple[bytes, ...], chunked: bool, piece: int) -> None:
    """A request that offers an upgrade is an ordinary one (RFC 9110, section 7.8): its content arrives, and the next follows."""
    path = await server.create(len(CONTENT))
    described = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(CONTENT)
    connection = await server.connect()
    await _write(connection, patch(path, *lines, described) + (chunks(CONTENT) if chunked else CONTENT), piece)
    answer = await connection.answer()
    downloaded = await connection.ask("GET", path, {})

    assert (204, str(len(CONTENT))) == (answer.status, answer.fields["upload-offset"])
    assert (200, CONTENT) == (downloaded.status, downloaded.content)


async def test_many_upgrades_at_once(server: Server) -> None:
    """A pipeline of upgrades, as many as are read at once, is answered like any other."""
    count = 3000
    connection = await server.connect()
    connection.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n" * count)
    statuses = [(await connection.answer()).status for _ in range(count)]

    assert [200] * count == statuses


@pytest.mark.parametrize(
    "behind", [b"", b"\x16\x03\x01", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["", "TLS", "a request"]
)
@pytest.mark.parametrize("lines", [b"", b"Connection: upgrade\r\nUpgrade: a\r\n", b"Content-Length: 3\r\n"])
async def test_connect(server: Server, lines: bytes, behind: bytes) -> None:
    """CONNECT is refused, nothing behind it is taken for a request, and the connection is closed."""
    connection = await server.connect()
    connection.writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n" + lines + b"\r\n" + behind)
    answer = await connection.rest()

    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


async def test_connect_behind_a_request(server: Server) -> None:
    """CONNECT does not harm the answer to the request before it; then the connection is closed."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0), CONTENT)
    connection.writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
    answer = await connection.answer()
    rest = await connection.rest()

    assert (204, str(len(CONTENT))) == (answer.status, answer.fields["upload-offset"])
    assert rest.count(b"HTTP/1.1") <= 1


@pytest.mark.parametrize(
    "trailers",
    [
        b"X-Checksum: 1\r\n",
        b"Upload-Offset: 5\r\nTus-Resumable: 9\r\nHost: other.test\r\n",
        b"Upload-Length: 1\r\nX-HTTP-Method-Override: DELETE\r\n",
        b"X: y\r\n" * MAX_FIELDS * 2,
    ],
    ids=["one", "that repeat fields", "that change the meaning", "many"],
)
@pytest.mark.parametrize("piece", [64 * KiB, 11], ids=["at once", "in pieces"])
async def test_trailers(server: Server, trailers: bytes, piece: int) -> None:
    """Trailers behind chunked content are ignored: the content is right, and the connection is as usable as before."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    await _write(connection, patch(path, b"Transfer-Encoding: chunked") + chunks(CONTENT, trailers=trailers), piece)
    answer = await connection.answer()
    downloaded = await connection.ask("GET", path, {})

    assert (204, str(len(CONTENT))) == (answer.status, answer.fields["upload-offset"])
    assert (200, CONTENT) == (downloaded.status, downloaded.content)


@pytest.mark.parametrize(
    "trailers", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"no trailer\r\n", b"X : y\r\n"]
)
async def test_broken_trailers(server: Server, trailers: bytes) -> None:
    """Trailers that the parser refuses cost no byte of the content, and begin no other request."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    coded = chunks(CONTENT, trailers=trailers) + b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()
    connection.writer.write(patch(path, b"Transfer-Encoding: chunked") + coded)
    answers = await rest_or_reset(connection)

    assert b" 5" != answers[8:10]
    assert len(CONTENT) == await server.settled(path)


GARBAGE = [
    b"\x00" * 100,
    b"\xff\xfe garbage\r\n\r\n",
    b"GET\r\n\r\n",
    b"PATCH / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
]


@pytest.mark.parametrize("wait", [0.0, 0.2], ids=["at once", "later"])
@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_behind_a_request(server: Server, garbage: bytes, wait: float) -> None:
    """Garbage behind a request changes neither its effect nor its answer; then the connection is closed."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0), CONTENT)
    await asyncio.sleep(wait)
    connection.writer.write(garbage)
    answer = await connection.answer()
    rest = await rest_or_reset(connection)

    assert (204, str(len(CONTENT))) == (answer.status, answer.fields["upload-offset"])
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")
    assert (await _download(server, path)).content == CONTENT


@pytest.mark.parametrize("wait", [0.0, 0.2], ids=["at once", "later"])
@pytest.mark.parametrize("broken", [b"xyz\r\n", b"-1\r\n", b"\r\n\r\n", b"f" * 40 + b"\r\n", b"5 5\r\nabcde", b"\x00\x00"])
async def test_broken_chunk(server: Server, broken: bytes, wait: float) -> None:
    """A chunk that is none ends the content, and is 400; what came before it is kept, and no more."""
    path = await server.create(2 * len(CONTENT))
    connection = await server.connect()
    connection.writer.write(patch(path, b"Transfer-Encoding: chunked") + chunks(CONTENT).removesuffix(b"0\r\n\r\n"))
    await asyncio.sleep(wait)
    connection.writer.write(broken)
    answer = await connection.answer()

    assert (400, "close") == (answer.status, answer.fields["connection"])
    assert b"" == await connection.rest()
    assert len(CONTENT) == await server.settled(path)


async def test_broken_chunk_behind_others(server: Server) -> None:
    """Whoever breaks a request of a pipeline gets the answers to those before it, and none to what comes behind it."""
    path = await server.create(2 * len(CONTENT))
    connection = await server.connect()
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    connection.writer.write(ask * 2 + patch(path, b"Transfer-Encoding: chunked") + b"xyz\r\n" + ask)
    answers = [await connection.answer() for _ in range(2)]

    assert [200, 200] == [answer.status for answer in answers]
    assert b"" == await connection.rest()
    assert 0 == await server.settled(path)


async def test_broken_chunk_of_what_is_refused(server: Server) -> None:
    """Content that is refused and then breaks has had its answer."""
    connection = await server.connect()
    connection.writer.write(patch("/files/0123456789", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n")
    answer = await connection.answer()
    connection.writer.write(b"xyz\r\n")

    assert 404 == answer.status
    assert b"" == await connection.rest()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "])
async def test_head_that_does_not_end(start_server: StartServer, sent: bytes) -> None:
    """A connection on which no whole head comes is closed in time."""
    server = await start_server(uvicorn={"head_timeout": SHORT})
    connection = await server.connect()
    connection.writer.write(sent)
    started = asyncio.get_running_loop().time()
    rest = await rest_or_reset(connection)
    elapsed = asyncio.get_running_loop().time() - started

    assert b"" == rest
    assert SHORT * 0.8 < elapsed < SHORT + 1
    assert 0 == server.connections


@pytest.mark.parametrize("before", [0, 1], ids=["the first request", "the second request"])
async def test_slow_head(start_server: StartServer, before: int) -> None:
    """A head that comes byte by byte is not waited for longer than one that does not come."""
    server = await start_server(uvicorn={"head_timeout": SHORT})
    connection = await server.connect()
    for _ in range(before):
        await connection.ask("GET", "/healthz", {})

    async def drip() -> None:
        connection.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(1000):
            await asyncio.sleep(0.05)
            connection.writer.write(b"x")

    dripping = asyncio.ensure_future(drip())
    started = asyncio.get_running_loop().time()
    rest = await rest_or_reset(connection)
    elapsed = asyncio.get_running_loop().time() - started
    dripping.cancel()

    assert b"" == rest
    assert elapsed < SHORT + 1


async def test_slow_content_has_no_such_deadline(start_server: StartServer) -> None:
    """The deadline is the head's; content, its answer and a request behind it may take longer."""
    server = await start_server(uvicorn={"head_timeout": SHORT})
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    connection.writer.write(patch(path, b"Content-Length: %d" % len(CONTENT)))
    await _write_slowly(connection, CONTENT, 3 * SHORT)
    answer = await connection.answer()
    await asyncio.sleep(2 * SHORT)
    downloaded = await connection.ask("GET", path, {})

    assert (204, 200, CONTENT) == (answer.status, downloaded.status, downloaded.content)


async def _write_slowly(connection: Connection, data: bytes, seconds: float) -> None:
    for at in range(0, len(data), len(data) // 8):
        connection.writer.write(data[at : at + len(data) // 8])
        await asyncio.sleep(seconds / 8)


async def test_download_that_is_not_read(start_server: StartServer) -> None:
    """A client that asks for content and does not read it is dropped in time."""
    server = await start_server(IDLE_TIMEOUT="1")
    path = await server.create(64 * MiB)
    appending = await server.connect()
    appended = await appending.ask("PATCH", path, tus_requests.at(0), bytes(64 * MiB))
    appending.writer.close()
    connection = await server.connect()
    connection.write("GET", path, {})
    head = await connection.reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.5)
    before = server.connections
    await asyncio.sleep(1.5)
    after = server.connections
    rest = await rest_or_reset(connection)

    assert 204 == appended.status
    assert head.startswith(b"HTTP/1.1 200")
    assert 1 == before - after
    assert len(rest) < 64 * MiB
