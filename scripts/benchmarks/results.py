"""
Figures: what each turn gave, and their medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.sizes import GiB, MiB

GB = 1000**3
MEMORY_BOUND = 150 * MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One turn of content."""

    size: int
    seconds: float
    cpu: float | None

    @property
    def cpu_per_gib(self) -> float | None:
        return None if self.cpu is None else self.cpu * GiB / self.size

    @property
    def gb_per_second(self) -> float:
        return self.size / GB / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """One turn of small uploads."""

    requests: int
    seconds: float
    cpu: float | None

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float | None:
        # The clock of a process ticks in hundredths: what is below one tick is not known.
        return self.requests / self.cpu if self.cpu else None


@dataclass(slots=True, kw_only=True)
class Measured:
    """Everything that was measured of one server."""

    name: str
    transfers: list[Transfer] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    peak: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The most memory that a server had resident while content flowed in."""

    name: str
    size: int
    peak: int

    @property
    def kept(self) -> bool:
        """Whether the bound was kept."""
        return self.peak < MEMORY_BOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One server in the table; None is what was not measured."""

    name: str
    cpu_per_gib: float | None
    times_limit: float | None
    gb_per_second: float | None
    requests_per_second: float | None
    requests_per_cpu_second: float | None
    peak_mib: float | None


def median(values: Iterable[float | None]) -> float | None:
    """
    Return the median of what is known; None when nothing is.
    """
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def rows(measured: Sequence[Measured], limit: str) -> list[Row]:
    """
    Return the medians of each server, and its CPU time as a multiple of that of the server named *limit*.
    """
    costs = {one.name: median(transfer.cpu_per_gib for transfer in one.transfers) for one in measured}
    least = costs.get(limit)
    return [
        Row(
            name=one.name,
            cpu_per_gib=(cost := costs[one.name]),
            times_limit=cost / least if cost is not None and least else None,
            gb_per_second=median(transfer.gb_per_second for transfer in one.transfers),
            requests_per_second=median(burst.per_second for burst in one.bursts),
            requests_per_cpu_second=median(burst.per_cpu_second for burst in one.bursts),
            peak_mib=None if one.peak is None else one.peak / MiB,
        )
        for one in measured
    ]
