"""
The command line.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.sizes import GiB, KiB, parse_size
from benchmarks.targets import Target, built_in, parse_command, parse_pid, parse_url

T = TypeVar("T")

# What lies on the disk at once is the content of one turn, so this bounds the whole run.
MOST_AT_ONCE = 5 * GiB
MOST_STREAMS = 256

EPILOG = """\
examples:
  scripts/bench --only limit --only holdfast-none --size 256MiB --small 0 --rss 0
  scripts/bench --server 'tusd@/files/=tusd -host 127.0.0.1 -port {port} -upload-dir {dir}'
  scripts/bench --url mine=http://127.0.0.1:8080/files --pid mine=4711
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What shall be measured, and how much of it.
    """

    targets: tuple[Target, ...]
    size: int
    """Bytes that flow in each turn, over all streams."""
    streams: int
    rounds: int
    small: int
    """Small uploads in each turn."""
    rss: int
    """Bytes that flow into Holdfast while its memory is watched."""
    s3: bool
    """Measure over an S3 server, beside boto3, and nothing else."""
    directory: str | None
    json: str | None


def parse(arguments: Sequence[str]) -> Options:
    """
    Return the options that *arguments* mean; end the process with a message when they mean nothing.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        targets = _select([*built_in(), *given.server, *given.url], given.only, dict(given.pid))
    except ValueError as error:
        parser.error(str(error))
    return Options(
        targets=targets,
        size=given.size,
        streams=given.streams,
        rounds=given.rounds,
        small=given.small,
        rss=given.rss,
        s3=given.s3,
        directory=given.dir,
        json=given.json,
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
    add("--size", type=size, default="1GiB", help="content of each turn, over all streams (default: %(default)s; 0 skips)")
    add("--streams", type=_typed(_count(1, MOST_STREAMS)), default=1, metavar="N", help="concurrent uploads of it (default: 1)")
    add("--rounds", type=_typed(_count(1, 1000)), default=5, metavar="N", help="turns of each server (default: %(default)s)")
    add("--small", type=_typed(_count(0, 1_000_000)), default=800, metavar="N",
        help="uploads of 1 KiB in each turn, over 8 connections (default: %(default)s; 0 skips)")  # fmt: skip
    add("--rss", type=size, default="4GiB", metavar="SIZE",
        help="content that flows into Holdfast while its memory is watched (default: %(default)s; 0 skips)")  # fmt: skip
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
    if 0 < size < KiB:
        raise ValueError(f"{text} is too little to measure")
    return size


def _count(least: int, most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text} is not a number from {least} to {most}")
        return int(text)

    return count


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return *parse* for argparse, which shows no other error's sentence than its own."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return typed
