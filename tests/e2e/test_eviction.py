"""
A newcomer resumes at once, whatever became of the connection, the process or the client before it.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.resumption import SILENCE, resume
from tests.e2e.wire import Cut, Wire

KiB = 1024
MiB = 1024 * KiB
ROUNDS = 20

pytestmark = pytest.mark.content_path


@pytest.mark.alone("it measures how long clients wait")
def test_silent_client_same_process(serve: Serve) -> None:
    """
    A client that vanished without a FIN is resumed by another connection in less than 100 ms, with every byte that it had sent.
    """
    server = serve()
    taken = [resume(server, server, seed, Wire.settle) for seed in range(ROUNDS)]
    print("HEAD and PATCH in the same process:", [f"{ms:.1f}" for ms in taken], f"median {statistics.median(taken):.1f} ms")

    assert statistics.median(taken) < 100


@pytest.mark.alone("it measures how long clients wait")
def test_silent_client_other_process(serve: Serve) -> None:
    """
    A client that vanished without a FIN is resumed in another process in less than 300 ms, with every byte that it had sent.
    """
    holder, newcomer = serve(), serve()
    taken = [resume(holder, newcomer, seed, Wire.settle) for seed in range(ROUNDS)]
    print("HEAD and PATCH in another process:", [f"{ms:.1f}" for ms in taken], f"median {statistics.median(taken):.1f} ms")

    assert statistics.median(taken) < 300


@pytest.mark.parametrize("dialect", DIALECTS)
def test_newcomer_takes_over(serve: Serve, dialect: str) -> None:
    """
    Of two live writers the newer goes on where the older was, and the older is told so and not that it succeeded.
    """
    server, third = serve(), 256 * KiB
    with Wire(server.port) as older, Wire(server.port) as newer:
        upload = Upload(DIALECTS[dialect], photo(dialect, 3 * third)).create(older)
        older.send(upload.head(0) + upload.content[:third])
        older.settle()
        time.sleep(SILENCE)
        offset = upload.question(newer).offset
        older.send(upload.content[third : third + 1])
        answer = older.answer()
        ended = upload.append(newer, offset)
        final = upload.download(newer).content

    assert third == offset
    assert {"tus": 423, "ietf": 409, "attachments": 423}[dialect] == answer.status
    assert upload.is_complete(ended)
    assert sha256(upload.content) == sha256(final)


def _write_until_complete(port: int, upload: Upload, seed: int, start: threading.Barrier) -> int:
    """Resume *upload* until it is complete, in small steps; return how many answers said that this writer completed it."""
    luck = random.Random(seed)
    start.wait(10)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with Wire(port) as wire:
            offset = upload.question(wire).offset
            if offset == upload.length:
                return 0
            try:
                wire.send(upload.head(offset))
                for at in range(offset, upload.length, 32 * KiB):
                    wire.send(upload.content[at : at + 32 * KiB])
                    time.sleep(0.001)
                answer = wire.answer()
            except (Cut, ConnectionError):
                answer = None
            if answer is not None and upload.is_complete(answer):
                return 1
        time.sleep(luck.uniform(0, 0.3))
    raise TimeoutError(f"{upload} did not come to its end")


@pytest.mark.parametrize("processes", [1, 2])
def test_two_live_writers(serve: Serve, processes: int) -> None:
    """
    Two clients that fight over one upload end it once, and its bytes are right.
    """
    servers = [serve() for _ in range(processes)]
    ended = []
    for round_ in range(8):
        with Wire(servers[0].port) as wire, ThreadPoolExecutor(2) as pool:
            upload = Upload(DIALECTS["tus"], photo(round_, MiB)).create(wire)
            start = threading.Barrier(2)
            writers = [
                pool.submit(_write_until_complete, servers[i % processes].port, upload, 2 * round_ + i, start) for i in range(2)
            ]
            ended.append(sum(writer.result(90) for writer in writers))

            assert sha256(upload.content) == sha256(upload.download(wire).content)

    assert [1] * 8 == ended


@pytest.mark.parametrize("sent", [0, 64 * KiB, MiB])
def test_frozen_holder(serve: Serve, make_server: Callable[..., Holdfast], sent: int) -> None:
    """
    A holder that was frozen and passed over does no harm when it wakes up: to the bytes, to the offset or to its client.
    """
    sleeper, newcomer = make_server().start(), serve()
    content = photo("kept", 3 * MiB)
    with Wire(sleeper.port) as slow, Wire(newcomer.port) as wire:
        upload = Upload(DIALECTS["tus"], content).create(slow)

        assert 204 == upload.append(slow, 0, MiB).status
        # What the sleeper's client sends is not what the newcomer's client will send.
        other = photo("lost", 2 * MiB)
        slow.send(upload.head(MiB) + other[:sent])
        slow.settle()
        time.sleep(0.3)
        sleeper.freeze()
        slow.send(other[sent : sent + 64 * KiB])
        begin = time.perf_counter()
        offset = upload.question(wire).offset
        ended = upload.append(wire, offset)
        print(f"passing a frozen process over took {time.perf_counter() - begin:.2f} s, from offset {offset}")

        assert upload.is_complete(ended)
        assert offset >= MiB
        # The bytes before the offset that the newcomer was told may be the sleeper's.
        expected = sha256((content[:MiB] + other)[:offset] + content[offset:])

        assert expected == sha256(upload.download(wire).content)
        sleeper.thaw()
        with Wire(sleeper.port) as awake:
            assert upload.length == upload.question(awake).offset
        try:
            slow.send(other[sent + 64 * KiB :])
            status = slow.answer().status
        except (Cut, ConnectionError):
            status = 0
        time.sleep(0.3)
        question = upload.question(wire)

        assert status in (0, 409, 423)
        assert upload.length == question.offset
        assert expected == sha256(upload.download(wire).content)
        with Wire(sleeper.port) as awake:
            assert expected == sha256(upload.download(awake).content)


def _upload_with_cuts(port: int, seed: int) -> int:
    """Upload something over connections that are cut again and again; return how many it took."""
    luck = random.Random(seed)
    upload = Upload(list(DIALECTS.values())[seed % 3], photo(seed, luck.randrange(64 * KiB, 3 * MiB)))
    with Wire(port) as wire:
        upload.create(wire)
    for connections in range(1, 100):
        # A request that was cut may come to its turn only after the question: then another one is refused, and asks again.
        with suppress(Cut, ConnectionError), Wire(port) as wire:
            question = upload.question(wire)
            if upload.is_complete(question):
                assert sha256(upload.content) == sha256(upload.download(wire).content)
                return connections
            if question.status in (409, 423):
                continue
            missing = upload.length - question.offset
            size = missing if connections > 8 else luck.randrange(missing + 1)
            wire.send(upload.head(question.offset) + upload.content[question.offset : question.offset + size])
            if size == missing:
                assert wire.answer().status in (200, 204, 409, 423)
            elif luck.random() < 0.5:
                wire.settle()
            if luck.random() < 0.3:
                wire.reset()
    raise TimeoutError(f"{upload} did not come to its end")


def test_many_uploads_over_workers(serve: Serve) -> None:
    """
    With four processes on one port, sixteen uploads complete although their connections are cut and land on any process.
    """
    server = serve(workers=4)
    with ThreadPoolExecutor(16) as pool:
        cuts = list(pool.map(lambda seed: _upload_with_cuts(server.port, seed), range(16), timeout=120))
    print("connections that each upload took:", cuts)

    assert (len(server.workers()), len(cuts)) == (4, 16)
