"""
`benchmarks.results`
"""

from __future__ import annotations

import pytest

from benchmarks.results import MEMORY_BOUND, Burst, Measured, Memory, Transfer, median, rows
from benchmarks.sizes import GiB, MiB


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
    Requests are told by the second and by the CPU-second; less CPU time than a tick gives no figure.
    """
    burst = Burst(requests=300, seconds=2, cpu=0.5)

    assert (burst.per_second, burst.per_cpu_second) == (150, 600)
    assert Burst(requests=300, seconds=2, cpu=0.0).per_cpu_second is None


def test_rows() -> None:
    """
    Each server's medians stand beside its CPU time as a multiple of the limit's.
    """
    limit = Measured(name="limit", transfers=[transfer(0.4), transfer(0.5), transfer(0.3)], peak=20 * MiB)
    peer = Measured(name="peer", transfers=[transfer(1.0), transfer(9.0), transfer(0.8)])
    remote = Measured(name="remote", transfers=[transfer(None)])

    first, second, third = rows([limit, peer, remote], "limit")

    assert (first.cpu_per_gib, first.times_limit, first.peak_mib) == (0.4, 1.0, 20)
    assert (second.cpu_per_gib, second.times_limit, second.peak_mib) == (1.0, 2.5, None)
    assert (third.cpu_per_gib, third.times_limit, third.requests_per_second) == (None, None, None)


def test_rows_without_limit() -> None:
    """
    Without the limit nothing is a multiple of it.
    """
    (row,) = rows([Measured(name="peer", transfers=[transfer(1.0)])], "limit")

    assert (row.cpu_per_gib, row.times_limit) == (1.0, None)


def test_memory_bound() -> None:
    """
    Memory stays under the bound, not at it.
    """

    assert Memory(name="holdfast", size=GiB, peak=MEMORY_BOUND - 1).kept
    assert not Memory(name="holdfast", size=GiB, peak=MEMORY_BOUND).kept
