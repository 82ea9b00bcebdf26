"""
The process is killed a hundred times under eight concurrent uploads.
"""

from __future__ import annotations

import collections
import math
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Call, Cut, Wire

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0

SEED = 20261123
KILLS = 100
CLIENTS = 8
# An upload that is not complete so long after its beginning hangs; kills go on for longer than that.
STUCK_AFTER = 60 * SECONDS
# What a connection to a process that was killed ends with.
TROUBLE = (Cut, ConnectionError, TimeoutError)


@dataclass
class Tally:
    """What a client saw."""

    acknowledged: int = 0
    kept: int = 0
    """Bytes that no answer had acknowledged, and that were there all the same."""
    completed: list[tuple[str, Call, str]] = field(default_factory=list)
    """Dialect, download and digest."""


class Client:
    """
    Uploads one thing after another in pieces, and holds the server to every offset that it acknowledged.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.tally = Tally()
        self._port = port
        self._luck = random.Random(seed)
        self._seed = seed

    def run(self, enough: threading.Event) -> None:
        """
        Upload until it is *enough*; what was begun is completed.
        """
        while not enough.is_set():
            self._upload_one()

    def _upload_one(self) -> None:
        name = self._luck.choice(list(DIALECTS))
        size = self._between(KiB, 8 * MiB)
        upload = Upload(DIALECTS[name], photo((self._seed, len(self.tally.completed)), size))
        acknowledged = sent = 0
        complete = False
        until = time.monotonic() + STUCK_AFTER
        while True:
            assert time.monotonic() < until, f"{upload} is stuck at {acknowledged}"
            try:
                with Wire(self._port) as wire:
                    if not upload.target:
                        upload.create(wire)
                    answer = upload.question(wire)

                    assert answer.status in (200, 202, 204), (upload, answer)
                    assert acknowledged <= answer.offset <= sent, (upload, acknowledged, sent, answer)
                    assert not complete or upload.is_complete(answer), (upload, answer)
                    self.tally.kept += answer.offset - acknowledged
                    acknowledged = answer.offset
                    complete = upload.is_complete(answer)
                    while not complete:
                        piece = min(self._between(KiB, 4 * MiB), upload.length - acknowledged)
                        sent = max(sent, acknowledged + piece)
                        answer = upload.append(wire, acknowledged, piece)

                        assert answer.status in (200, 202, 204), (upload, answer)
                        assert acknowledged + piece == answer.offset, (upload, acknowledged, piece, answer)
                        self.tally.acknowledged += piece
                        acknowledged = answer.offset
                        complete = upload.is_complete(answer)
                    answer = upload.download(wire)

                    assert 200 == answer.status, (upload, answer)
                    assert sha256(upload.content) == sha256(answer.content), upload
                    break
            except TROUBLE:
                time.sleep(0.01)
        self.tally.completed.append((name, upload.dialect.download(upload.target), sha256(upload.content)))

    def _between(self, least: int, most: int) -> int:
        return int(math.exp(self._luck.uniform(math.log(least), math.log(most))))


@pytest.mark.slow
@pytest.mark.content_path
@pytest.mark.timeout(600)
def test_a_hundred_kills(serve: Serve) -> None:
    """
    However often and whenever the process is killed, no acknowledged offset is lost, no byte is wrong and no upload gets stuck.
    """
    server, luck, enough = serve(durability="acknowledged"), random.Random(SEED), threading.Event()
    clients = [Client(server.port, SEED + i) for i in range(CLIENTS)]
    begin = time.monotonic()
    starts: list[float] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client.run, enough) for client in clients]
        try:
            for _ in range(KILLS):
                time.sleep(luck.uniform(0, 0.4))
                if any(run.done() for run in running):
                    break  # it failed
                server.restart()
                starts.append(server.started_in)
        finally:
            enough.set()
        for run in running:
            run.result(STUCK_AFTER)
    tallies = [client.tally for client in clients]
    completed = [upload for tally in tallies for upload in tally.completed]
    print(
        f"seed {SEED}: {len(starts)} kills in {time.monotonic() - begin:.0f} s, "
        f"ready again after {statistics.median(starts) * 1000:.0f} ms (median)\n"
        f"{len(completed)} uploads complete {dict(collections.Counter(name for name, *_ in completed))}, "
        f"{sum(tally.acknowledged for tally in tallies) / MiB:.0f} MiB acknowledged, "
        f"{sum(tally.kept for tally in tallies) / MiB:.0f} MiB kept besides"
    )
    with Wire(server.port) as wire:
        for name, download, digest in luck.sample(completed, min(200, len(completed))):
            answer = wire.ask(download)

            assert (200, digest) == (answer.status, sha256(answer.content)), (name, download)

    assert len(starts) == KILLS
    assert {"open", "complete"} >= {state for state, _ in server.recorded().values()}
