"""
`benchmarks.report`
"""

from __future__ import annotations

from benchmarks.report import memory_line, table
from benchmarks.results import Memory, Row
from benchmarks.sizes import GiB, MiB


def test_table() -> None:
    """
    Columns are aligned, and what was not measured is a dash.
    """
    known = Row(
        name="limit",
        cpu_per_gib=0.333,
        times_limit=1.0,
        gb_per_second=3.0,
        requests_per_second=12_000.4,
        requests_per_cpu_second=None,
        peak_mib=19.5,
    )
    unknown = Row(
        name="a-longer-name",
        cpu_per_gib=None,
        times_limit=None,
        gb_per_second=0.5,
        requests_per_second=None,
        requests_per_cpu_second=None,
        peak_mib=None,
    )

    expected = """\
server         CPU-s/GiB  × limit  GB/s  requests/s  requests/CPU-s  peak MiB
limit               0.33     1.00  3.00       12000               -        20
a-longer-name          -        -  0.50           -               -         -"""  # noqa: RUF001 (the sign in the table)

    assert expected == table([known, unknown])


def test_memory_line() -> None:
    """
    The memory is told with its bound, and with whether that was kept.
    """
    kept = memory_line(Memory(name="holdfast", size=4 * GiB, peak=60 * MiB))
    exceeded = memory_line(Memory(name="holdfast", size=4 * GiB, peak=151 * MiB))

    assert kept == "memory: 60 MiB resident at most while 4 GiB flowed into holdfast (bound 150 MiB: kept)"
    assert exceeded.endswith("(bound 150 MiB: EXCEEDED)")
