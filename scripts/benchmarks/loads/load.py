"""
The load: processes of their own that send, so that neither the harness nor another stream holds a sender up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.loads.wire import SEND_BLOCK, Connection, Endpoint

T = TypeVar("T")

KiB = 1024
MILLISECONDS = 0.001

SMALL = 1 * KiB
# POST, PATCH, HEAD.
REQUESTS_PER_SMALL = 3
# Connections that make small requests, each in a process of its own.
CONCURRENCY = 8
# Long enough that no process takes a second one of the first tasks: so every process has started when measuring begins.
WARM = 200 * MILLISECONDS


# Uploads, by path and length, that one connection fills one after the other.
Stream = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one process sent, and when by the clock that all processes share."""

    began: float
    ended: float
    paths: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def send_streams(endpoint: Endpoint, streams: Sequence[Stream]) -> Sent:
    """Send the whole content of every upload, a connection for each stream and its uploads one after the other."""
    block = memoryview(os.urandom(SEND_BLOCK))
    if len(streams) == 1:
        return _send_stream(endpoint, streams[0], block)
    with ThreadPoolExecutor(len(streams)) as threads:
        return together(list(threads.map(lambda stream: _send_stream(endpoint, stream, block), streams)))


def send_small(endpoint: Endpoint, count: int) -> Sent:
    """Create, send and check *count* small uploads, one after the other over one connection."""
    content = os.urandom(SMALL)
    paths = []
    with Connection(endpoint) as connection:
        began = time.monotonic()
        for _ in range(count):
            path = connection.create(SMALL)
            connection.append(path, content)
            connection.expect_stored(path, SMALL)
            paths.append(path)
        return Sent(began=began, ended=time.monotonic(), paths=tuple(paths))


def create(endpoint: Endpoint, count: int, length: int) -> Sent:
    """Create *count* uploads, and send nothing."""
    with Connection(endpoint) as connection:
        began = time.monotonic()
        paths = tuple(connection.create(length) for _ in range(count))
        return Sent(began=began, ended=time.monotonic(), paths=paths)


def append_small(endpoint: Endpoint, paths: Sequence[str]) -> Sent:
    """Send the content of small uploads that are there already."""
    content = os.urandom(SMALL)
    with Connection(endpoint) as connection:
        began = time.monotonic()
        for path in paths:
            connection.append(path, content)
        return Sent(began=began, ended=time.monotonic(), paths=tuple(paths))


def delete(endpoint: Endpoint, paths: Sequence[str]) -> None:
    """Give uploads up."""
    with Connection(endpoint) as connection:
        for path in paths:
            connection.delete(path)


def download(endpoint: Endpoint, path: str, length: int) -> Sent:
    """Have one upload sent to us."""
    with Connection(endpoint) as connection:
        began = time.monotonic()
        connection.download(path, length)
        return Sent(began=began, ended=time.monotonic(), paths=(path,))


def _send_stream(endpoint: Endpoint, stream: Stream, block: memoryview) -> Sent:
    with Connection(endpoint) as connection:
        began = time.monotonic()
        for path, length in stream:
            connection.append_blocks(path, length, block)
        return Sent(began=began, ended=time.monotonic(), paths=tuple(path for path, _ in stream))


def together(parts: Sequence[Sent]) -> Sent:
    """Return what several have sent at once, from the first beginning to the last end."""
    return Sent(
        began=min(part.began for part in parts),
        ended=max(part.ended for part in parts),
        paths=tuple(path for part in parts for path in part.paths),
    )


class Senders:
    """The sending processes."""

    def __init__(self, pool: ProcessPoolExecutor, count: int) -> None:
        self._pool = pool
        self._count = count

    def send(self, endpoint: Endpoint, streams: Sequence[Stream]) -> Sent:
        """Send all *streams* at once, over as many processes as there are."""
        parts = [part for part in (streams[index :: self._count] for index in range(self._count)) if part]
        return together(_all([self._pool.submit(send_streams, endpoint, part) for part in parts]))

    def send_small(self, endpoint: Endpoint, count: int) -> Sent:
        """Make *count* small uploads."""
        return together(_all([self._pool.submit(send_small, endpoint, share) for share in shares(count, CONCURRENCY)]))

    def create(self, endpoint: Endpoint, count: int, length: int = SMALL) -> Sent:
        """Create *count* uploads."""
        return together(_all([self._pool.submit(create, endpoint, share, length) for share in shares(count, CONCURRENCY)]))

    def append_small(self, endpoint: Endpoint, paths: Sequence[str]) -> Sent:
        """Send the content of small uploads that are there already."""
        return together(_all([self._pool.submit(append_small, endpoint, part) for part in dealt(paths)]))

    def delete(self, endpoint: Endpoint, paths: Sequence[str]) -> None:
        """Give uploads up."""
        _all([self._pool.submit(delete, endpoint, part) for part in dealt(paths)])

    def download(self, endpoint: Endpoint, path: str, length: int) -> Sent:
        """Have one upload sent to us."""
        return self._pool.submit(download, endpoint, path, length).result()


def dealt(paths: Sequence[str]) -> list[Sequence[str]]:
    """Return *paths* for as many connections as small requests have."""
    return [part for part in (paths[index::CONCURRENCY] for index in range(CONCURRENCY)) if part]


def shares(whole: int, parts: int) -> list[int]:
    """Return *whole* in at most *parts* nearly equal parts, none of them empty."""
    small, larger = divmod(whole, parts)
    return [share for share in (small + (index < larger) for index in range(parts)) if share]


@contextmanager
def senders(count: int) -> Iterator[Senders]:
    """Have *count* sending processes, all of them started."""
    # Spawned, not forked: what the harness holds (descriptors, signal handlers) is none of theirs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_ignore_interrupts) as pool:
        _all([pool.submit(time.sleep, WARM) for _ in range(count)])
        yield Senders(pool, count)


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole process group; the harness ends the servers, and with them what is being sent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _all(futures: Sequence[Future[T]]) -> list[T]:
    return [future.result() for future in futures]
