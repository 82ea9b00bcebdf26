"""
The command line.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmarks.sizes import GiB, KiB, MiB, parse_size
from benchmarks.targets import Target, built_in, parse_command, parse_pid, parse_url
from benchmarks.workloads import Workload

T = TypeVar("T")

# What lies on the disk at once is the content of one turn, so this bounds the whole run.
MOST_AT_ONCE = 5 * GiB
MOST_STREAMS = 256
MOST_SLOW = 25_000

EPILOG = """\
examples:
  scripts/bench --only limit --only holdfast-none --workload one --size 256MiB
  scripts/bench --server 'tusd@/files/=tusd -host 127.0.0.1 -port {port} -upload-dir {dir}'
  scripts/bench --workload small --server 'before-none=env HOLDFAST_PORT={port} HOLDFAST_DATA_DIR={dir} \
      HOLDFAST_DURABILITY=none /path/to/an/earlier/holdfast/.venv/bin/holdfast serve'
  scripts/bench --url mine=http://127.0.0.1:8080/files --pid mine=4711
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What shall be measured, and how much of it."""

    targets: tuple[Target, ...]
    workloads: tuple[Workload, ...]
    size: int
    """Bytes that flow in each turn, over all streams."""
    streams: int
    short: int
    """Connections with uploads of 1 MiB."""
    small: int
    """Small uploads in each turn."""
    slow: int
    """Slow uploads at once."""
    slow_every: float
    """Seconds between two pieces of a slow upload."""
    rounds: int
    rss: int
    """Bytes that flow into Holdfast while its memory is watched."""
    s3: bool
    """Measure over an S3 server, beside boto3, and nothing else."""
    directory: str | None
    json: str | None
    report: str | None

    def taking(self, workload: Workload) -> list[Target]:
        """Return whatever is measured with *workload*."""
        return [target for target in self.targets if workload in target.takes]


# How much of everything, and how little of it shows that everything works.
FULL: dict[str, Any] = {
    "size": 1 * GiB, "streams": 16, "short": 64, "small": 3000, "slow": 5000, "slow_every": 4.0, "rss": 4 * GiB, "rounds": 5,
}  # fmt: skip
QUICK: dict[str, Any] = {
    "size": 4 * MiB, "streams": 4, "short": 4, "small": 16, "slow": 20, "slow_every": 0.2, "rss": 4 * MiB, "rounds": 1,
}  # fmt: skip


def parse(arguments: Sequence[str]) -> Options:
    """Return the options that *arguments* mean; end the process with a message when they mean nothing."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        targets = _select([*built_in(), *given.server, *given.url], given.only, dict(given.pid))
    except ValueError as error:
        parser.error(str(error))
    usual = QUICK if given.quick else FULL
    return Options(
        targets=targets,
        workloads=tuple(one for one in Workload if not given.workload or one in given.workload),
        s3=given.s3,
        directory=given.dir,
        json=given.json,
        report=given.report,
        **{name: amount if getattr(given, name) is None else getattr(given, name) for name, amount in usual.items()},
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures tus servers side by side: CPU-seconds per GiB, GB/s, requests/s and memory.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    size = _typed(_size)
    add("--workload", type=_typed(_workload), action="append", default=[], metavar="NAME",
        help=f"measure only this; may be repeated ({', '.join(f'{one}: {one.about}' for one in Workload)})")  # fmt: skip
    add("--quick", action="store_true", help="as little of everything as shows that it works; its figures mean nothing")
    add("--size", type=size, help="content of each turn, over all streams (default: 1GiB)")
    add("--streams", type=_typed(_count(1, MOST_STREAMS)), metavar="N", help="uploads at once in `streams` (default: 16)")
    add("--short", type=_typed(_count(1, MOST_STREAMS)), metavar="N", help="connections in `short` (default: 64)")
    add("--small", type=_typed(_count(1, 1_000_000)), metavar="N", help="uploads of 1 KiB in each turn (default: 3000)")
    add("--slow", type=_typed(_count(1, MOST_SLOW)), metavar="N", help="slow uploads at once (default: 5000)")
    add("--slow-every", type=_typed(_seconds), metavar="SECONDS", help="between two KiB of a slow upload (default: 4)")
    add("--rss", type=size, metavar="SIZE", help="content that flows into Holdfast while its memory is watched (default: 4GiB)")
    add("--rounds", type=_typed(_count(1, 1000)), metavar="N", help="turns of each server (default: 5)")
    add("--only", action="append", default=[], metavar="NAME", help="measure only this one; may be repeated")
    add("--server", type=_typed(parse_command), action="append", default=[], metavar="NAME[@PATH]=COMMAND",
        help="start this server too: {port} and {dir} are filled in; PATH takes new uploads (default: /files)")  # fmt: skip
    add("--url", type=_typed(parse_url), action="append", default=[], metavar="NAME=URL",
        help="measure this running server too; URL takes new uploads")  # fmt: skip
    add("--pid", type=_typed(parse_pid), action="append", default=[], metavar="NAME=PID",
        help="the process behind a --url on this machine; without it, its CPU time is unknown")  # fmt: skip
    add("--s3", action="store_true",
        help="measure over a real S3 server, started for this, beside boto3, and 1,000 slow uploads")  # fmt: skip
    add("--dir", help="where the servers keep uploads meanwhile; removed at the end (default: the system's temporary directory)")
    add("--json", metavar="FILE", help="write every figure of every turn there")
    add("--report", metavar="DIR", help="write a report with charts there, and every figure beside it")
    return parser


def _select(targets: Sequence[Target], only: Sequence[str], pids: dict[str, int]) -> tuple[Target, ...]:
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two servers named {name}")
    for name in only:
        if name not in names:
            raise ValueError(f"there is no server named {name}; there are {', '.join(names)}")
    running = {target.name for target in targets if target.url}
    for name in pids:
        if name not in running:
            raise ValueError(f"--pid {name}: there is no --url of that name")
    chosen = [target for target in targets if not only or target.name in only]
    return tuple(dataclasses.replace(target, pid=pids.get(target.name)) for target in chosen)


def _size(text: str) -> int:
    size = parse_size(text)
    if size > MOST_AT_ONCE:
        raise ValueError(f"{text} is more than {MOST_AT_ONCE // GiB} GiB, the most that the bench puts on a disk at once")
    if size < KiB:
        raise ValueError(f"{text} is too little to measure")
    return size


def _count(least: int, most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text} is not a number from {least} to {most}")
        return int(text)

    return count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.05 <= seconds <= 30:
        raise ValueError(f"{text} is not a number of seconds from 0.05 to 30")
    return seconds


def _workload(text: str) -> Workload:
    try:
        return Workload(text)
    except ValueError:
        raise ValueError(f"{text} is not a workload; there are {', '.join(Workload)}") from None


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return *parse* for argparse, which shows no other error's sentence than its own."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return typed
