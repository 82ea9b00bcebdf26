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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from benchmarks import machine, measure, s3
from benchmarks.figures import pages, report
from benchmarks.figures.goals import goals
from benchmarks.figures.results import Memory, Result
from benchmarks.loads.load import CONCURRENCY, Senders, senders
from benchmarks.loads.wire import BenchError
from benchmarks.loads.works import measured
from benchmarks.options import Options, parse
from benchmarks.servers import running
from benchmarks.workloads import Workload

INTERRUPTED = 130


def main() -> int:
    """Run the bench and return its exit status: 1 when something could not be measured or the bound on memory was exceeded."""
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
    facts = machine.facts(directory)
    print(report.heading(facts, options), flush=True)
    if options.s3:
        return _s3(options, directory)
    results: dict[Workload, Result] = {}
    memory: Memory | None = None
    failed = False
    with senders(max(options.streams, CONCURRENCY)) as sending:
        for workload in options.workloads:
            if not options.taking(workload):
                continue
            try:
                if workload is Workload.MEMORY:
                    memory = _memory(options, directory, sending)
                    print(f"\n{report.memory_line(memory)}", flush=True)
                else:
                    results[workload] = measured(workload, options, directory, sending, _say)
                    print(f"\n{report.title(workload, options)}\n{report.table(results[workload])}", flush=True)
            except (BenchError, OSError) as error:
                # What the others gave is still worth something.
                print(f"bench: {workload}: {error}", file=sys.stderr, flush=True)
                failed = True
    reached = goals(results)
    print(f"\n{report.legend(options.targets)}")
    if reached:
        print("", *(goal.line() for goal in reached), sep="\n")
    if options.json:
        Path(options.json).write_text(report.document(facts, options, results, memory, reached))
    if options.report:
        pages.write(Path(options.report), facts, options, results, memory, reached)
    return 1 if failed or (memory is not None and not memory.kept) else 0


def _s3(options: Options, directory: Path) -> int:
    machine.require_space(directory, options.size)
    with senders(CONCURRENCY) as sending:
        ingest, crowd = s3.measure(directory, sending, _say, size=options.size, rounds=options.rounds)
    print("", *ingest.lines(), crowd.line(), sep="\n")
    return 0 if ingest.kept and crowd.kept else 1


def _memory(options: Options, directory: Path, sending: Senders) -> Memory:
    (target, *_) = options.taking(Workload.MEMORY)
    machine.require_space(directory, options.rss)
    # Started afresh: the peak of a process is that of its whole life.
    with running(target, directory / "memory") as server:
        return measure.memory(server, sending, options.rss)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(_number: int, _frame: object) -> NoReturn:
    # As an exception, so that servers are stopped and files removed on the way out; that must not be interrupted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
