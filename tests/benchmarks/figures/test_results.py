"""
`benchmarks.figures.results`
"""

from __future__ import annotations

import pytest

from benchmarks.figures.results import MEMORY_BOUND, Burst, Memory, Result, Slow, Transfer, median, ratio
from benchmarks.sizes import GiB, MiB
from benchmarks.workloads import Workload


def transfer(cpu: float | None, *, seconds: float = 1.0, size: int = GiB) -> Transfer:
    return Transfer(size=size, seconds=seconds, cpu=cpu)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 1.0, 2.0], 2.0),
        ([4.0, 1.0, 2.0, 3.0], 2.5),
        ([100.0, 1.0, 1.0], 1.0),
        ([None, 5.0, None], 5.0),
        ([None], None),
        ([], None),
    ],
)
def test_median(values: list[float | None], expected: float | None) -> None:
    """
    A median is that of what is known, and one wild turn does not move it.
    """

    assert expected == median(values)


def test_cpu_per_gib() -> None:
    """
    CPU time is told for a GiB, whatever flowed.
    """

    assert transfer(0.5, size=256 * MiB).cpu_per_gib == 2.0
    assert transfer(None).cpu_per_gib is None


def test_gb_per_second() -> None:
    """
    Speed is told in units of ten: gigabytes.
    """

    assert transfer(None, size=3_000_000_000, seconds=2).gb_per_second == 1.5


def test_burst() -> None:
    """
    Requests are told by the second and by the CPU-second; without CPU time there is no figure.
    """
    burst = Burst(requests=300, seconds=2, cpu=0.5)

    assert (burst.per_second, burst.per_cpu_second) == (150, 600)
    assert Burst(requests=300, seconds=2, cpu=0.0).per_cpu_second is None
    assert Burst(requests=300, seconds=2, cpu=None).per_cpu_second is None


def test_slow() -> None:
    """
    Memory is that of each upload above the idle server, and a fast upload loses throughput, not time.
    """
    slow = Slow(
        uploads=4,
        idle=1 * MiB,
        most=2 * MiB,
        median=0.0,
        slowest=0.5,
        beside=transfer(None, seconds=2.0),
        alone=transfer(None, seconds=1.5),
    )

    assert (slow.kib_each, slow.loss) == (256, 25)


def test_result() -> None:
    """
    A result has the median of any figure of its turns, and None for what was not measured.
    """
    result = Result(
        workload=Workload.ONE,
        turns={"limit": [transfer(0.4), transfer(0.5), transfer(0.3)], "remote": [transfer(None)]},
        peaks={"limit": 20 * MiB, "remote": None},
    )

    assert (result.median("limit", "cpu_per_gib"), result.peak_mib("limit")) == (0.4, 20)
    assert (result.median("remote", "cpu_per_gib"), result.peak_mib("remote")) == (None, None)
    assert result.median("nobody", "cpu_per_gib") is None


@pytest.mark.parametrize(("value", "base", "expected"), [(1.0, 0.5, 2.0), (None, 1.0, None), (1.0, None, None), (1.0, 0.0, None)])
def test_ratio(value: float | None, base: float | None, expected: float | None) -> None:
    """
    Nothing is a multiple of what is not known.
    """

    assert expected == ratio(value, base)


def test_memory_bound() -> None:
    """
    Memory stays under the bound, not at it.
    """

    assert Memory(name="holdfast", size=GiB, peak=MEMORY_BOUND - 1).kept
    assert not Memory(name="holdfast", size=GiB, peak=MEMORY_BOUND).kept
