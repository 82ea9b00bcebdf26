"""
Figures: what each turn gave, and their medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.sizes import GiB, KiB, MiB
from benchmarks.workloads import Workload

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
    """One turn of small requests."""

    requests: int
    seconds: float
    cpu: float | None

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float | None:
        return self.requests / self.cpu if self.cpu else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """One turn of small uploads: each of them whole (create, PATCH, HEAD), and creates and PATCHes by themselves."""

    whole: Burst
    creates: Burst
    appends: Burst

    @property
    def per_second(self) -> float:
        return self.whole.per_second

    @property
    def per_cpu_second(self) -> float | None:
        return self.whole.per_cpu_second

    @property
    def creates_per_cpu_second(self) -> float | None:
        return self.creates.per_cpu_second

    @property
    def appends_per_cpu_second(self) -> float | None:
        return self.appends.per_cpu_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """One turn of slow uploads, in a server that was just started, and of a fast one beside them and alone."""

    uploads: int
    idle: int | None
    """Bytes resident before."""
    most: int | None
    """Bytes resident at most while only slow uploads were there."""
    median: float
    slowest: float
    """Seconds from when the last byte of a slow upload was due until its answer."""
    beside: Transfer
    alone: Transfer

    @property
    def kib_each(self) -> float | None:
        return None if self.idle is None or self.most is None else (self.most - self.idle) / KiB / self.uploads

    @property
    def loss(self) -> float:
        """Per cent of the throughput of the fast upload."""
        return 100 * (1 - self.beside.gb_per_second / self.alone.gb_per_second)

    @property
    def gb_per_second(self) -> float:
        return self.alone.gb_per_second


Turn = Transfer | Small | Slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Every turn of one workload, for each server; and the most memory that each has had."""

    workload: Workload
    turns: Mapping[str, Sequence[Turn]]
    peaks: Mapping[str, int | None] = field(default_factory=dict)

    def median(self, server: str, figure: str) -> float | None:
        """Return the median of a *figure*, a property of the turns; None where it was not measured."""
        return median(getattr(turn, figure) for turn in self.turns.get(server, ()))

    def peak_mib(self, server: str) -> float | None:
        """Return the most memory that *server* has had, in MiB."""
        peak = self.peaks.get(server)
        return None if peak is None else peak / MiB


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


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(value: float | None, base: float | None) -> float | None:
    """Return *value* in multiples of *base*; None when either is not known."""
    return value / base if value is not None and base else None
