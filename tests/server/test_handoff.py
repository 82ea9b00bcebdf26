"""
The real server and content that goes straight from the connection into buffers: whatever a connection can do in the middle.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from holdfast.service.asgi.receiving.buffers import LITTLE
from holdfast.service.server.run import can_hand_over
from tests.protocols import tus_requests
from tests.server.http.hostile import patch, rest_or_reset
from tests.server.servers import Connection, Server, StartServer

KiB = 1024
MiB = 1024 * KiB
PLACES = 200

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.each_loop]


def _photo(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


async def _begin(server: Server, length: int, content: bytes) -> tuple[str, Connection]:
    """Begin an append of *length* bytes with *content*, and return when the server has read that."""
    path = await server.create(length)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(length)}, content)
    await connection.writer.drain()
    await asyncio.sleep(0.3)
    return path, connection


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_cut_into_two_segments_anywhere(server: Server) -> None:
    """Wherever content is cut into segments, every byte of it arrives, and the request right behind it is answered."""
    content = _photo(300 * KiB)
    places = [0, 1, len(content), *random.Random(1).sample(range(len(content)), PLACES - 3)]
    connection = await server.connect()
    for at in places:
        path = await server.create(len(content))
        connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(len(content))}, content[:at])
        await connection.writer.drain()
        await asyncio.sleep(0.002)
        connection.writer.write(content[at:] + f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        appended = await connection.answer()
        downloaded = await connection.answer()

        assert (204, str(len(content))) == (appended.status, appended.fields["upload-offset"])
        assert content == downloaded.content
    assert 0 == server.lent


async def test_ended_anywhere(server: Server) -> None:
    """Wherever a connection ends, every byte before that is kept, the buffers are free, and the rest may follow."""
    content = _photo(600 * KiB)

    async def end(at: int) -> tuple[str, int]:
        path = await server.create(len(content))
        connection = await server.connect()
        connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(len(content))}, content[:at])
        await connection.writer.drain()
        connection.writer.close()
        return path, at

    ended = []
    places = random.Random(2).sample(range(len(content)), PLACES)
    for first in range(0, PLACES, 20):
        ended += await asyncio.gather(*map(end, places[first : first + 20]))
    await asyncio.sleep(0.5)
    offsets = [await server.offset(path) for path, _ in ended]

    assert places == offsets
    assert 0 == server.lent
    connection = await server.connect()
    for path, at in ended[:20]:
        assert 204 == (await connection.ask("PATCH", path, tus_requests.at(at), content[at:])).status
        assert content == (await connection.ask("GET", path, {})).content


@pytest.mark.parametrize("length", [LITTLE - 1, LITTLE, 70 * KiB, MiB, 3 * MiB + 1])
async def test_pipelined_behind_content(server: Server, length: int) -> None:
    """Requests right behind content, in the same segment, are answered in their order, however much content there was."""
    content = _photo(length)
    paths = [await server.create(length) for _ in range(3)]
    connection = await server.connect()
    for path in paths:
        connection.write("PATCH", path, tus_requests.at(0), content)
        connection.write("HEAD", path, tus_requests.VERSION)
    answers = [await connection.answer(method) for _ in paths for method in ("PATCH", "HEAD")]
    downloads = [(await connection.ask("GET", path, {})).content for path in paths]

    assert [204, 200] * 3 == [answer.status for answer in answers]
    assert [content] * 3 == downloads


async def test_garbage_right_behind_content(server: Server) -> None:
    """What is no request behind content harms neither that content nor its answer; then the connection is closed."""
    path = await server.create(MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0), _photo(MiB))
    connection.writer.write(b"\x00 garbage \x00\r\n\r\n")
    answer = await connection.answer()
    rest = await rest_or_reset(connection)

    assert (204, str(MiB)) == (answer.status, answer.fields["upload-offset"])
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_connection_that_ends_with_the_answer(server: Server, version: bytes) -> None:
    """A client that wants no other request gets its answer and the end; what it sends behind its content is nothing."""
    path = await server.create(MiB)
    connection = await server.connect()
    head = patch(path, b"Connection: close", b"Content-Length: %d" % MiB).replace(b"HTTP/1.1", version)
    connection.writer.write(head + _photo(MiB) + b"DELETE %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
    answers = await rest_or_reset(connection)

    assert 1 == answers.count(b"HTTP/1.1 ")
    assert answers.startswith(b"HTTP/1.1 204")
    assert _photo(MiB) == (await (await server.connect()).ask("GET", path, {})).content


async def test_half_closed_after_the_content(server: Server) -> None:
    """A client that closes its side behind the last byte gets its answer."""
    path = await server.create(MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0), _photo(MiB))
    connection.writer.write_eof()

    assert (await connection.rest()).startswith(b"HTTP/1.1 204")
    assert MiB == await server.offset(path)


async def test_expectation(server: Server) -> None:
    """A client that asks before it sends is told to go on, once, and its connection goes on afterwards."""
    path = await server.create(MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Expect": "100-continue", "Content-Length": str(MiB)})
    first = await connection.answer()
    connection.writer.write(_photo(MiB))
    second = await connection.answer()
    third = await connection.ask("GET", path, {})

    assert [100, 204, 200] == [first.status, second.status, third.status]
    assert _photo(MiB) == third.content


async def test_content_that_did_not_wait_for_the_invitation(server: Server) -> None:
    """A client that asks, but sends at once, is served too."""
    path = await server.create(MiB)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Expect": "100-continue"}, _photo(MiB))
    statuses = [(await connection.answer()).status for _ in range(2)]

    assert [100, 204] == statuses


async def test_slow_content_holds_no_buffer(server: Server) -> None:
    """A stream that trickles has no buffer between its bytes, and is as whole as any other."""
    path = await server.create(100)
    connection = await server.connect()
    connection.writer.write(patch(path, b"Content-Length: 100"))
    lent = []
    for at in range(20):
        connection.writer.write(b"%05d" % at)
        await connection.writer.drain()
        await asyncio.sleep(0.02)
        lent.append(server.lent)
    answer = await connection.answer()

    assert [0] * 20 == lent
    assert (204, "100") == (answer.status, answer.fields["upload-offset"])


async def test_slow_loris(start_server: StartServer) -> None:
    """A client that sends just enough not to be idle is told that it is too slow, and what came of it is kept."""
    server = await start_server(IDLE_TIMEOUT="1.5", MIN_RATE="100")
    path = await server.create(MiB)
    connection = await server.connect()
    connection.writer.write(patch(path, b"Content-Length: %d" % MiB))
    started, sent = time.monotonic(), 0
    answering = asyncio.ensure_future(connection.answer())
    while not answering.done() and time.monotonic() - started < 10:
        connection.writer.write(b"x")
        sent += 1
        await asyncio.sleep(0.2)
    answer = await answering

    assert (408, "close") == (answer.status, answer.fields["connection"])
    assert 1.4 < time.monotonic() - started < 5
    assert sent - 2 <= await server.offset(path) <= sent


async def test_refused_in_the_middle(start_server: StartServer) -> None:
    """Where content is refused while it comes, the answer is sent and the connection closed, without reading a gigabyte."""
    server = await start_server(IDLE_TIMEOUT="1")
    path, connection = await _begin(server, 1024 * MiB, b"x" * 100 * KiB)
    answer = await connection.answer()
    sent = 0
    try:
        while sent < 1024 * MiB:
            connection.writer.write(b"x" * MiB)
            await connection.writer.drain()
            sent += MiB
    except ConnectionError:
        pass

    assert (408, "close") == (answer.status, answer.fields["connection"])
    assert sent < 64 * MiB
    assert 0 == server.lent
    assert 100 * KiB <= await server.offset(path) < MiB


@pytest.mark.parametrize("size", [10, 100 * KiB, MiB + 100 * KiB])
async def test_evicted_in_the_middle_of_a_block(server: Server, size: int) -> None:
    """A newcomer finds every byte that had arrived, at once, and the one before is told so."""
    content = _photo(4 * MiB)
    path, connection = await _begin(server, len(content), content[:size])
    started = time.monotonic()
    offset = await server.offset(path)
    elapsed = time.monotonic() - started
    answer = await connection.answer()
    finished = await (await server.connect()).ask("PATCH", path, tus_requests.at(offset), content[offset:])
    downloaded = await (await server.connect()).ask("GET", path, {})

    assert (size, 423, 204) == (offset, answer.status, finished.status)
    assert elapsed < 1
    assert content == downloaded.content
    assert 0 == server.lent


@pytest.mark.parametrize("size", [10, 100 * KiB, MiB + 100 * KiB])
@pytest.mark.parametrize("how", ["closed", "reset", "half-closed"])
async def test_abandoned_connection_frees_its_buffers(server: Server, how: str, size: int) -> None:
    """However a client goes away, what it held is free soon, and what had been received is kept."""
    path, connection = await _begin(server, 4 * MiB, b"x" * size)
    held = server.lent
    match how:
        case "closed":
            connection.writer.close()
        case "reset":
            connection.reset()
        case _:
            connection.writer.write_eof()
    await _until(lambda: not server.lent)

    # What had come before the hand-off, or is little, needs no buffer.
    assert (held > 0) == (size > MiB)
    assert size == await server.settled(path)
    assert 0 == server.lent


async def test_shutdown_in_the_middle(server: Server) -> None:
    """When the server ends, content ends too, what came is acknowledged, and the server is gone."""
    _, connection = await _begin(server, 4 * MiB, b"x" * (MiB + 100))
    server.end()
    answer = await connection.answer()
    rest = await connection.rest()
    await _until(lambda: server.ended)

    assert (204, str(MiB + 100), "close") == (answer.status, answer.fields["upload-offset"], answer.fields["connection"])
    assert b"" == rest


async def test_many_at_once(server: Server) -> None:
    """Many streams at once, some of them slow, get their own bytes and nobody else's."""

    async def upload(seed: int) -> bool:
        luck = random.Random(seed)
        content = _photo(luck.randrange(1, 2 * MiB), seed)
        path = await server.create(len(content))
        connection = await server.connect()
        connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(len(content))})
        at = 0
        while at < len(content):
            size = luck.choice([100, 10_000, 300_000])
            connection.writer.write(content[at : at + size])
            await connection.writer.drain()
            await asyncio.sleep(luck.choice([0, 0, 0.001]))
            at += size
        answer = await connection.answer()
        return answer.status == 204 and content == (await connection.ask("GET", path, {})).content

    assert all(await asyncio.gather(*map(upload, range(40))))
    assert 0 == server.lent


async def test_uvicorn_still_counts(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    """A connection whose content is handed over counts among uvicorn's, and a request among those that a worker may answer."""
    server = await start_server(uvicorn={"limit_max_requests": 3})
    _, connection = await _begin(server, MiB, b"x" * 100 * KiB)
    connections = server.connections
    connection.writer.write(b"x" * (MiB - 100 * KiB))
    first = await connection.answer()
    second = await connection.ask("GET", "/healthz", {})
    await _until(lambda: server.ended)

    assert 2 == connections
    assert [204, 200] == [first.status, second.status]
    assert not [entry for entry in caplog.records if entry.exc_info]


async def test_too_many_connections(start_server: StartServer) -> None:
    """What uvicorn refuses for being too many is refused with its content, and the others go on."""
    server = await start_server(uvicorn={"limit_concurrency": 3})
    path, connection = await _begin(server, MiB, b"x" * 100 * KiB)
    refused = await server.connect()
    refused.write("PATCH", path, tus_requests.at(0), b"x" * MiB)
    answer = await refused.answer()
    connection.writer.write(b"x" * (MiB - 100 * KiB))

    assert [503, 204] == [answer.status, (await connection.answer()).status]


async def test_tls(start_server: StartServer, certificate: dict[str, str]) -> None:
    """Over TLS, too, content goes into buffers, requests behind it are answered, and what came before an end is kept."""
    server = await start_server(uvicorn={}, **certificate)
    content = _photo(3 * MiB + 1)
    path = await server.create(len(content))
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": str(len(content))}, content[:MiB])
    await connection.writer.drain()
    await asyncio.sleep(0.3)
    lent = server.lent
    connection.writer.write(content[MiB:])
    connection.write("HEAD", path, tus_requests.VERSION)
    connection.write("GET", path, {})
    answers = [await connection.answer(method) for method in ("PATCH", "HEAD", "GET")]
    cut_path, cut = await _begin(server, len(content), content[: 100 * KiB])
    cut.writer.close()

    assert lent > 0
    assert [204, 200, 200] == [answer.status for answer in answers]
    assert content == answers[-1].content
    assert 100 * KiB == await server.settled(cut_path)
    assert 0 == server.lent


@pytest.mark.parametrize("version", ["0.53.9", "0.55.0", "1.0", ""])
async def test_unknown_uvicorn(start_server: StartServer, caplog: pytest.LogCaptureFixture, version: str) -> None:
    """With a uvicorn whose insides nobody has looked at, the log says so, and content is received all the same."""
    handoff = can_hand_over(version)
    said = [entry.message for entry in caplog.records if "was not tested with Holdfast" in entry.message]
    server = await start_server(uvicorn={"handoff": handoff})
    path, connection = await _begin(server, MiB, b"x" * 100 * KiB)
    lent = server.lent
    connection.writer.write(b"x" * (MiB - 100 * KiB))

    assert (False, 1, 0) == (handoff, len(said), lent)
    assert 204 == (await connection.answer()).status
    assert MiB == await server.offset(path)


async def test_switched_off(start_server: StartServer) -> None:
    """Whoever switches the hand-off off gets none."""
    server = await start_server(HANDOFF="off")
    _, connection = await _begin(server, MiB, b"x" * 100 * KiB)
    lent = server.lent
    connection.writer.write(b"x" * (MiB - 100 * KiB))

    assert 0 == lent
    assert 204 == (await connection.answer()).status
