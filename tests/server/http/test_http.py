"""
The real server on a real connection: what cannot be said in ASGI.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.server.http import MAX_OUTSIDE
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, FORM, form
from tests.server.servers import Server

KiB = 1024
MiB = 1024 * KiB


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

    assert await server.settled(path) == size


async def test_reset(server: Server) -> None:
    """When a connection is reset, the bytes that the server had read are kept."""
    path = await server.create(4 * MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(4 * MiB)}, b"x" * 300_000)
    await connection.writer.drain()
    await asyncio.sleep(0.5)
    connection.reset()

    assert await server.settled(path) == 300_000


async def test_half_closed(server: Server) -> None:
    """A client that ends its side in the middle of content loses nothing, and nothing is made up."""
    path = await server.create(100)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": "100"}, b"x" * 40)
    connection.writer.write_eof()
    await connection.rest()

    assert await server.settled(path) == 40


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
