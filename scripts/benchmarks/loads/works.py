"""
Each workload in its turn: which servers run for it, and what they are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import machine, measure
from benchmarks.figures.results import Result, Turn
from benchmarks.loads.crowd import crowds
from benchmarks.loads.downloads import downloads
from benchmarks.loads.load import Senders
from benchmarks.measure import Say
from benchmarks.options import Options
from benchmarks.servers import Server, running
from benchmarks.sizes import KiB, MiB
from benchmarks.workloads import Workload

# One turn of uploads of 1 MiB would be over before the clock of a process has ticked often.
SHORT_EACH = 8
# What a file of 1 KiB takes, with what describes it.
LITTLE_FILE = 8 * KiB


def measured(workload: Workload, options: Options, directory: Path, senders: Senders, say: Say) -> Result:
    """Return what *workload* gave, with servers that were started for it and end with it."""
    targets = options.taking(workload)
    machine.require_space(directory, _needed(workload, options, len(targets)))
    if workload is Workload.SLOW:
        turns = crowds(
            targets,
            senders,
            directory,
            say,
            uploads=options.slow,
            every=options.slow_every,
            size=options.size,
            rounds=options.rounds,
        )
        return Result(workload=workload, turns=turns)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(target, directory / target.name)) for target in targets]
        measure.warm_up(servers, senders)
        return Result(
            workload=workload,
            turns=_turns(workload, options, servers, directory, senders, say),
            peaks={server.name: server.peak_memory() for server in servers},
        )


def _turns(
    workload: Workload, options: Options, servers: Sequence[Server], directory: Path, senders: Senders, say: Say
) -> Mapping[str, Sequence[Turn]]:
    size, rounds = options.size, options.rounds
    match workload:
        case Workload.SMALL:
            return measure.bursts(servers, senders, say, count=options.small, rounds=rounds)
        case Workload.DOWNLOAD:
            return downloads(servers, senders, directory, say, size=size, rounds=rounds)
        case Workload.STREAMS:
            return measure.transfers(servers, senders, directory, say, size=size, streams=options.streams, rounds=rounds)
        case Workload.SHORT:
            short, size = options.short, options.short * SHORT_EACH * MiB
            return measure.transfers(
                servers, senders, directory, say, size=size, streams=short, each=SHORT_EACH, rounds=rounds
            )  # fmt: skip
        case _:
            return measure.transfers(servers, senders, directory, say, size=size, streams=1, rounds=rounds)


def _needed(workload: Workload, options: Options, servers: int) -> int:
    """Return the bytes that lie on the disk at once."""
    if workload is Workload.DOWNLOAD:
        return servers * options.size + machine.scratch_size(options.size)
    if workload is Workload.SHORT:
        return options.short * SHORT_EACH * MiB
    if workload is Workload.SMALL:
        return servers * options.rounds * 2 * options.small * LITTLE_FILE
    return options.size
