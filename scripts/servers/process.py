"""
A process with a log that is started, frozen, killed and started again.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

import psutil

from servers.forked import Forked

ROOT = Path(__file__).parents[2]
"""The folder of this repository."""

SECONDS = 1.0
READY_WITHIN = 30 * SECONDS
STOPPED_WITHIN = 15 * SECONDS
STILL_WITHIN = 5 * SECONDS
POLL = 0.004 * SECONDS
LOG_TAIL = 4000  # characters
STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


class ServerError(Exception):
    """A server does not start, or does not come to the state that was waited for; the text has the end of its log."""


def wait_until(condition: Callable[[], bool], what: str, within: float = READY_WITHIN) -> float:
    """
    Wait until *condition* holds and return the seconds that it took.

    :raises ServerError: it does not hold *within* so many seconds; the text says *what* was waited for.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > within:
            raise ServerError(f"{what}: not within {within} s")
        time.sleep(POLL)
    return time.monotonic() - begin


def living(processes: Iterable[psutil.Process], within: float = 0) -> list[psutil.Process]:
    """Return those of *processes* that have not ended *within* so many seconds; one that was not reaped has ended."""
    until = time.monotonic() + within
    while True:
        alive = [process for process in processes if _status(process) != psutil.STATUS_ZOMBIE]
        if not alive or time.monotonic() >= until:
            return alive
        time.sleep(POLL)


Running = subprocess.Popen[bytes] | Forked
Begin = Callable[[Path, Mapping[str, str], Path], Running]
"""Runs a process in a folder, with an environment, and has what it prints added to a file."""


class Process:
    """
    One process of a server, in a group of its own with all that it starts, for any number of lives.

    *ready* says whether it serves; it is asked again and again while it starts.  It runs in *folder*; *begin* is another way to
    run it than *command*.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        ready: Callable[[], bool],
        log: Path,
        environment: Mapping[str, str] | None = None,
        begin: Begin | None = None,
        folder: Path = ROOT,
    ) -> None:
        self.name = name
        self.started_in = 0.0
        """Seconds that the last start took until it was ready."""
        self._command = [str(word) for word in command]
        self._ready = ready
        self._log = log
        self._environment = dict(os.environ if environment is None else environment)
        self._begin = begin or self._run
        self._folder = folder
        self._process: Running | None = None
        self._began = 0.0

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.runs else "not running"
        return f"<Process {self.name} {state}>"

    @property
    def process(self) -> Running:
        """The process of its last life."""
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended, be it frozen or not."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start it and do not wait until it is ready; nothing happens when it runs."""
        if self.runs:
            return
        if self._process is not None:
            _tell_guard(f"-{self.pid}")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._process = self._begin(self._folder, self._environment, self._log)
        _tell_guard(f"+{self.pid}")

    def wait_ready(self) -> None:
        """
        Wait until it serves.

        :raises ServerError: it ends instead, or takes too long.
        """
        while not self._ready():
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-LOG_TAIL:]}")
            if time.monotonic() - self._began > READY_WITHIN:
                raise ServerError(f"{self.name} was not ready within {READY_WITHIN} s:\n{self.log()[-LOG_TAIL:]}")
            time.sleep(POLL)
        self.started_in = time.monotonic() - self._began

    def kill(self) -> None:
        """End it and all that it has started as a power cut of a container does (SIGKILL), and wait until they are gone."""
        self._end(signal.SIGKILL, 0)

    def stop(self, within: float = STOPPED_WITHIN) -> None:
        """Ask it to end (SIGTERM), be it frozen or not; what is left *within* so many seconds is killed."""
        self._end(signal.SIGTERM, within)

    def freeze(self) -> None:
        """Stop it and all that it has started in their tracks (SIGSTOP), and wait until they stand still."""
        self.send(signal.SIGSTOP)
        wait_until(lambda: all(_status(one) in STILL for one in self._family()), f"{self.name} stands still", STILL_WITHIN)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it has started."""
        os.killpg(self.pid, number)

    def log(self) -> str:
        """Return what all its lives have written."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _run(self, folder: Path, environment: Mapping[str, str], log: Path) -> Running:
        with log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def _end(self, number: signal.Signals, within: float) -> None:
        if self._process is None:
            return
        family = self._family() if self.runs else []
        if within:
            with suppress(ProcessLookupError):
                self.send(number)
                self.send(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within)
        # Whatever would not go, or outlived its parent.
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self._process.wait(STOPPED_WITHIN)
        living(family, within=STOPPED_WITHIN)
        # A process that was forked after the family was counted dies of the signal as well, a moment later; until then it may
        # hold the port.
        wait_until(lambda: not _lives(self.pid), f"all processes of {self.name} are gone", STOPPED_WITHIN)
        _tell_guard(f"-{self.pid}")


def _lives(group: int) -> bool:
    """Say whether a process of *group* is more than a zombie that waits for init."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(_group(process) == group and _status(process) != psutil.STATUS_ZOMBIE for process in psutil.process_iter())


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _status(process: psutil.Process) -> str:
    try:
        return process.status() if process.is_running() else psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


@cache
def _guard() -> IO[bytes]:
    """Return the standard input of this process's guard, which is started with the first server."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("guard.py"))]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, bufsize=0)
    if guard.stdin is None:
        raise ServerError("a guard has an input")
    atexit.register(guard.communicate)
    return guard.stdin


def _tell_guard(line: str) -> None:
    _guard().write(f"{line}\n".encode())
