"""
Many uploads at a trickle: what they cost in memory, and whether one of them is forgotten.

One process holds every connection.  Each gets its next bytes when they are due, so that all together are as slow as they are
told to be, whatever the server does; a server that does not read is seen by how much later the last one is answered.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import time
from dataclasses import dataclass, field

from benchmarks.wire import TIMEOUT, BenchError, Connection, Endpoint, Response

KiB = 1024
SECONDS = 1.0
TICK = 0.25 * SECONDS
RECEIVED = 64 * KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle:
    """How uploads at a trickle ended, in seconds from when the last byte of each was due until its answer."""

    uploads: int
    median: float
    slowest: float
    paths: tuple[str, ...]


@dataclass(slots=True)
class _Stream:
    path: str
    socket: socket.socket
    response: Response
    pending: memoryview
    sent: int = 0
    """Bytes of content that were given to the kernel or are pending."""
    answered: float | None = None
    complete: bool = field(default=False)


def trickle(endpoint: Endpoint, count: int, length: int, seconds: float) -> Trickle:
    """
    Make *count* uploads of *length* bytes at once, each spread over so many *seconds*.
    """
    content = memoryview(os.urandom(length))
    with Connection(endpoint) as control:
        paths = [control.create(length) for _ in range(count)]
    selector = selectors.DefaultSelector()
    streams = [_begin(endpoint, path, length) for path in paths]
    try:
        for stream in streams:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        began = time.monotonic()
        _send_all(selector, streams, content, began, seconds)
        due = began + seconds
        _await_all(selector, streams, due)
        late = [max(0.0, (stream.answered or 0.0) - due) for stream in streams]
    finally:
        for stream in streams:
            stream.socket.close()
        selector.close()
    return Trickle(uploads=count, median=statistics.median(late), slowest=max(late), paths=tuple(paths))


def _begin(endpoint: Endpoint, path: str, length: int) -> _Stream:
    connection = socket.create_connection((endpoint.host, endpoint.port), timeout=TIMEOUT)
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: {endpoint.host}:{endpoint.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode("latin-1"))
    connection.setblocking(False)
    return _Stream(path, connection, Response(has_content=True), memoryview(b""))


def _send_all(
    selector: selectors.BaseSelector, streams: list[_Stream], content: memoryview, began: float, seconds: float
) -> None:
    length = len(content)
    while any(stream.sent < length or stream.pending for stream in streams):
        now = time.monotonic()
        due = min(length, int(length * min(1.0, (now - began) / seconds)))
        for stream in streams:
            if not stream.pending and stream.sent < due:
                stream.pending, stream.sent = content[stream.sent : due], due
            if stream.pending:
                _send(stream)
        if now - began > seconds + TIMEOUT:
            raise BenchError("the server does not take what is sent")
        _receive(selector, TICK)


def _await_all(selector: selectors.BaseSelector, streams: list[_Stream], due: float) -> None:
    while any(not stream.complete for stream in streams):
        if time.monotonic() > due + TIMEOUT:
            left = sum(not stream.complete for stream in streams)
            raise BenchError(f"{left} of {len(streams)} slow uploads were not answered within {TIMEOUT:.0f} s")
        _receive(selector, TICK)


def _send(stream: _Stream) -> None:
    try:
        stream.pending = stream.pending[stream.socket.send(stream.pending) :]
    except BlockingIOError:
        pass  # the server does not read just now
    except OSError as error:
        raise BenchError(f"a slow upload was cut off: {error}") from error


def _receive(selector: selectors.BaseSelector, wait: float) -> None:
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        ready = selector.select(left)
        for key, _ in ready:
            stream: _Stream = key.data
            data = stream.socket.recv(RECEIVED)
            if not data:
                raise BenchError("the server closed the connection of a slow upload")
            stream.response.feed(data)
            if stream.response.complete:
                if stream.response.status != 204:
                    raise BenchError(f"the server answered {stream.response.status} to a slow upload")
                stream.complete, stream.answered = True, time.monotonic()
                selector.unregister(stream.socket)
        if not ready:
            return
