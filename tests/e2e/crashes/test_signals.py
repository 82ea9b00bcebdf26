"""
Signals end the real command in order at every moment, from its start on, and it ends with 0.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.holdfast import Holdfast
from servers.ports import LOOPBACK, listens
from servers.process import wait_until
from tests.e2e.conftest import Serve
from tests.e2e.wire import Call, Wire

SECONDS = 1.0
WITHIN = 10 * SECONDS
AFTER = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)  # seconds
SOME = AFTER[::3]

MakeServer = Callable[..., Holdfast]
pytestmark = pytest.mark.real_command


@pytest.mark.parametrize(
    ("workers", "number", "moments"), [(1, signal.SIGTERM, AFTER), (1, signal.SIGINT, SOME), (2, signal.SIGTERM, SOME)]
)
def test_just_started(make_server: MakeServer, workers: int, number: signal.Signals, moments: tuple[float, ...]) -> None:
    """
    A signal in the first moments after the port opened, while nothing may serve there yet, ends the command with 0.
    """
    server = make_server(workers=workers)
    codes, taken = [], []
    for after in moments:
        server.process.launch()
        wait_until(lambda: listens(server.port), "the port is open")
        time.sleep(after)
        begin = time.monotonic()
        server.process.process.send_signal(number)
        codes.append(server.wait(WITHIN))
        taken.append(time.monotonic() - begin)
        server.kill()  # tells its guard
    print(f"{workers} workers, {number.name}: ended with {codes} after {', '.join(f'{one:.2f}' for one in taken)} s")

    assert [0] * len(moments) == codes


def test_store_that_does_not_answer(make_server: MakeServer) -> None:
    """
    A signal is obeyed at once, too, while the command waits for a store before it serves.
    """
    with socket.create_server((LOOPBACK, 0)) as silent:
        silent.settimeout(WITHIN)
        server = make_server(metadata_url=f"redis://{LOOPBACK}:{silent.getsockname()[1]}/0")
        server.process.launch()
        asking, _ = silent.accept()
        begin = time.monotonic()
        server.terminate()
        code = server.wait(WITHIN)
        asking.close()

    assert 0 == code
    assert time.monotonic() - begin < 1 * SECONDS


@pytest.mark.parametrize("workers", [1, 2])
def test_sigint(serve: Serve, workers: int) -> None:
    """
    Ctrl-C, which every process of a terminal hears, ends the service with 0 as SIGTERM does.
    """
    server = serve(workers=workers)
    server.process.send(signal.SIGINT)

    assert 0 == server.wait(WITHIN)


def test_hangup(serve: Serve) -> None:
    """
    SIGHUP does not end a service of one process: it goes on, and its log says that nothing was read anew.
    """
    server = serve()
    before = server.pid
    server.process.send(signal.SIGHUP)
    wait_until(lambda: "SIGHUP is ignored" in server.process.log(), "the log tells")
    with Wire(server.port) as wire:
        answer = wire.ask(Call(method="GET", target="/healthz"))

    assert (before, 200) == (server.pid, answer.status)
    assert server.process.runs


def test_hangup_that_workers_hear(serve: Serve) -> None:
    """
    SIGHUP, which every process of a terminal hears when that is closed, ends no worker: their parent replaces them in order.
    """
    server = serve(workers=2)
    before = {worker.pid for worker in server.workers()}
    wait_until(lambda: all(map(_ignores_hangups, before)), "the workers leave SIGHUP to their parent", WITHIN)
    for worker in server.workers():
        worker.send_signal(signal.SIGHUP)
    with Wire(server.port) as wire:
        answer = wire.ask(Call(method="GET", target="/healthz"))

    assert 200 == answer.status
    assert before == {worker.pid for worker in server.workers()}


def _ignores_hangups(pid: int) -> bool:
    """Say whether a process ignores SIGHUP (proc(5))."""
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(facts["SigIgn"], 16) >> (signal.SIGHUP - 1) & 1)


def test_hangup_of_workers(serve: Serve) -> None:
    """
    With several processes SIGHUP replaces each by a new one, and requests are answered meanwhile.
    """
    server = serve(workers=2)
    before = {worker.pid for worker in server.workers()}
    server.process.send(signal.SIGHUP)
    statuses = set()
    begin = time.monotonic()
    while time.monotonic() - begin < 30 * SECONDS:
        with Wire(server.port) as wire:
            statuses.add(wire.ask(Call(method="GET", target="/healthz")).status)
        now = {worker.pid for worker in server.workers()}
        if len(now) == 2 and not now & before:
            break
        time.sleep(0.05)

    assert {200} == statuses
    assert (2, set()) == (len(now), now & before)
