"""
The real server in this process, and connections on which bytes are written as the test says.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.server.run import bind, config
from holdfast.service.settings import Settings
from tests.protocols import tus_requests


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

    def __init__(self, settings: Settings, **uvicorn_settings: object) -> None:
        self._socket = bind(settings)
        self._certificate = settings.tls_certificate
        configuration = config(settings)
        for name, value in uvicorn_settings.items():
            setattr(configuration, name, value)
        self._server = uvicorn.Server(configuration)
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
        host, port = self._socket.getsockname()[:2]
        context = ssl.create_default_context(cafile=self._certificate) if self._certificate else None
        connection = Connection(*await asyncio.open_connection(host, port, ssl=context))
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

    async def settled(self, path: str) -> int:
        """
        Return the offset of an upload whose client went away; asking at once would take it from the one who still reads.
        """
        await self.idle()
        return await self.offset(path)

    async def idle(self) -> None:
        """
        Return when no request is at work any more, or at last when one that would have ended by itself had time to.

        The clients are in the same loop: after some rounds of it the server has seen whatever they did.
        """
        for rounds in range(60):
            await asyncio.sleep(0.005)
            if rounds > 6 and not self._server.server_state.tasks:
                return

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._task is not None and self._task.done()

    @property
    def lent(self) -> int:
        """How many bytes of buffers are in the hands of requests."""
        timers: ReceiveTimers = self._server.config.loaded_app.state.timers
        return timers.buffers.lent

    @property
    def connections(self) -> int:
        """How many connections the server holds open."""
        return len(self._server.server_state.connections)

    @property
    def waiting(self) -> int:
        """How many requests of pipelines wait for their turn."""
        return sum(len(one.pipeline) for one in self._server.server_state.connections if isinstance(one, HttpToolsProtocol))


class StartServer(Protocol):
    """Starts a `Server` with settings of the test's own, and of *uvicorn*'s; it ends with the test."""

    def __call__(self, *, uvicorn: Mapping[str, object] = {}, **settings: str) -> Awaitable[Server]: ...
