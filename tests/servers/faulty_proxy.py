"""
A proxy in front of an S3 server that answers instead of it, forgets to, or is late: for the operations that a test names.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>forged</Message></Error>'
LATER = 60.0  # seconds; longer than any test waits


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the operation in S3's words, its part number (0: none), and all that was sent."""

    operation: str
    part: int
    path: str
    head: bytes
    content: bytes


@dataclass(slots=True)
class Fault:
    """What happens to a request.  Nothing given: the connection is closed before the server hears of it."""

    answer: bytes | None = None
    """Given to the client."""
    forwarded: bool = False
    """Whether the server is asked."""
    until: asyncio.Event | None = None
    """What is waited for before it is asked."""
    cut: int | None = None
    """After how many bytes of the server's answer the connection is closed; None: its answer goes out whole."""
    edit: tuple[bytes, bytes] = (b"", b"")
    """What is put in the place of what in the server's answer."""
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the fault has met a request."""


def refused(status: int, code: str) -> Fault:
    """Return an error that the server itself never gave."""
    return Fault(answer=_error(status, code))


def forged(code: str, *, done: bool) -> Fault:
    """Return an error in the content of an answer with the status 200; *done*: though the server did it."""
    return Fault(answer=_error(200, code), forwarded=done)


def lost() -> Fault:
    """Return the loss of a request."""
    return Fault()


def answer_lost() -> Fault:
    """Return the loss of an answer: the server did what it was asked."""
    return Fault(forwarded=True, cut=0)


def cut_off(after: int) -> Fault:
    """Return the loss of a connection in the middle of an answer."""
    return Fault(forwarded=True, cut=after)


def held() -> Fault:
    """Return a delay of a request, until the test says so."""
    return Fault(forwarded=True, until=asyncio.Event())


def edited(old: bytes, new: bytes) -> Fault:
    """Return a server that says something else."""
    return Fault(forwarded=True, edit=(old, new))


def silent() -> Fault:
    """Return a server that says nothing."""
    return Fault(until=asyncio.Event())


class FaultyProxy:
    """
    Stands in front of the server at *endpoint*; faults are met in the order in which they were added, each so many times.
    """

    def __init__(self, endpoint: str) -> None:
        self._upstream = urlsplit(endpoint)
        self._faults: list[tuple[Callable[[Asked], bool], Fault, int]] = []
        self._server: asyncio.Server | None = None
        self._at_work: set[asyncio.Task[None]] = set()
        self._open: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()
        self.asked: Counter[str] = Counter()
        self.last: dict[str, Asked] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1024 * 1024)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        for connection in self._open:
            connection.transport.abort()
        await asyncio.sleep(0.01)  # then the loop has forgotten them

    @property
    def endpoint(self) -> str:
        """The URL of the proxy."""
        if self._server is None:
            raise RuntimeError("the proxy does not run")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def add(self, operation: str, fault: Fault, *, times: int = 1, part: int = 0) -> Fault:
        """
        Have *fault* happen to an operation, given *part* to that part only.
        """
        self._faults.append((lambda asked: asked.operation == operation and part in {0, asked.part}, fault, times))
        return fault

    def mend(self) -> None:
        """
        Let everything through from now on.
        """
        self._faults.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        self._open.add(writer)
        try:
            asked = await _read(reader, writer)
            self.asked[asked.operation] += 1
            self.last[asked.operation] = asked
            await self._answer(asked, self._next_fault(asked), writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked went away, or the test is over
        finally:
            writer.close()

    def _next_fault(self, asked: Asked) -> Fault | None:
        for index, (fits, fault, times) in enumerate(self._faults):
            if fits(asked):
                self._faults[index : index + 1] = [(fits, fault, times - 1)] if times > 1 else []
                return fault
        return None

    async def _answer(self, asked: Asked, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        if fault is None:
            await self._forward(asked, writer, None)
            return
        fault.met.set()
        if fault.until is not None:
            await asyncio.wait_for(fault.until.wait(), LATER)
        if fault.forwarded:
            await self._forward(asked, writer, 0 if fault.answer is not None else fault.cut, fault.edit)
        if fault.answer is not None:
            writer.write(fault.answer)
            await writer.drain()

    async def _forward(
        self, asked: Asked, writer: asyncio.StreamWriter, cut: int | None, edit: tuple[bytes, bytes] = (b"", b"")
    ) -> None:
        """Have the server do it, and pass up to *cut* bytes of its answer on."""
        server, out = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        # Liveness while it is told: it may refuse, and close the connection, before it has listened to all.
        telling = asyncio.create_task(_tell(out, asked.head + asked.content))
        try:
            passed = 0
            with suppress(ConnectionError):
                while block := await server.read(64 * 1024):
                    block = block.replace(*edit) if edit[0] else block
                    block = block if cut is None else block[: max(0, cut - passed)]
                    passed += len(block)
                    writer.write(block)
                    await writer.drain()
        finally:
            telling.cancel()
            out.transport.abort()


async def _tell(out: asyncio.StreamWriter, request: bytes) -> None:
    with suppress(ConnectionError):
        for at in range(0, len(request), 64 * 1024):
            out.write(request[at : at + 64 * 1024])
            await out.drain()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "expect" in fields:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    content = await reader.readexactly(int(fields.get("content-length", 0)))
    kept = [line for line in lines if line.partition(":")[0].lower() not in {"connection", "expect"}]
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return Asked(
        operation=_operation(method, query, copied="x-amz-copy-source" in fields, of_bucket=url.path.count("/") < 2),
        part=int(query.get("partNumber", 0)),
        path=url.path,
        head="\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1"),
        content=content,
    )


def _operation(method: str, query: dict[str, str], *, copied: bool, of_bucket: bool) -> str:
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "uploadId" in query:
        part = "UploadPartCopy" if copied else "UploadPart"
        return {
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
            "PUT": part,
        }[method]
    if of_bucket:
        return {"HEAD": "HeadBucket", "GET": "ListObjectsV2"}.get(method, method)
    objects = {"PUT": "CopyObject" if copied else "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return objects[method]


def _error(status: int, code: str) -> bytes:
    content = ERROR.format(code=code).encode()
    head = f"HTTP/1.1 {status} Forged\r\nContent-Type: application/xml\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
    return head.encode() + b"\r\n" + content
