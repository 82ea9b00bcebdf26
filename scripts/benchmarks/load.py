"""
The load: processes of their own that send, so that neither the harness nor another stream holds a sender up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.wire import SEND_BLOCK, Connection, Endpoint

T = TypeVar("T")

KiB = 1024
MILLISECONDS = 0.001

SMALL = 1 * KiB
# POST, PATCH, HEAD.
REQUESTS_PER_SMALL = 3
# Long enough that no process takes a second one of the first tasks: so every process has started when measuring begins.
WARM = 200 * MILLISECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one process sent, and when by the clock that all processes share."""

    began: float
    ended: float
    paths: tuple[str, ...]


def send_large(endpoint: Endpoint, path: str, length: int) -> Sent:
    """
    Send the whole content of the upload at *path*.
    """
    block = memoryview(os.urandom(SEND_BLOCK))
    with Connection(endpoint) as connection:
        began = time.monotonic()
        connection.append_blocks(path, length, block)
        return Sent(began=began, ended=time.monotonic(), paths=(path,))


def send_small(endpoint: Endpoint, count: int) -> Sent:
    """
    Create, send and check *count* small uploads, one after the other over one connection.
    """
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


def elapsed(parts: Sequence[Sent]) -> float:
    """
    Return the seconds from the first beginning to the last end.
    """
    return max(part.ended for part in parts) - min(part.began for part in parts)


class Senders:
    """
    The sending processes.
    """

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def send_large(self, endpoint: Endpoint, uploads: Sequence[tuple[str, int]]) -> list[Sent]:
        """
        Fill all *uploads* (path, length) at once.
        """
        return _all([self._pool.submit(send_large, endpoint, path, length) for path, length in uploads])

    def send_small(self, endpoint: Endpoint, count: int, concurrency: int) -> list[Sent]:
        """
        Make *count* small uploads over *concurrency* connections.
        """
        return _all([self._pool.submit(send_small, endpoint, share) for share in shares(count, concurrency)])


def shares(whole: int, parts: int) -> list[int]:
    """
    Return *whole* in at most *parts* nearly equal parts, none of them empty.
    """
    small, larger = divmod(whole, parts)
    return [share for share in (small + (index < larger) for index in range(parts)) if share]


@contextmanager
def senders(count: int) -> Iterator[Senders]:
    """
    Have *count* sending processes, all of them started.
    """
    # Spawned, not forked: what the harness holds (descriptors, signal handlers) is none of theirs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_ignore_interrupts) as pool:
        _all([pool.submit(time.sleep, WARM) for _ in range(count)])
        yield Senders(pool)


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole process group; the harness ends the servers, and with them what is being sent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _all(futures: Sequence[Future[T]]) -> list[T]:
    return [future.result() for future in futures]
