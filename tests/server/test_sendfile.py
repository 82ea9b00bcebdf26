"""
The real server and files that go from the page cache to the connection: whatever the client at its other end does.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from pathlib import Path
from typing import cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.service.server.sendfile import send_file
from tests.protocols import tus_requests
from tests.server.servers import Connection, Server, StartServer

KiB = 1024
MiB = 1024 * KiB
LENGTH = 8 * MiB + 123
CONTENT = random.Random(8).randbytes(LENGTH)

pytestmark = pytest.mark.each_loop


async def _upload(server: Server, content: bytes = CONTENT) -> str:
    path = await server.create(len(content))
    connection = await server.connect()
    answer = await connection.ask("PATCH", path, tus_requests.at(0), content)
    connection.writer.close()

    assert 204 == answer.status
    return path


def _open_files(folder: Path) -> int:
    """Return how many descriptors of this process are of content in *folder*."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # that of the listing itself
    return sum(link.startswith(f"{folder}/attachments/") for link in links)


async def _begin(server: Server, path: str) -> Connection:
    """Ask for content, and read only the head of the answer."""
    connection = await server.connect()
    connection.write("GET", path, {})
    head = await connection.reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200")
    return connection


@pytest.mark.usefixtures("quiet")
async def test_whole_and_in_part(server: Server) -> None:
    """Content comes whole, any range of it comes, and the connection goes on."""
    path = await _upload(server)
    connection = await server.connect()
    whole = await connection.ask("GET", path, {})
    luck = random.Random(1)
    for _ in range(10):
        first = luck.randrange(LENGTH)
        last = luck.randrange(first, LENGTH)
        part = await connection.ask("GET", path, {"Range": f"bytes={first}-{last}"})

        assert (206, CONTENT[first : last + 1]) == (part.status, part.content)
    head = await connection.ask("HEAD", path, {})

    assert (200, CONTENT) == (whole.status, whole.content)
    assert (200, str(LENGTH)) == (head.status, head.fields["content-length"])


@pytest.mark.usefixtures("quiet")
async def test_head_that_would_be_a_get(server: Server) -> None:
    """No field makes the answer to a HEAD carry content: the next answer on the connection begins where that head ends."""
    path = await _upload(server)
    connection = await server.connect()
    head = await connection.ask("HEAD", path, tus_requests.VERSION | {"X-HTTP-Method-Override": "GET"})
    told = await connection.ask("HEAD", path, tus_requests.VERSION)

    assert (400, b"") == (head.status, head.content)
    assert (200, str(LENGTH)) == (told.status, told.fields["upload-offset"])


@pytest.mark.usefixtures("quiet")
async def test_pipelined(server: Server) -> None:
    """Downloads that were asked for at once come one after the other, though the client does not read before it has asked."""
    path = await _upload(server)
    connection = await server.connect()
    for _ in range(3):
        connection.write("GET", path, {})
        connection.write("HEAD", path, {})
    await asyncio.sleep(0.3)
    answers = [await connection.answer(method) for _ in range(3) for method in ("GET", "HEAD")]

    assert [CONTENT, b""] * 3 == [answer.content for answer in answers]


@pytest.mark.usefixtures("quiet")
async def test_http_1_0(server: Server) -> None:
    """A client of HTTP/1.0 gets the content, and then the end."""
    path = await _upload(server)
    connection = await server.connect()
    connection.writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await connection.rest()

    assert answer.partition(b"\r\n\r\n")[2] == CONTENT


@pytest.mark.usefixtures("quiet")
async def test_slow_reader(server: Server) -> None:
    """A client that reads slowly, but reads, gets all of it."""
    path = await _upload(server)
    connection = await _begin(server, path)
    received = b""
    while len(received) < LENGTH:
        received += await connection.reader.read(256 * KiB)
        await asyncio.sleep(0.01)

    assert CONTENT == received


@pytest.mark.usefixtures("quiet")
async def test_not_in_the_page_cache(server: Server, tmp_path: Path) -> None:
    """Content that the disk has to read first comes as well."""
    path = await _upload(server)
    descriptor = os.open(next(tmp_path.glob(f"attachments/*/{path[-10:]}")), os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)

    assert CONTENT == (await (await server.connect()).ask("GET", path, {})).content


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_abandoned(server: Server, tmp_path: Path, how: str) -> None:
    """A client that goes away in the middle leaves nothing behind: no file, no connection."""
    path = await _upload(server)
    connections = [await _begin(server, path) for _ in range(5)]
    await asyncio.sleep(0.2)
    during = _open_files(tmp_path)
    for connection in connections:
        if how == "closed":
            connection.writer.close()
        else:
            connection.reset()
    async with asyncio.timeout(5):
        while _open_files(tmp_path) or server.connections > 1:
            await asyncio.sleep(0.02)

    assert 5 == during


@pytest.mark.usefixtures("quiet")
async def test_not_read(start_server: StartServer, tmp_path: Path) -> None:
    """A client that asks and does not read is dropped in time, and nothing is held for it meanwhile but its file."""
    server = await start_server(IDLE_TIMEOUT="1")
    path = await _upload(server, bytes(64 * MiB))
    connection = await _begin(server, path)
    await asyncio.sleep(0.3)
    before = (_open_files(tmp_path), server.lent)
    await asyncio.sleep(1.5)
    after = _open_files(tmp_path)
    try:
        rest = await connection.rest()
    except ConnectionError:
        rest = b""

    assert ((1, 0), 0) == (before, after)
    assert len(rest) < 64 * MiB


async def test_file_that_is_too_short(server: Server, tmp_path: Path) -> None:
    """Content that is lost behind our back while it is sent is broken off: its end is not made up.  The next one is told so."""
    path = await _upload(server)
    connection = await _begin(server, path)
    connection.write("HEAD", path, {})  # its answer would be taken for content
    os.truncate(next(tmp_path.glob(f"attachments/*/{path[-10:]}")), MiB)
    try:
        rest = await connection.rest()
    except ConnectionError:
        rest = b""
    next_one = await (await server.connect()).ask("GET", path, {})

    assert len(rest) < len(CONTENT)
    assert CONTENT.startswith(rest)
    assert 410 == next_one.status


class _Host(asyncio.Protocol):
    """The protocol of a connection that knows whether its transport can take more."""

    flow: FlowControl
    gone: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.flow = FlowControl(cast("asyncio.Transport", transport))
        self.gone = asyncio.Event()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.gone.set()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()


async def test_behind_what_waits(tmp_path: Path) -> None:
    """Content is sent behind all that the transport was given before, so it waits while that does."""
    file = tmp_path / "content"
    file.write_bytes(CONTENT[:KiB])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    transport, host = await asyncio.get_running_loop().create_connection(_Host, sock=ours)
    host.pause_writing()
    with theirs, file.open("rb") as opened:
        theirs.setblocking(False)
        sending = asyncio.create_task(send_file(transport, host.flow, opened.fileno(), 0, KiB, 10))
        await asyncio.sleep(0.1)
        with pytest.raises(BlockingIOError):
            theirs.recv(KiB)
        host.resume_writing()
        await sending
        received = await asyncio.get_running_loop().sock_recv(theirs, KiB)
    transport.close()
    await host.gone.wait()

    assert CONTENT[:KiB] == received


async def test_file_that_is_gone(server: Server, tmp_path: Path) -> None:
    """Content that is not there any more is 410, and not an empty download."""
    path = await _upload(server)
    next(tmp_path.glob(f"attachments/*/{path[-10:]}")).unlink()

    assert 410 == (await (await server.connect()).ask("GET", path, {})).status


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("settings", [{"HANDOFF": "off"}, {"BYTES_URL": "memory:"}], ids=["switched off", "no files"])
async def test_blocks_instead(start_server: StartServer, settings: dict[str, str]) -> None:
    """Where the server may not send files, or there are none, blocks are sent, to slow readers too."""
    server = await start_server(uvicorn={}, **settings)
    path = await _upload(server)
    connection = await _begin(server, path)
    received = b""
    while len(received) < LENGTH:
        received += await connection.reader.read(MiB)
        await asyncio.sleep(0.01)

    assert CONTENT == received


@pytest.mark.usefixtures("quiet")
async def test_tls(start_server: StartServer, certificate: dict[str, str]) -> None:
    """Over TLS nothing goes past the encryption."""
    server = await start_server(uvicorn={}, **certificate)
    path = await _upload(server)
    connection = await server.connect()
    whole = await connection.ask("GET", path, {})
    part = await connection.ask("GET", path, {"Range": "bytes=100-199"})

    assert (CONTENT, CONTENT[100:200]) == (whole.content, part.content)
