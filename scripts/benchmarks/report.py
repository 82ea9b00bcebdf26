"""
What is printed, and what is written for machines.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.machine import Facts
from benchmarks.options import Options
from benchmarks.results import MEMORY_BOUND, Measured, Memory, Row
from benchmarks.sizes import GiB, MiB, format_size
from benchmarks.targets import Target

UNKNOWN = "-"

# The head of each column, the field of a row, and how many decimals it deserves.
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("CPU-s/GiB", "cpu_per_gib", 2),
    ("× limit", "times_limit", 2),  # noqa: RUF001 (a multiplication sign is what is meant)
    ("GB/s", "gb_per_second", 2),
    ("requests/s", "requests_per_second", 0),
    ("requests/CPU-s", "requests_per_cpu_second", 0),
    ("peak MiB", "peak_mib", 0),
)


def heading(facts: Facts, options: Options) -> str:
    """
    Return what was measured where.
    """
    streams = f"{options.streams} streams" if options.streams > 1 else "one stream"
    return "\n".join([
        f"{facts.cores} cores, {facts.memory / GiB:.0f} GiB memory, {facts.kernel}, {facts.file_system}, Python {facts.python}",
        f"{format_size(options.size)} in {streams}, {options.small} uploads of 1 KiB over 8 connections, "
        f"medians of {options.rounds} interleaved rounds",
        "Client and servers share this machine, and machines are noisy: only ratios within one run count.",
    ])  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """
    Return *rows* with aligned columns.
    """
    lines = [["server", *(head for head, _, _ in COLUMNS)]]
    lines += [[row.name, *(_number(getattr(row, name), decimals) for _, name, decimals in COLUMNS)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def legend(targets: Sequence[Target]) -> str:
    """
    Return what each name stands for.
    """
    width = max(len(target.name) for target in targets)
    return "\n".join(f"{target.name.ljust(width)}  {target.about}" for target in targets)


def memory_line(memory: Memory) -> str:
    """
    Return whether the bound on memory was kept.
    """
    verdict = "kept" if memory.kept else "EXCEEDED"
    return (
        f"memory: {memory.peak / MiB:.0f} MiB resident at most while {format_size(memory.size)} flowed into {memory.name} "
        f"(bound {MEMORY_BOUND // MiB} MiB: {verdict})"
    )


def document(facts: Facts, options: Options, measured: Sequence[Measured], rows: Sequence[Row], memory: Memory | None) -> str:
    """
    Return every figure as JSON.
    """
    content: dict[str, Any] = {
        "machine": dataclasses.asdict(facts),
        "size": options.size,
        "streams": options.streams,
        "rounds": options.rounds,
        "small": options.small,
        "medians": [dataclasses.asdict(row) for row in rows],
        "turns": [dataclasses.asdict(one) for one in measured],
        "memory": None if memory is None else {**dataclasses.asdict(memory), "bound": MEMORY_BOUND, "kept": memory.kept},
    }
    return json.dumps(content, indent=2) + "\n"


def _number(value: float | None, decimals: int) -> str:
    return UNKNOWN if value is None else f"{value:.{decimals}f}"
