"""
What Holdfast promises, beside what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.figures.results import Result, ratio
from benchmarks.targets import HOLDFAST, HOLDFAST_NONE, LIMIT, LIMIT_SYNCED, NGINX, RAW_ASGI, before, off
from benchmarks.workloads import Workload

# What a tus server in Go does in a CPU-second of the machine on which an application under uvicorn answers so many requests.
RAW_THERE = 38_000
CREATES_THERE = 9_700
APPENDS_THERE = 5_500

DURABILITIES = {HOLDFAST_NONE: "durability none", HOLDFAST: "durability acknowledged"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise, and what became of it in this run."""

    text: str
    measured: float | None
    """None when a server that it takes was not there."""
    bound: float
    unit: str
    at_most: bool = True
    needs: str = ""
    """The server that it is compared with."""
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept; None if that is unknown."""
        if self.measured is None:
            return None
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    @property
    def verdict(self) -> str:
        return {True: "kept", False: "missed", None: "not measured"}[self.kept]

    def line(self) -> str:
        """Return all this as a sentence."""
        bound = f"{'at most' if self.at_most else 'at least'} {self.bound:.3g} {self.unit}"
        if self.measured is None:
            return f"{self.text}: {bound}: not measured{f' (it takes {self.needs})' if self.needs else ''}"
        return f"{self.text}: measured {self.measured:.3g} {self.unit}{self.note}, {bound}: {self.verdict}"


def goals(results: Mapping[Workload, Result]) -> list[Goal]:
    """Return every goal of the workloads that were measured."""
    found: list[Goal] = []
    for workload, result in results.items():
        for name, durability in DURABILITIES.items():
            if name in result.turns:
                found += _GOALS[workload](result, name, durability) if workload in _GOALS else ()
    return found


def _one(result: Result, name: str, durability: str) -> Iterator[Goal]:
    text = f"one stream, {durability}, CPU time"
    yield _compared(result, text, name, LIMIT, "cpu_per_gib", bound=1.3)
    if name != HOLDFAST_NONE:
        yield _compared(result, text, name, LIMIT_SYNCED, "cpu_per_gib", bound=1.3)
    # Off gained as well, as far as it has what was made for the hand-off; an earlier Holdfast did not.
    yield _compared(result, text, name, off(name), "cpu_per_gib", bound=0.35)
    yield _compared(result, text, name, before(name), "cpu_per_gib", bound=0.35)


def _streams(result: Result, name: str, durability: str) -> Iterator[Goal]:
    text = f"many streams, {durability}"
    for other in (off(name), before(name)):
        yield _compared(result, f"{text}, CPU time", name, other, "cpu_per_gib", bound=0.6)
        yield _compared(result, f"{text}, throughput", name, other, "gb_per_second", bound=1.8, at_most=False)


def _small(result: Result, name: str, durability: str) -> Iterator[Goal]:
    yield _compared(
        result,
        f"1 KiB uploads, {durability}, requests per CPU-second",
        name,
        before(name),
        "per_cpu_second",
        bound=1.5,
        at_most=False,
    )
    if name != HOLDFAST_NONE:
        return
    raw = result.median(RAW_ASGI, "creates_per_cpu_second")
    for what, figure, there in (
        ("creates", "creates_per_cpu_second", CREATES_THERE),
        ("small PATCHes", "appends_per_cpu_second", APPENDS_THERE),
    ):
        rate = result.median(name, figure)
        yield Goal(
            text=f"1 KiB uploads, {durability}, {what} per CPU-second",
            measured=ratio(rate, raw),
            bound=there / RAW_THERE,
            unit=f"× {RAW_ASGI}",  # noqa: RUF001 (a multiplication sign is what is meant)
            at_most=False,
            needs=RAW_ASGI,
            note=f" ({rate or 0:.0f} beside {raw or 0:.0f}; the goal is {there} where those are {RAW_THERE})",
        )


def _slow(result: Result, name: str, durability: str) -> Iterator[Goal]:
    text = f"slow uploads, {durability}"
    each, loss = result.median(name, "kib_each"), result.median(name, "loss")
    yield Goal(text=f"{text}, memory of each", measured=each, bound=40, unit="KiB")
    yield Goal(text=f"{text}, throughput that a fast upload loses", measured=loss, bound=20, unit="%")


def _download(result: Result, name: str, durability: str) -> Iterator[Goal]:
    yield _compared(result, f"download, {durability}, CPU time", name, NGINX, "cpu_per_gib", bound=1.5)


def _compared(result: Result, text: str, name: str, other: str, figure: str, *, bound: float, at_most: bool = True) -> Goal:
    return Goal(
        text=text,
        measured=ratio(result.median(name, figure), result.median(other, figure)),
        bound=bound,
        unit=f"× {other}",  # noqa: RUF001 (a multiplication sign is what is meant)
        at_most=at_most,
        needs=other,
    )


_GOALS = {
    Workload.ONE: _one,
    Workload.STREAMS: _streams,
    Workload.SMALL: _small,
    Workload.SLOW: _slow,
    Workload.DOWNLOAD: _download,
}
