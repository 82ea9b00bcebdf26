"""
The real server and connections between two requests: what a client sends there keeps none open.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from holdfast.service.server import lingering
from tests.server.servers import Connection, StartServer

SHORT = 0.3  # seconds

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
UNREAD = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;"

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "SILENCE", SHORT)
    monkeypatch.setattr(lingering, "LONGEST", 3 * SHORT)


async def _drip(connection: Connection, data: bytes) -> None:
    while True:
        connection.writer.write(data)
        await asyncio.sleep(SHORT / 5)


@pytest.mark.parametrize(
    ("request_", "behind"),
    [(HEALTH, b"\r\n"), (UNREAD, b"x"), (CHUNKED, b"x" * 100)],
    ids=["line ends", "the rest of content", "the rest of a chunk extension"],
)
async def test_what_is_no_request(start_server: StartServer, request_: bytes, behind: bytes) -> None:
    """A client that sends line ends or unread content after its answer is disconnected, whether it goes on or not."""
    server = await start_server(uvicorn={"timeout_keep_alive": SHORT})
    for again in (False, True):
        connection = await server.connect()
        connection.writer.write(request_)
        await connection.answer()
        begun = time.monotonic()
        connection.writer.write(behind)
        dripping = asyncio.create_task(_drip(connection, behind)) if again else None
        try:
            assert b"" == await connection.rest()
        except ConnectionError:
            pass
        finally:
            if dripping is not None:
                dripping.cancel()

        assert time.monotonic() - begun < 20 * SHORT


async def test_the_next_head_has_its_own_time(start_server: StartServer) -> None:
    """A head that has begun may take longer than a connection may be idle, also where the answer before came meanwhile."""
    server = await start_server(uvicorn={"timeout_keep_alive": SHORT})
    connection = await server.connect()
    connection.writer.write(HEALTH + HEALTH[:10])
    first = await connection.answer()
    await asyncio.sleep(3 * SHORT)
    connection.writer.write(HEALTH[10:] + b"\r\n")
    second = await connection.answer()

    assert [200, 200] == [first.status, second.status]


@pytest.mark.parametrize("path", ["/files", "/api/v1/objects/user/1"])
async def test_broken_content_that_is_expected(start_server: StartServer, path: str) -> None:
    """Content that breaks before the server has asked for it is answered once; the log is quiet."""
    server = await start_server()
    connection = await server.connect()
    fields = b"Host: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.writer.write(b"PUT " + path.encode() + b" HTTP/1.1\r\n" + fields + b"zz\r\n")
    answer = await connection.answer()

    assert 400 == answer.status
    assert b"" == await connection.rest()
