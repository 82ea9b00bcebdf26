"""
The workloads: what servers are given to do.
"""

from __future__ import annotations

from enum import StrEnum


class Workload(StrEnum):
    """One thing that is measured, by the name that the command line has for it."""

    ONE = "one"
    STREAMS = "streams"
    SHORT = "short"
    SMALL = "small"
    SLOW = "slow"
    DOWNLOAD = "download"
    TLS = "tls"
    MEMORY = "memory"

    @property
    def about(self) -> str:
        """What it is, for a heading."""
        return _ABOUT[self]


_ABOUT = {
    Workload.ONE: "one upload",
    Workload.STREAMS: "many uploads at once",
    Workload.SHORT: "64 connections, each with uploads of 1 MiB one after the other",
    Workload.SMALL: "uploads of 1 KiB over 8 connections: create, PATCH and HEAD",
    Workload.SLOW: "slow uploads, and a fast one alone and beside them",
    Workload.DOWNLOAD: "one download, beside nginx that serves the same file",
    Workload.TLS: "one upload through TLS",
    Workload.MEMORY: "the memory of Holdfast while content flows in",
}

CONTENT = frozenset({Workload.ONE, Workload.STREAMS, Workload.SHORT})
"""Whatever writes what it reads can be measured with these."""
EVERYTHING = CONTENT | {Workload.SMALL, Workload.SLOW, Workload.DOWNLOAD}
"""What any tus server can do that serves what it has stored."""
