"""
What nginx saw: which offsets clients were promised, and whether they were kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# Times are written in whole milliseconds.
BLUR = 0.002  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer; times in seconds."""

    begin: float
    end: float
    method: str
    path: str
    status: int
    said: int | None
    """The offset that the client said."""
    told: int | None
    """The offset that the client was told: from then on a promise."""

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Return what a line of `Nginx.requests` means."""
        end, taken, method, path, status, said, told, *_ = line.split(" ")
        return cls(
            begin=float(end) - float(taken),
            end=float(end),
            method=method,
            path=path,
            status=int(status),
            said=None if said == "-" else int(said),
            told=None if told == "-" else int(told),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A promise that was not kept: an upload was at *promised*, and later at *told*."""

    path: str
    promised: int
    told: int


class Journal:
    """Every exchange with every upload."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self.exchanges = sorted(exchanges, key=lambda exchange: exchange.begin)

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Return what is written at *path*."""
        return cls(map(Exchange.from_line, path.read_text().splitlines()))

    def regressions(self) -> list[Regression]:
        """Return every promise that a later request did not find kept."""
        promises: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        for exchange in self.exchanges:
            if exchange.told is not None:
                promises[exchange.path].append((exchange.end, exchange.told))
        found = []
        for exchange in self.exchanges:
            before = [told for end, told in promises[exchange.path] if end + BLUR < exchange.begin]
            promised = max(before, default=0)
            if exchange.told is not None and exchange.told < promised:
                found.append(Regression(path=exchange.path, promised=promised, told=exchange.told))
        return found

    def resumed_at(self) -> list[int]:
        """Return where clients went on after they had asked."""
        return [exchange.told for exchange in self.exchanges if exchange.method == "HEAD" and exchange.told is not None]

    def summary(self) -> str:
        """Say how many requests there were, by method and status."""
        counts = Counter((exchange.method, exchange.status) for exchange in self.exchanges)
        return ", ".join(f"{method} {status}: {count}" for (method, status), count in sorted(counts.items()))
