"""
The server of `tests.server.servers`, for tests that want one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from service.settings import Settings
from tests.server.servers import Server, StartServer


@pytest.fixture
async def start_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[StartServer]:
    """
    Return what starts a server over the embedded stores, whose threads make a request wait for more than its client.
    """
    async with AsyncExitStack() as stack:

        async def start(*, head_timeout: float | None = None, **settings: str) -> Server:
            ours = {"DATA_DIR": str(tmp_path), "DURABILITY": "none", "PORT": "0", "SHUTDOWN_GRACE": "5"}
            for name, value in (ours | settings).items():
                monkeypatch.setenv(f"HOLDFAST_{name}", value)
            server = Server(Settings(), head_timeout=head_timeout)
            await server.start()
            stack.push_async_callback(server.close)
            return server

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    """
    Return a server with the settings of most tests.
    """
    return await start_server()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, it is no error of the server's: none is logged, and no traceback."""
    yield
    logged = [entry for entry in caplog.get_records("call") if entry.exc_info or entry.levelno >= logging.ERROR]

    assert [] == [entry.getMessage() for entry in logged]
