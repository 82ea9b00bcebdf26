"""
Many uploads at a trickle: what they cost in memory, and whether one of them is forgotten.

Theory of operation
-------------------

One process holds every connection.  Each gets its next piece of content when that is due, so that all together are as slow as
configured, whatever the server does; their pieces are spread over time, so that the server is not woken by all at once.

What a slow upload sends fits into the buffers of the system, so it cannot be seen from outside whether the server reads it.  Its
end is seen: so it counts how long after its last byte the answer of each upload came, and *probes*, short slow uploads, begin and
end all the time while the others go on.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import resource
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

from benchmarks.loads.load import Senders
from benchmarks.loads.wire import TIMEOUT, BenchError, Endpoint, Response

KiB = 1024
SECONDS = 1.0
MILLISECONDS = 0.001

RECEIVED = 64 * KiB
LONGEST_WAIT = 100 * MILLISECONDS
# The next try when the server does not read.
RETRY = 100 * MILLISECONDS
SPARE_DESCRIPTORS = 100
# Intervals over which uploads end after they are asked to.
ENDING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is sent, and how slowly."""

    uploads: int
    length: int
    """Bytes of each upload."""
    seconds: float
    """The time in which they are sent, unless all are asked to end."""
    every: float
    """Seconds between two pieces of an upload."""
    probes: int = 0
    probe_every: float = 0
    """Seconds between the beginnings of two probes."""
    probe_seconds: float = 1 * SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle:
    """How uploads at a trickle ended, in seconds from when the last byte of each was due until its answer."""

    median: float
    slowest: float


@dataclass(slots=True)
class _Stream:
    path: str
    length: int
    begins: float
    ends: float
    every: float
    probe: bool = False
    socket: socket.socket | None = None
    response: Response = field(default_factory=lambda: Response(has_content=True))
    sent: int = 0
    next: float = 0.0
    """When its next piece is due."""
    answered: float | None = None


class Trickling:
    """Slow uploads that go on in a process of their own."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    @property
    def over(self) -> bool:
        """Whether all have ended."""
        return self._pipe.poll()

    def end(self) -> None:
        """Have each send what is left with one of its next pieces."""
        self._pipe.send(None)

    def result(self) -> Trickle:
        """Wait until all are complete, and return how that went."""
        result = _received(self._pipe)
        if not isinstance(result, Trickle):
            raise BenchError(f"slow uploads: {result}")
        return result


@contextmanager
def trickling(endpoint: Endpoint, pace: Pace, senders: Senders) -> Iterator[Trickling]:
    """Have uploads sent at *pace*; they are all connected when this begins, and given up in the end."""
    allow(pace.uploads + pace.probes)
    paths = list(senders.create(endpoint, pace.uploads, pace.length).paths)
    if pace.probes:
        paths += senders.create(endpoint, pace.probes, KiB).paths
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, endpoint, pace, paths), daemon=True)
    process.start()
    theirs.close()
    try:
        begun = _received(ours)
        if begun is not None:
            raise BenchError(f"slow uploads: {begun}")
        yield Trickling(ours)
    finally:
        process.terminate()
        process.join()
        ours.close()
    senders.delete(endpoint, paths)


def allow(connections: int) -> None:
    """Let this process, and those that it starts, have so many *connections*: with a file for each in a server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * connections + SPARE_DESCRIPTORS
    if needed > hard:
        raise BenchError(
            f"{connections} connections at once need {needed} descriptors, and the system allows {hard}: see ulimit -Hn"
        )
    if needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _received(pipe: Pipe) -> object:
    try:
        return pipe.recv()
    except EOFError as error:
        raise BenchError("the process that sends slowly has ended") from error


def _main(pipe: Pipe, endpoint: Endpoint, pace: Pace, paths: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        crowd = _Crowd(endpoint, pace, paths)
        pipe.send(None)
        pipe.send(crowd.send_all(pipe))
    except (BenchError, OSError) as error:
        pipe.send(str(error))


class _Crowd:
    """All connections.  Times are those of the monotonic clock."""

    def __init__(self, endpoint: Endpoint, pace: Pace, paths: list[str]) -> None:
        self._endpoint = endpoint
        self._content = memoryview(os.urandom(max(pace.length, KiB)))
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int]] = []
        slow = [_Stream(path, pace.length, 0, 0, pace.every) for path in paths[: pace.uploads]]
        for stream in slow:
            self._connect(stream)
        now = time.monotonic()
        for index, stream in enumerate(slow):
            stream.begins = stream.next = now + pace.every * index / pace.uploads
            stream.ends = now + pace.seconds
        probes = [
            _Stream(path, KiB, begins, begins + pace.probe_seconds, pace.probe_seconds / 2, probe=True)
            for begins, path in ((now + pace.probe_every * index, path) for index, path in enumerate(paths[pace.uploads :]))
        ]
        self._streams = slow + probes
        self._left = len(self._streams)

    def send_all(self, pipe: Pipe) -> Trickle:
        """Send everything, and return how long the answers took; what comes through *pipe* has everybody end early."""
        self._due = [(stream.begins, index) for index, stream in enumerate(self._streams)]
        heapq.heapify(self._due)
        latest = max(stream.ends for stream in self._streams) + TIMEOUT
        while self._left:
            now = time.monotonic()
            if now > latest:
                raise BenchError(f"{self._left} of {len(self._streams)} were not answered within {TIMEOUT:.0f} s")
            while self._due and self._due[0][0] <= now:
                _, index = heapq.heappop(self._due)
                self._step(index, now)
            wait = min(LONGEST_WAIT, self._due[0][0] - now) if self._due else LONGEST_WAIT
            self._receive(max(0.0, wait))
            if pipe.poll():
                pipe.recv()
                self._end()
        late = [max(0.0, stream.answered - stream.ends) for stream in self._streams if stream.answered is not None]
        return Trickle(median=statistics.median(late), slowest=max(late))

    def _end(self) -> None:
        for index, stream in enumerate(self._streams):
            if stream.probe and stream.socket is None:
                stream.sent = stream.length
                self._left -= 1
            elif stream.sent < stream.length:
                # Not all within one interval: it is not meant to be a rush.
                stream.ends = min(stream.ends, stream.next + index % ENDING * stream.every)

    def _step(self, index: int, now: float) -> None:
        """Send what is due of one upload, and say when to come again."""
        stream = self._streams[index]
        if stream.sent == stream.length:
            return
        connected = stream.socket or self._connect(stream)
        whole = now >= stream.ends
        share = 1.0 if whole else (now - stream.begins + stream.every) / (stream.ends - stream.begins + stream.every)
        # The last byte waits for the end.
        until = stream.length if whole else min(stream.length - 1, int(stream.length * share))
        if stream.sent < until:
            self._send(stream, connected, until)
        if stream.sent < stream.length:
            again = RETRY if stream.sent < until else stream.every
            stream.next = min(now + again, max(stream.ends, now + RETRY))
            heapq.heappush(self._due, (stream.next, index))

    def _connect(self, stream: _Stream) -> socket.socket:
        endpoint = self._endpoint
        connected = stream.socket = socket.create_connection((endpoint.host, endpoint.port), timeout=TIMEOUT)
        head = (
            f"PATCH {stream.path} HTTP/1.1\r\nHost: {endpoint.host}:{endpoint.port}\r\n"
            "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {stream.length}\r\n\r\n"
        )
        connected.sendall(head.encode("latin-1"))
        connected.setblocking(False)
        self._selector.register(connected, selectors.EVENT_READ, (stream, connected))
        return connected

    def _send(self, stream: _Stream, connected: socket.socket, until: int) -> None:
        try:
            stream.sent += connected.send(self._content[stream.sent : until])
        except BlockingIOError:
            pass  # the server does not read just now
        except OSError as error:
            raise BenchError(f"one was cut off: {error}") from error

    def _receive(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            stream: _Stream
            connected: socket.socket
            stream, connected = key.data
            data = connected.recv(RECEIVED)
            if not data:
                raise BenchError("the server closed the connection of one")
            stream.response.feed(data)
            if stream.response.complete:
                if stream.response.status != 204:
                    raise BenchError(f"the server answered {stream.response.status} to one")
                stream.answered = time.monotonic()
                self._left -= 1
                self._selector.unregister(connected)
                connected.close()
