"""
The report as a folder: ``report.md`` with a chart for every figure, and ``figures.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import report
from benchmarks.figures.goals import Goal
from benchmarks.figures.plots import bars
from benchmarks.figures.results import Memory, Result
from benchmarks.machine import Facts
from benchmarks.options import Options
from benchmarks.targets import HOLDFAST, Target
from benchmarks.workloads import Workload


def write(
    folder: Path,
    facts: Facts,
    options: Options,
    results: Mapping[Workload, Result],
    memory: Memory | None,
    goals: Sequence[Goal],
) -> None:
    """Write the report into *folder*, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    text = ["# Holdfast, measured", report.heading(facts, options)]
    if goals:
        text += ["## Goals", "\n".join(f"- {goal.line()}" for goal in goals)]
    for workload, result in results.items():
        text += [f"## {report.title(workload, options)}", _table(report.cells(result))]
        for name, chart in charts(result).items():
            (folder / name).write_text(chart)
            text.append(f"![{name.removesuffix('.svg')}]({name})")
    if memory is not None:
        text += ["## Memory", report.memory_line(memory)]
    text += ["## Servers", _table([["server", "what it is"], *_servers(options.targets)])]
    text.append("Every figure of every turn is in [figures.json](figures.json).")
    (folder / "report.md").write_text("\n\n".join(text) + "\n")
    (folder / "figures.json").write_text(report.document(facts, options, results, memory, goals))


def charts(result: Result) -> dict[str, str]:
    """Return a chart for each figure of *result* that is not a ratio, by the name of its file."""
    found = {}
    for column in report.COLUMNS[result.workload]:
        values = [(name, known) for name in result.turns if (known := report.value(result, name, column)) is not None]
        if values and not column.base:
            name = f"{result.workload}-{column.figure or 'peak_mib'}.svg".replace("_", "-")
            found[name] = bars(f"{result.workload}: {column.head}", values, column.decimals, HOLDFAST)
    return found


def _servers(targets: Sequence[Target]) -> list[list[str]]:
    return [[target.name, target.about.replace("|", r"\|")] for target in targets]


def _table(cells: Sequence[Sequence[str]]) -> str:
    head, *rows = cells
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
