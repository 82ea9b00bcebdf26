"""
What is printed, and what is written for machines.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures.goals import Goal
from benchmarks.figures.results import MEMORY_BOUND, Memory, Result, ratio
from benchmarks.machine import Facts
from benchmarks.options import Options
from benchmarks.sizes import GiB, MiB, format_size
from benchmarks.targets import LIMIT, NGINX, RAW_ASGI, Target
from benchmarks.workloads import Workload

UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a figure of the turns, or its multiple of what *base* has."""

    head: str
    figure: str
    decimals: int
    base: str = ""


PEAK = Column("peak MiB", "", 0)
_CPU, _SPEED = Column("CPU-s/GiB", "cpu_per_gib", 2), Column("GB/s", "gb_per_second", 2)
_CONTENT = (_CPU, Column("× limit", "cpu_per_gib", 2, LIMIT), _SPEED, PEAK)  # noqa: RUF001 (a multiplication sign is what is meant)
COLUMNS: Mapping[Workload, tuple[Column, ...]] = {
    Workload.ONE: _CONTENT,
    Workload.STREAMS: _CONTENT,
    Workload.SHORT: _CONTENT,
    Workload.TLS: (_CPU, _SPEED, PEAK),
    Workload.DOWNLOAD: (_CPU, Column("× nginx", "cpu_per_gib", 2, NGINX), _SPEED, PEAK),  # noqa: RUF001
    Workload.SMALL: (
        Column("requests/s", "per_second", 0),
        Column("requests/CPU-s", "per_cpu_second", 0),
        Column("creates/CPU-s", "creates_per_cpu_second", 0),
        Column("PATCHes/CPU-s", "appends_per_cpu_second", 0),
        Column("creates × raw", "creates_per_cpu_second", 3, RAW_ASGI),  # noqa: RUF001
        PEAK,
    ),
    Workload.SLOW: (
        Column("KiB each", "kib_each", 0),
        Column("slowest s", "slowest", 2),
        Column("fast GB/s", "gb_per_second", 2),
        Column("loss %", "loss", 0),
    ),
}


def heading(facts: Facts, options: Options) -> str:
    """Return what was measured where."""
    return "\n".join([
        f"{facts.cores} cores, {facts.memory / GiB:.0f} GiB memory, {facts.kernel}, {facts.file_system}, Python {facts.python}",
        f"Medians of {options.rounds} interleaved rounds.  Client and servers share this machine, and machines are noisy: "
        "only ratios within one run count.",
    ])  # fmt: skip


def title(workload: Workload, options: Options) -> str:
    """Return what was measured, and how much of it."""
    size = format_size(options.size)
    details = {
        Workload.ONE: size,
        Workload.STREAMS: f"{size} over {options.streams} streams",
        Workload.SHORT: f"{options.short} streams",
        Workload.SMALL: f"{options.small} of them",
        Workload.SLOW: f"{options.slow} of them, 1 KiB every {options.slow_every:g} s each; {size} beside",
        Workload.DOWNLOAD: size,
        Workload.TLS: size,
        Workload.MEMORY: format_size(options.rss),
    }
    return f"{workload}: {workload.about} ({details[workload]})"


def cells(result: Result) -> list[list[str]]:
    """Return the table of *result*, its heads first."""
    columns = COLUMNS[result.workload]
    rows = [[name, *(_number(value(result, name, column), column.decimals) for column in columns)] for name in result.turns]
    return [["server", *(column.head for column in columns)], *rows]


def table(result: Result) -> str:
    """Return *result* with aligned columns."""
    lines = cells(result)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def value(result: Result, server: str, column: Column) -> float | None:
    """Return what stands in *column* for *server*."""
    if column is PEAK:
        return result.peak_mib(server)
    median = result.median(server, column.figure)
    return ratio(median, result.median(column.base, column.figure)) if column.base else median


def legend(targets: Sequence[Target]) -> str:
    """Return what each name stands for."""
    width = max(len(target.name) for target in targets)
    return "\n".join(f"{target.name.ljust(width)}  {target.about}" for target in targets)


def memory_line(memory: Memory) -> str:
    """Return whether the bound on memory was kept."""
    verdict = "kept" if memory.kept else "EXCEEDED"
    return (
        f"memory: {memory.peak / MiB:.0f} MiB resident at most while {format_size(memory.size)} flowed into {memory.name} "
        f"(bound {MEMORY_BOUND // MiB} MiB: {verdict})"
    )


def document(
    facts: Facts, options: Options, results: Mapping[Workload, Result], memory: Memory | None, goals: Sequence[Goal]
) -> str:
    """Return every figure as JSON."""
    sizes = ("size", "streams", "short", "small", "slow", "slow_every", "rss", "rounds")
    content: dict[str, Any] = {
        "machine": dataclasses.asdict(facts),
        "options": {name: getattr(options, name) for name in sizes},
        "workloads": {workload: _figures(result) for workload, result in results.items()},
        "memory": None if memory is None else {**dataclasses.asdict(memory), "bound": MEMORY_BOUND, "kept": memory.kept},
        "goals": [{**dataclasses.asdict(goal), "kept": goal.kept} for goal in goals],
    }
    return json.dumps(content, indent=2) + "\n"


def _figures(result: Result) -> dict[str, Any]:
    return {
        name: {
            "medians": {column.head: value(result, name, column) for column in COLUMNS[result.workload]},
            "turns": [dataclasses.asdict(turn) for turn in turns],
        }
        for name, turns in result.turns.items()
    }


def _number(number: float | None, decimals: int) -> str:
    return UNKNOWN if number is None else f"{number:.{decimals}f}"
