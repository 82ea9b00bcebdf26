"""
Many clients upload through nginx to three processes with Redis and S3 behind, while something breaks again and again.

Every file arrives; nobody begins again, and no offset that a client was told is taken back.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from servers.cluster import Cluster
from tests.e2e.crashes.journal import Journal
from tests.e2e.crowd import Crowd, Sent, digest
from tests.e2e.resumption import resume
from tests.e2e.wire import Wire

MiB = 1024 * 1024
CLIENTS = 32
SIZE = 64 * MiB
SECONDS = 1.0
BREAK_EVERY = 2 * SECONDS
PATIENCE = 10 * SECONDS
"""How long nginx waits for a process that does nothing."""
FROZEN = 13 * SECONDS
WITHIN = 500 * SECONDS
RESUMED_WITHIN = 250  # milliseconds
ROUNDS = 50

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.alone("something breaks every two seconds: beside other tests uploads are slower, and more breaks than is meant"),
]
Break = Callable[[Cluster, random.Random], str]


@pytest.fixture
def cluster(disk: Path, handoff: str) -> Iterator[Cluster]:
    """Return three processes behind nginx, with stores of their own."""
    with Cluster(disk, settings={"handoff": handoff}, forked=True) as cluster:
        yield cluster


def kill_a_node(cluster: Cluster, luck: random.Random) -> str:
    """End any process, and start it again."""
    name = luck.choice(cluster.named("nodes"))
    cluster.restart(name)
    return name


def freeze_a_node(cluster: Cluster, luck: random.Random) -> str:
    """Stop any process in its tracks for longer than nginx waits, and let it go on."""
    name = luck.choice(cluster.named("nodes"))
    cluster.freeze(name)
    time.sleep(FROZEN)
    cluster.thaw(name)
    return name


def restart_s3(cluster: Cluster, _luck: random.Random) -> str:
    """End the S3 server, and start it again."""
    cluster.restart(*cluster.named("s3"))
    return "s3"


def fail_over(cluster: Cluster, _luck: random.Random) -> str:
    """End the primary of Redis; the replica takes its place, and has it as its replica when that is back."""
    (old,) = cluster.named("redis")
    seconds = cluster.redis.fail_over()
    cluster.start(old)
    return f"{old} ({seconds:.1f} s)"


def _break_again_and_again(cluster: Cluster, uploads: list[Future[Sent]], break_it: Break, times: int) -> list[str]:
    """Break the cluster every two seconds while anybody uploads, so many times at most; return what was broken."""
    luck = random.Random(break_it.__name__)
    broken: list[str] = []
    due = time.monotonic() + BREAK_EVERY
    until = time.monotonic() + WITHIN
    while len(broken) < times and time.monotonic() < until and wait(uploads, max(0, due - time.monotonic())).not_done:
        due = time.monotonic() + BREAK_EVERY
        broken.append(break_it(cluster, luck))
    return broken


def _upload_meanwhile(cluster: Cluster, folder: Path, break_it: Break, times: int) -> Journal:
    """Have all files uploaded while the cluster is broken; return what happened, when every file has arrived."""
    crowd = Crowd(folder, CLIENTS, SIZE)
    with ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.monotonic()
        uploads = crowd.upload(f"{cluster.url}/files", pool)
        broken = _break_again_and_again(cluster, uploads, break_it, times)
        sent = [upload.result(WITHIN) for upload in uploads]
        taken = time.monotonic() - begin
    journal = Journal.read(cluster.nginx.requests)
    resumed = [offset // MiB for offset in journal.resumed_at()]
    print(f"{break_it.__name__}: {len(sent)} files of {SIZE // MiB} MiB in {taken:.1f} s; broken: {len(broken)} {broken}")
    print(f"requests: {journal.summary()}; resumed at (MiB): {resumed}")
    print("offsets that went back:", journal.regressions())
    cluster.start()
    arrived = [digest(each.url) == each.digest for each in sent]

    assert broken
    assert [True] * CLIENTS == arrived
    assert [] == [exchange for exchange in journal.exchanges if exchange.status == 500]
    return journal


@pytest.mark.content_path
def test_node_killed(cluster: Cluster, folder: Path) -> None:
    """Processes of Holdfast are killed: every file arrives, and no offset goes back."""
    journal = _upload_meanwhile(cluster, folder, kill_a_node, 1000)

    assert [] == journal.regressions()


def test_s3_killed(cluster: Cluster, folder: Path) -> None:
    """Processes of the S3 server are killed: every file arrives, and no offset goes back."""
    journal = _upload_meanwhile(cluster, folder, restart_s3, 3)

    assert [] == journal.regressions()


def test_frozen(disk: Path, folder: Path, handoff: str) -> None:
    """
    Processes of Holdfast stand still for longer than nginx waits, and go on: every file arrives, and no offset goes back.
    """
    with Cluster(disk, patience=PATIENCE, settings={"handoff": handoff}, forked=True) as cluster:
        journal = _upload_meanwhile(cluster, folder, freeze_a_node, 1000)

    assert [] == journal.regressions()


def test_failover(cluster: Cluster, folder: Path) -> None:
    """
    The primary of Redis dies: every file arrives, and no upload begins again.

    What Redis had not yet copied to its replica is lost with it: an offset may go back by what was recorded in the last moments.
    """
    journal = _upload_meanwhile(cluster, folder, fail_over, 1)

    assert [] == [regression for regression in journal.regressions() if not regression.told]


@pytest.mark.content_path
def test_resumed_elsewhere(cluster: Cluster) -> None:
    """An upload whose connection to one process broke, or died without a word, goes on at another in less than 250 ms."""
    here, there, _ = cluster.nodes
    medians = {}
    for leave in (Wire.reset, Wire.close, Wire.settle):
        taken = [resume(here, there, (leave.__name__, seed), leave) for seed in range(ROUNDS)]
        medians[leave.__name__] = statistics.median(taken)
        print(f"after {leave.__name__}, {ROUNDS} times: median {medians[leave.__name__]:.1f} ms, most {max(taken):.1f} ms")

    assert {} == {name: median for name, median in medians.items() if median >= RESUMED_WITHIN}
