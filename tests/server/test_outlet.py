"""
A client that reads no answer is dropped, and holds little until then.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.server.servers import Server, StartServer

KiB = 1024
GET = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

pytestmark = pytest.mark.usefixtures("quiet")


async def _dropped(server: Server, within: float) -> bool:
    for _ in range(round(within / 0.05)):
        if not server.connections:
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.each_loop
@pytest.mark.parametrize("requests", [GET * 400, GET * 399 + LAST], ids=["it may go on", "the last one"])
async def test_answers_that_are_not_read(start_server: StartServer, requests: bytes) -> None:
    """Answers of a pipeline that are not read are few, and so are the requests that wait; the client is dropped in time."""
    server = await start_server(IDLE_TIMEOUT="1")
    connection = await server.connect()
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is one that can
    connection.writer.write(requests * 20)
    await asyncio.sleep(0.7)
    waiting = server.waiting

    assert waiting < 300
    assert await _dropped(server, 6)


async def test_slow_reader(start_server: StartServer) -> None:
    """A client that reads a little at a time, whatever its pace, gets all of it: a head that waits with others is not late."""
    server = await start_server(IDLE_TIMEOUT="1")
    connection = await server.connect()
    connection.writer.write(GET * 120)  # more than is parsed at once: that ends within a head
    for _ in range(4):
        await asyncio.sleep(0.7)
        for _ in range(12):
            await connection.answer()
    statuses = {(await connection.answer()).status for _ in range(72)}

    assert {200} == statuses
