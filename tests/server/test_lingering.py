"""
A client that still sends gets to read its answer, and does not get to send for ever.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.server import lingering
from tests.protocols import tus_requests
from tests.server.servers import Server, StartServer

MiB = 1024 * 1024
UNKNOWN = "/files/0123456789"

pytestmark = pytest.mark.usefixtures("quiet")


async def _gone(server: Server, within: float) -> bool:
    for _ in range(round(within / 0.02)):
        if not server.connections:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.each_loop
@pytest.mark.parametrize("handoff", ["on", "off"])
async def test_writes_first_and_reads_then(start_server: StartServer, handoff: str) -> None:
    """A client that sends all of its refused content before it reads anything finds the answer, and then the end."""
    server = await start_server(HANDOFF=handoff)
    connection = await server.connect()
    connection.write("PATCH", UNKNOWN, tus_requests.at(0) | {"Content-Length": str(12 * MiB)})
    for _ in range(12):
        connection.writer.write(bytes(MiB))
        await connection.writer.drain()
    answer = await connection.answer()

    assert (404, "close") == (answer.status, answer.fields["connection"])
    assert b"" == await connection.rest()


async def test_head_without_end(server: Server) -> None:
    """The same for a head that is too large."""
    connection = await server.connect()
    connection.writer.write(b"GET / HTTP/1.1\r\nX: " + bytes(8 * MiB).replace(b"\0", b"x"))
    await connection.writer.drain()

    assert 400 == (await connection.answer()).status
    assert b"" == await connection.rest()


async def test_silent_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that neither sends nor closes is left in the end."""
    monkeypatch.setattr(lingering, "SILENCE", 0.2)
    connection = await server.connect()
    connection.write("PATCH", UNKNOWN, tus_requests.at(0) | {"Content-Length": str(MiB)}, b"x")

    assert 404 == (await connection.answer()).status
    assert await _gone(server, 2)


async def test_endless_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes on sending, however slowly, has its time and no more."""
    monkeypatch.setattr(lingering, "SILENCE", 0.1)
    monkeypatch.setattr(lingering, "LONGEST", 0.5)
    connection = await server.connect()
    connection.write("PATCH", UNKNOWN, tus_requests.at(0) | {"Content-Length": str(MiB)}, b"x")
    began = asyncio.get_running_loop().time()
    try:
        for _ in range(250):
            connection.writer.write(b"x")
            await connection.writer.drain()
            await asyncio.sleep(0.02)
    except ConnectionError:
        pass

    assert 0.3 < asyncio.get_running_loop().time() - began < 5


async def test_shutdown(start_server: StartServer) -> None:
    """A service that ends does not wait for clients that only send."""
    server = await start_server()
    connection = await server.connect()
    connection.write("PATCH", UNKNOWN, tus_requests.at(0) | {"Content-Length": str(MiB)}, b"x")
    answer = await connection.answer()
    began = asyncio.get_running_loop().time()
    await server.close()

    assert 404 == answer.status
    assert asyncio.get_running_loop().time() - began < 3
