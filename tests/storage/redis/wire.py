"""
A wire between a store and its Redis, that breaks when it is told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from servers.ports import LOOPBACK

CHUNK = 1024 * 1024


@dataclass(eq=False, slots=True)
class _Connection:
    """One client of the wire; answers that hold what is *muted* do not arrive."""

    writer: asyncio.StreamWriter
    muted: bytes = b""

    async def pump(self, reader: asyncio.StreamReader) -> None:
        """Forward what the server says."""
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if not self.muted or self.muted not in chunk:
                    self.writer.write(chunk)
            self.writer.close()


class Wire:
    """Forwards connections to the server at *port*, and ends some of them instead of giving the answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._to_lose = 0
        self._before = False
        self._text = b""
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0

    def lose(self, count: int, text: bytes, *, before: bool = False) -> None:
        """Lose the answers to the next *count* requests that hold *text*; or, *before*, those requests."""
        self._to_lose, self._text, self._before = count, text, before

    def mute(self, text: bytes) -> None:
        """Keep what holds *text* from arriving at those that are connected now, without a sign."""
        for connection in self._connections:
            connection.muted = text

    @property
    def url(self) -> str:
        """Where the wire begins."""
        if self._server is None:
            raise RuntimeError("the wire is not there yet")
        return f"redis://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/0"

    async def start(self) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, limit=CHUNK)

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the loop closes what was given up

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream, downstream = await asyncio.open_connection(LOOPBACK, self._port, limit=CHUNK)
        connection = _Connection(writer)
        self._connections.add(connection)
        answers = asyncio.create_task(connection.pump(upstream))
        try:
            while chunk := await reader.read(CHUNK):
                if self._to_lose and self._text in chunk:
                    self._to_lose -= 1
                    self.lost += 1
                    answers.cancel()
                    if not self._before:
                        await asyncio.gather(answers, return_exceptions=True)
                        downstream.write(chunk)
                        await upstream.read(1)  # it has been done
                    return
                downstream.write(chunk)
        except (OSError, asyncio.CancelledError):
            pass  # the connection is over
        finally:
            answers.cancel()
            for each in (downstream, writer):
                each.transport.abort()
            self._connections.discard(connection)
            self._tasks.discard(task)


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """Return a wire to the server at *port*."""
    wire = Wire(port)
    await wire.start()
    try:
        yield wire
    finally:
        await wire.close()
