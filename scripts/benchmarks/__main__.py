"""
Measures tus servers side by side: ``scripts/bench --help``.

Theory of operation
-------------------

This process starts the servers and the processes that send, and reads the servers' CPU time and memory from /proc.  It sends
nothing itself while a clock runs.  Everything it makes lies in one temporary directory.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from benchmarks import machine, measure, report, s3
from benchmarks.load import Senders, senders
from benchmarks.options import Options, parse
from benchmarks.results import Burst, Measured, Memory, Transfer, rows
from benchmarks.servers import running
from benchmarks.targets import HOLDFAST, LIMIT
from benchmarks.wire import BenchError

INTERRUPTED = 130


def main() -> int:
    """
    Run the bench and return its exit status: 1 when something could not be measured or the bound on memory was exceeded.
    """
    options = parse(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        with TemporaryDirectory(prefix="holdfast-bench-", dir=options.directory) as name:
            return _bench(options, Path(name))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _bench(options: Options, directory: Path) -> int:
    machine.require_space(directory, max(options.size, options.rss))
    facts = machine.facts(directory)
    print(report.heading(facts, options), flush=True)
    if options.s3:
        return _s3(options, directory)
    with senders(max(options.streams, measure.CONCURRENCY)) as sending:
        measured = _measure(options, directory, sending)
        figures = rows(measured, LIMIT)
        print(f"\n{report.table(figures)}\n\n{report.legend(options.targets)}", flush=True)
        memory = _memory(options, directory, sending)
    if memory is not None:
        print(f"\n{report.memory_line(memory)}")
    if options.json:
        Path(options.json).write_text(report.document(facts, options, measured, figures, memory))
    return 0 if memory is None or memory.kept else 1


def _s3(options: Options, directory: Path) -> int:
    with senders(1) as sending:
        ingest, crowd = s3.measure(directory, sending, _say, size=options.size, rounds=options.rounds)
    print("", *ingest.lines(), crowd.line(), sep="\n")
    return 0 if ingest.kept and crowd.kept else 1


def _measure(options: Options, directory: Path, sending: Senders) -> list[Measured]:
    flowed: dict[str, list[Transfer]] = {}
    burst: dict[str, list[Burst]] = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(running(target, directory / target.name)) for target in options.targets]
        measure.warm_up(servers, sending)
        if options.size:
            flowed = measure.transfers(
                servers, sending, directory, _say, size=options.size, streams=options.streams, rounds=options.rounds
            )
        if options.small:
            burst = measure.bursts(servers, sending, _say, count=options.small, rounds=options.rounds)
        return measure.collect(servers, flowed, burst)


def _memory(options: Options, directory: Path, sending: Senders) -> Memory | None:
    watched = [target for target in options.targets if target.name == HOLDFAST]
    if not (options.rss and watched):
        return None
    # Started afresh: the peak of a process is that of its whole life.
    with running(watched[0], directory / "memory") as server:
        return measure.memory(server, sending, options.rss)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(_number: int, _frame: object) -> NoReturn:
    # As an exception, so that servers are ended and files removed on the way out; nobody shall interrupt that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
