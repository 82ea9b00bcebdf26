"""
Thousands of slow uploads at once, and a fast one beside them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.figures.results import Slow, Transfer
from benchmarks.loads.load import Senders
from benchmarks.loads.slow import Pace, Trickling, allow, trickling
from benchmarks.loads.wire import BenchError
from benchmarks.measure import Say, fill, turns, warm_up
from benchmarks.servers import Server, running
from benchmarks.sizes import KiB
from benchmarks.targets import Target

SECONDS = 1.0
SAMPLE = 0.25 * SECONDS

PIECE = 1 * KiB
# So that everybody has sent at least twice before the fast one comes.
PIECES_BEFORE = 2.5
# The most slow uploads; all are asked to end once the fast one has ended.
PIECES = 30
PROBES = 200
FAST = 3
PROBES_PER_PIECE = 40


def crowds(
    targets: Sequence[Target], senders: Senders, directory: Path, say: Say, *, uploads: int, every: float, size: int, rounds: int
) -> dict[str, list[Slow]]:
    """
    Make so many slow *uploads* at once at every server, a KiB *every* so many seconds, and fast ones of *size* bytes beside and
    after them, *rounds* times.

    A server is started afresh for each turn: what it had before would be part of what it needs while idle.
    """
    allow(uploads + PROBES)  # also for the servers that are started here
    results: dict[str, list[Slow]] = {target.name: [] for target in targets}
    for turn, target in turns(targets, rounds):
        try:
            with running(target, directory / target.name) as server:
                slow = _turn(server, senders, directory, uploads, every, size)
        except (BenchError, OSError) as error:
            raise BenchError(f"{target.name}: {error}") from error
        results[target.name].append(slow)
        say(
            f"slow uploads {turn}: {target.name} {slow.kib_each or 0:.0f} KiB each, "
            f"a fast one {slow.beside.seconds:.2f} s beside them and {slow.alone.seconds:.2f} s alone"
        )
    return results


def _turn(server: Server, senders: Senders, directory: Path, uploads: int, every: float, size: int) -> Slow:
    warm_up([server], senders)
    idle = server.memory()
    pace = Pace(
        uploads=uploads,
        length=PIECES * PIECE,
        seconds=PIECES * every,
        every=every,
        probes=PROBES,
        probe_every=every / PROBES_PER_PIECE,
        probe_seconds=every / 4,
    )
    with trickling(server.endpoint, pace, senders) as slow:
        most = _watch(server, slow, PIECES_BEFORE * every)
        beside = _fast(server, senders, directory, size)
        if slow.over:
            raise BenchError("the slow uploads were over before the fast one")
        slow.end()
        trickle = slow.result()
    # What thousands of uploads have left behind is not what the fast one has to wait for.
    os.sync()
    alone = _fast(server, senders, directory, size)
    return Slow(
        uploads=uploads,
        idle=idle,
        most=most,
        median=trickle.median,
        slowest=trickle.slowest,
        beside=beside,
        alone=alone,
    )


def _fast(server: Server, senders: Senders, directory: Path, size: int) -> Transfer:
    """Return the middle one of a few fast uploads: a single one says little."""
    found = []
    for _ in range(FAST):
        machine.settle(directory, size)
        found.append(fill(server, senders, size, 1))
    return sorted(found, key=lambda transfer: transfer.seconds)[FAST // 2]


def _watch(server: Server, slow: Trickling, seconds: float) -> int | None:
    """Return the most memory that *server* has within so many *seconds*."""
    most = server.memory()
    until = time.monotonic() + seconds
    while most is not None and time.monotonic() < until and not slow.over:
        time.sleep(SAMPLE)
        most = max(most, server.memory() or 0)
    return most
