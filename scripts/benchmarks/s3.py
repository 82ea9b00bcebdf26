"""
Holdfast over a real S3 server, beside boto3's own ``upload_fileobj`` into the same server: ``scripts/bench --s3``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.figures.results import Transfer, median
from benchmarks.loads.load import Senders
from benchmarks.loads.slow import Pace, trickling
from benchmarks.loads.wire import BenchError
from benchmarks.measure import fill
from benchmarks.servers import Server, running
from benchmarks.sizes import MiB, format_size
from benchmarks.targets import HOLDFAST, PEERS, Target, built_in
from servers.process import ROOT
from servers.stores.s3 import S3Account
from servers.stores.swift import SwiftServer, folder_with_attributes

Say = Callable[[str], None]

BOTO3 = "boto3"
LEAST_SPEED = 0.85
"""… of the throughput of `upload_fileobj`."""
MOST_CPU = 3.0
"""… times its CPU time."""

SLOW = 1000
SLOW_LENGTH = 4 * MiB
SLOW_SECONDS = 40.0
SLOW_EVERY = 0.25
SLOW_BOUND = 600 * MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """The turns of both, and whether the bounds were kept."""

    holdfast: list[Transfer]
    boto3: list[Transfer]

    @property
    def speed(self) -> float:
        """Holdfast's throughput in multiples of boto3's."""
        return _known(median(turn.gb_per_second for turn in self.holdfast)) / _known(
            median(turn.gb_per_second for turn in self.boto3)
        )

    @property
    def cpu(self) -> float:
        """Holdfast's CPU time in multiples of boto3's."""
        return _known(median(turn.cpu_per_gib for turn in self.holdfast)) / _known(
            median(turn.cpu_per_gib for turn in self.boto3)
        )

    @property
    def kept(self) -> bool:
        """Whether both bounds were kept."""
        return self.speed >= LEAST_SPEED and self.cpu <= MOST_CPU

    def lines(self) -> list[str]:
        """Return what there is to say, for people."""
        lines = ["server    GB/s  CPU-s/GiB"]
        for name, turns in ((HOLDFAST, self.holdfast), (BOTO3, self.boto3)):
            speed, cost = (
                _known(median(values)) for values in ([t.gb_per_second for t in turns], [t.cpu_per_gib for t in turns])
            )
            lines.append(f"{name:8}  {speed:4.2f}  {cost:9.2f}")
        verdict = "kept" if self.kept else "MISSED"
        lines.append(
            f"{self.speed:.2f} of the throughput of upload_fileobj (at least {LEAST_SPEED}) at {self.cpu:.2f} of its CPU "
            f"(at most {MOST_CPU:.0f}): {verdict}"
        )
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Many slow uploads at once."""

    uploads: int
    length: int
    idle: int
    peak: int
    median: float
    slowest: float

    @property
    def kept(self) -> bool:
        """Whether the bound on memory was kept."""
        return self.peak < SLOW_BOUND

    def line(self) -> str:
        """Return what there is to say, for people."""
        verdict = "kept" if self.kept else "EXCEEDED"
        return (
            f"{self.uploads} slow uploads of {format_size(self.length)} at once: {self.peak / MiB:.0f} MiB resident at most "
            f"({self.idle / MiB:.0f} before; bound {SLOW_BOUND // MiB} MiB: {verdict}); all complete, answered "
            f"{self.median:.1f} s (median) and {self.slowest:.1f} s (slowest) after the last byte was due"
        )


def measure(directory: Path, senders: Senders, say: Say, *, size: int, rounds: int) -> tuple[Ingest, Crowd]:
    """Start an S3 server below *directory*, and measure over it."""
    with SwiftServer(folder_with_attributes(directory / "swift", ROOT / ".venv" / "swift-bench")) as swift:
        bucket = swift.account.make_bucket()
        target = over_s3(swift.account, bucket)
        ingest = _ingest(directory, senders, say, target, swift.account, bucket, size=size, rounds=rounds)
        with running(target, directory / "crowd") as server:
            return ingest, _crowd(server, senders, say)


def over_s3(account: S3Account, bucket: str) -> Target:
    """Return Holdfast as it is shipped, with its content in a bucket."""
    (shipped,) = (target for target in built_in() if target.name == HOLDFAST)
    return dataclasses.replace(
        shipped, environment={**shipped.environment, **account.environment, "HOLDFAST_BYTES_URL": f"s3://{bucket}/bench"}
    )


def _ingest(
    directory: Path, senders: Senders, say: Say, target: Target, account: S3Account, bucket: str, *, size: int, rounds: int
) -> Ingest:
    source = directory / "source"
    source.write_bytes(b"")
    with source.open("wb") as file:
        for _ in range(size // MiB):
            file.write(os.urandom(MiB))
    ours: list[Transfer] = []
    theirs: list[Transfer] = []
    with running(target, directory / "ingest") as server:
        for number in range(rounds):
            for name in (HOLDFAST, BOTO3) if number % 2 else (BOTO3, HOLDFAST):
                machine.settle(directory, size)
                turn = fill(server, senders, size, 1) if name == HOLDFAST else _upload_fileobj(account, bucket, source)
                (ours if name == HOLDFAST else theirs).append(turn)
                say(f"s3 {number + 1}/{rounds}: {name} {turn.seconds:.2f} s")
    source.unlink()
    return Ingest(holdfast=ours, boto3=theirs)


def _upload_fileobj(account: S3Account, bucket: str, source: Path) -> Transfer:
    command = [sys.executable, str(PEERS / "boto3_upload.py"), bucket, "boto3", str(source)]
    done = subprocess.run(command, env={**os.environ, **account.environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"boto3: {done.stderr.strip().splitlines()[-1:]}")
    figures = json.loads(done.stdout)
    client = account.client()
    try:
        client.delete_object(Bucket=bucket, Key="boto3")
    finally:
        client.close()
    return Transfer(size=source.stat().st_size, seconds=figures["seconds"], cpu=figures["cpu"])


def _crowd(server: Server, senders: Senders, say: Say) -> Crowd:
    idle = server.peak_memory()
    say(f"s3: {SLOW} uploads at a trickle for {SLOW_SECONDS:.0f} s")
    pace = Pace(uploads=SLOW, length=SLOW_LENGTH, seconds=SLOW_SECONDS, every=SLOW_EVERY)
    with trickling(server.endpoint, pace, senders) as slow:
        trickle = slow.result()
    peak = server.peak_memory()
    if idle is None or peak is None:
        raise BenchError("the memory of Holdfast is not known")
    return Crowd(
        uploads=SLOW, length=SLOW_LENGTH, idle=idle, peak=peak, median=trickle.median, slowest=trickle.slowest
    )  # fmt: skip


def _known(value: float | None) -> float:
    if value is None:
        raise BenchError("the CPU time of a server is not known")
    return value
