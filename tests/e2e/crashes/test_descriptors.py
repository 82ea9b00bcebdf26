"""
A process that runs out of descriptors refuses requests in order, and its stores do not suffer.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest

from servers.holdfast import Holdfast
from servers.ports import LOOPBACK
from tests.e2e.dialects import DIALECTS, Upload, photo
from tests.e2e.wire import Call, Wire

MiB = 1024 * 1024
LIMIT = 256
CLIENTS = 250

MakeServer = Callable[..., Holdfast]
pytestmark = pytest.mark.real_command


LIMITED = ("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh")


def _ready(server: Holdfast) -> int:
    with Wire(server.port) as wire:
        return wire.ask(Call(method="GET", target="/readyz")).status


def test_downloads(make_server: MakeServer) -> None:
    """
    Downloads that are not read take descriptors until no more may be had: the others are answered 503, and none is reset.
    """
    server = make_server(before=LIMITED).start()
    statuses: Counter[int] = Counter()
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("large", 16 * MiB)).create(wire)

        assert upload.is_complete(upload.append(wire, 0))
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            wire = stack.enter_context(Wire(server.port))
            wire.send(upload.dialect.download(upload.target).encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += wire.socket.recv(1)
            statuses[int(head.split()[1])] += 1

            assert (b"503" in head) == (b"retry-after" in head)
    print(f"{LIMIT} descriptors: {dict(statuses)}")

    assert {200, 503} == set(statuses)
    assert statuses[200] > 20
    assert 200 == _ready(server)
    assert "does not answer" not in server.log()


def test_connections_that_say_nothing(make_server: MakeServer) -> None:
    """
    More silent connections than there are descriptors do not harm the stores, and whoever comes then is told so.
    """
    server = make_server(before=LIMITED).start()
    with ExitStack() as stack:
        for _ in range(2 * LIMIT):
            stack.enter_context(closing(socket.create_connection((LOOPBACK, server.port))))
            time.sleep(0.001)
        with Wire(server.port) as wire:
            answer = wire.ask(Call(method="GET", target="/healthz"))

    assert 503 == answer.status
    assert "retry-after" in answer.fields
    assert 200 == _ready(server)
    assert "does not answer" not in server.log()
