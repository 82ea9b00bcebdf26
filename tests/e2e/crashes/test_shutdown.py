"""
SIGTERM ends the service in order, and a process that dies is replaced.
"""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from servers.holdfast import Holdfast
from servers.process import living
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Cut, Wire

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0
GRACE = 5

pytestmark = pytest.mark.real_command


def _resumes(server: Holdfast, upload: Upload, acknowledged: int) -> bool:
    """Say whether, in the server's next life, everything acknowledged is there and the rest can follow."""
    with Wire(server.port) as wire:
        offset = upload.question(wire).offset

        assert acknowledged <= offset <= upload.length
        assert upload.is_complete(upload.append(wire, offset))
        return sha256(upload.content) == sha256(upload.download(wire).content)


@pytest.mark.parametrize(("handoff", "workers"), [("on", 1), ("off", 1), ("on", 2)])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_sigterm_during_an_append(serve: Serve, dialect: str, workers: int) -> None:
    """
    SIGTERM in the middle of an append ends the process within the grace period; what was acknowledged is there afterwards.
    """
    server = serve(workers=workers, shutdown_grace=GRACE)
    half = MiB
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 2 * half)).create(wire)
        wire.send(upload.head(0) + upload.content[:half])
        wire.settle()
        time.sleep(0.2)
        begin = time.monotonic()
        server.terminate()
        acknowledged, status = 0, 0
        try:
            answer = wire.answer()
            status = answer.status
            acknowledged = answer.offset
        except (Cut, ConnectionError):
            pass
        code = server.wait(GRACE + 2)
        taken = time.monotonic() - begin
    print(f"{dialect}, {workers} workers: {status} tells {acknowledged} of {half} bytes, ended with {code} after {taken:.2f} s")

    assert (0, half) == (code, acknowledged)
    assert status == {"tus": 204, "ietf": 503, "attachments": 202}[dialect]
    assert taken < GRACE
    assert _resumes(server.start(), upload, acknowledged)


@pytest.mark.parametrize("workers", [1, 3])
def test_sigterm_while_idle(serve: Serve, workers: int) -> None:
    """
    SIGTERM ends an idle service in less than two seconds, although clients keep their connections open.
    """
    server = serve(workers=workers)
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    with Wire(server.port) as used, Wire(server.port), Wire(server.port) as begun:
        upload = Upload(DIALECTS["tus"], photo("idle", KiB)).create(used)
        begun.send(b"GET /healthz HT")
        time.sleep(0.1)
        begin = time.monotonic()
        server.terminate()
        code = server.wait(10)
        taken = time.monotonic() - begin
    print(f"{workers} workers: ended with {code} after {taken:.2f} s")

    assert (0, []) == (code, living(family, within=1))
    assert taken < 2 * SECONDS
    assert _resumes(server.start(), upload, 0)


def test_sigterm_during_a_download(serve: Serve) -> None:
    """
    A client that reads its download slowly does not keep the process longer than the grace period.
    """
    server = serve(shutdown_grace=1)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("download", 16 * MiB)).create(wire)

        assert upload.is_complete(upload.append(wire, 0))
        wire.send(upload.dialect.download(upload.target).encode())
        wire.socket.recv(KiB)
        begin = time.monotonic()
        server.terminate()
        code = server.wait(10)
        taken = time.monotonic() - begin
    print(f"ended with {code} after {taken:.2f} s")

    assert 0 == code
    assert taken < 3 * SECONDS


@pytest.mark.content_path
def test_second_sigterm(serve: Serve) -> None:
    """
    Whoever asks twice does not have to wait for the grace period, and loses nothing that was acknowledged either.
    """
    server = serve(shutdown_grace=GRACE)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("twice", 2 * MiB)).create(wire)

        assert 204 == upload.append(wire, 0, MiB).status
        wire.send(upload.head(MiB) + upload.content[MiB : MiB + KiB])
        wire.settle()
        server.terminate()
        server.terminate()
        begin = time.monotonic()
        server.wait(10)
        taken = time.monotonic() - begin

    assert taken < GRACE
    assert _resumes(server.start(), upload, MiB)


@pytest.mark.content_path
def test_worker_killed(serve: Serve) -> None:
    """
    A worker that is killed in the middle of an append is replaced, and the client goes on with another.
    """
    server = serve(workers=2)
    upload = Upload(DIALECTS["tus"], photo("worker", 2 * MiB))
    with Wire(server.port) as wire:
        upload.create(wire)

        assert 204 == upload.append(wire, 0, MiB).status
        wire.send(upload.head(MiB) + upload.content[MiB : MiB + KiB])
        wire.settle()
        here = wire.socket.getsockname()
        holders = [worker.pid for worker in server.workers() if any(end.raddr == here for end in worker.net_connections("tcp"))]

        assert 1 == len(holders)
        begin = time.monotonic()
        os.kill(holders[0], signal.SIGKILL)
        ended = wire.is_ended(5)
    with Wire(server.port) as wire:
        offset = upload.question(wire).offset
        resumed = time.monotonic() - begin
        answer = upload.append(wire, offset)
        content = upload.download(wire).content
    while time.monotonic() - begin < 10 * SECONDS and len(server.workers()) < 2:
        time.sleep(0.02)
    print(f"resumed after {resumed * 1000:.0f} ms, replaced after {time.monotonic() - begin:.2f} s")

    assert ended
    assert upload.is_complete(answer)
    assert sha256(upload.content) == sha256(content)
    assert 2 == len(server.workers())


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphans(serve: Serve, signal_: signal.Signals) -> None:
    """
    When the first of several processes dies, however it dies, the others end too and the port is free for the next life.
    """
    server = serve(workers=2)
    workers = server.workers()
    server.process.process.send_signal(signal_)
    server.wait(10)
    alive = living(workers, within=5)
    for worker in alive:
        worker.kill()

    assert (2, []) == (len(workers), alive)
    with Wire(server.start().port) as wire:
        Upload(DIALECTS["tus"], photo("again", KiB)).create(wire)
