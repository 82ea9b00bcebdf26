"""
The machine that the figures come from.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.loads.wire import BenchError
from benchmarks.sizes import GiB, MiB, format_size

SCRATCH = GiB + GiB // 4
BLOCK = 1 * MiB
# What the servers' own records and the small uploads may need besides.
SPARE = 256 * MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a reader has to know to compare figures."""

    cores: int
    memory: int
    python: str
    kernel: str
    file_system: str


def facts(directory: Path) -> Facts:
    """Return what this machine is, with the file system that holds *directory*."""
    return Facts(
        cores=len(os.sched_getaffinity(0)),
        memory=psutil.virtual_memory().total,
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        file_system=_file_system(directory.resolve()),
    )


def require_space(directory: Path, size: int) -> None:
    """Insist on room for *size* bytes in *directory*, before the first of them is written."""
    needed = max(size, scratch_size(size)) + SPARE
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise BenchError(f"{format_size(needed)} are needed at once, and only {free // MiB} MiB are free; see --dir")


def scratch_size(size: int) -> int:
    """Return how large the scratch file before a turn of *size* bytes is."""
    return min(SCRATCH, size + size // 4)


def settle(directory: Path, size: int) -> None:
    """
    Write and drop a scratch file, so that every turn finds the same page cache: pages that were free a moment ago.

    Without it, the turn after one that left the cache full pays for emptying it.
    """
    path = directory / "scratch"
    block = os.urandom(BLOCK)
    left = scratch_size(size)
    try:
        with path.open("wb", buffering=0) as file:
            while left > 0:
                left -= file.write(block[:left])
    finally:
        path.unlink(missing_ok=True)


def _file_system(directory: Path) -> str:
    holding = [partition for partition in psutil.disk_partitions(all=True) if directory.is_relative_to(partition.mountpoint)]
    return max(holding, key=lambda partition: len(partition.mountpoint)).fstype if holding else "unknown"
