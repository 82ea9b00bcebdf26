"""
`benchmarks.figures.report`
"""

from __future__ import annotations

from benchmarks.figures.report import memory_line, table, title
from benchmarks.figures.results import Memory, Result, Transfer
from benchmarks.options import parse
from benchmarks.sizes import GiB, MiB
from benchmarks.workloads import Workload


def test_table() -> None:
    """
    Columns are aligned, CPU time is also told in multiples of the limit's, and what was not measured is a dash.
    """
    result = Result(
        workload=Workload.ONE,
        turns={
            "limit": [Transfer(size=GiB, seconds=0.5, cpu=0.333)],
            "holdfast": [Transfer(size=GiB, seconds=0.6, cpu=0.4)],
            "a-longer-name": [Transfer(size=GiB, seconds=2.0, cpu=None)],
        },
        peaks={"limit": 20 * MiB, "a-longer-name": None},
    )

    expected = """\
server         CPU-s/GiB  × limit  GB/s  peak MiB
limit               0.33     1.00  2.15        20
holdfast            0.40     1.20  1.79         -
a-longer-name          -        -  0.54         -"""  # noqa: RUF001 (the sign in the table)

    assert expected == table(result)


def test_title() -> None:
    """
    Above a table stands how much was measured.
    """
    options = parse(["--streams", "3", "--size", "6MiB"])

    assert title(Workload.STREAMS, options) == "streams: many uploads at once (6 MiB over 3 streams)"


def test_memory_line() -> None:
    """
    The memory is told with its bound, and with whether that was kept.
    """
    kept = memory_line(Memory(name="holdfast", size=4 * GiB, peak=60 * MiB))
    exceeded = memory_line(Memory(name="holdfast", size=4 * GiB, peak=151 * MiB))

    assert kept == "memory: 60 MiB resident at most while 4 GiB flowed into holdfast (bound 150 MiB: kept)"
    assert exceeded.endswith("(bound 150 MiB: EXCEEDED)")
