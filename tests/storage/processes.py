"""
Processes that a test starts, freezes and kills: each runs one function of `tests.storage.workers`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds; only a test that fails waits that long


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where little fits: the command *under* which a process has it, and the largest file (0: whatever fits)."""

    under: tuple[str, ...]
    limit: int


def small_disk(folder: Path) -> tuple[str, ...]:
    """Return the command that runs another one with a disk of 1 MiB at *folder*, gone when that other one ends."""
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder))


def may_mount() -> bool:
    """Say whether this user may have a small disk."""
    command = [*small_disk(Path("/mnt")), "true"]
    return shutil.which(command[0]) is not None and not subprocess.run(command, capture_output=True, check=False).returncode


class Worker:
    """
    A process that is told one line at a time, and answers in lines.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker has pipes")
        self._input = process.stdin
        self._output = process.stdout

    async def line(self) -> str:
        """Return the next line that the worker says; an empty one when it has said its last."""
        async with asyncio.timeout(PATIENCE):
            return (await self._output.readline()).decode().rstrip("\n")

    async def lines(self) -> list[str]:
        """Return all that the worker still says."""
        async with asyncio.timeout(PATIENCE):
            return (await self._output.read()).decode().splitlines()

    def tell(self, line: str) -> None:
        """Say *line* to the worker."""
        self._input.write(f"{line}\n".encode())

    def tell_no_more(self) -> None:
        """Close the worker's input."""
        self._input.close()

    def freeze(self) -> None:
        """Stop the worker where it is, as a paused virtual machine does."""
        self._process.send_signal(signal.SIGSTOP)
        # Returns when it has stopped, and leaves the process to be waited for as ever.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let the worker go on."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End the worker without a chance to tidy up."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def end(self) -> int:
        """Wait for the end of the worker, and return its exit status."""
        self._input.close()
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()


@asynccontextmanager
async def worker(name: str, *arguments: object, under: tuple[str, ...] = ()) -> AsyncIterator[Worker]:
    """Start the worker of that *name*, by way of the command *under* it; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *under,
        *(sys.executable, "-m", "tests.storage.workers", name, *map(str, arguments)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "scripts"},
    )
    try:
        yield Worker(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
