"""
Processes of the service that are forked from one that has imported it, see `servers.preloaded`.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

PROGRAM = Path(__file__).with_name("preloaded.py")
ANSWER = 64  # bytes


class Forked:
    """
    ``python -m holdfast.service serve`` without its start: what `subprocess.Popen` is to a command.

    It leads a session of its own.  What it prints is added to *log*.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self.returncode: int | None = None
        self._status, status = os.pipe()
        try:
            self.pid = _preloaded(folder).fork({"folder": str(folder), "environment": dict(environment), "log": str(log)}, status)
        except BaseException:
            os.close(self._status)
            raise
        finally:
            os.close(status)

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """
        Return the exit status when it has ended.

        :raises subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("holdfast serve", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            if poll.poll(None if timeout is None else timeout * 1000):
                self.returncode = int(os.read(self._status, ANSWER))
                os.close(self._status)
        return self.returncode


class _Preloaded:
    """The process that is forked; it ends with this one."""

    def __init__(self, folder: Path) -> None:
        self._turn = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # The folder of the program is none to import from: a module there has the name of a library.
            command = [sys.executable, "-P", str(PROGRAM)]
            environment = {**os.environ, "PYTHONPATH": str(folder)}
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True
            )
        atexit.register(self._end)

    def fork(self, wanted: Mapping[str, object], status: int) -> int:
        """Return the id of a new process, whose exit status is written to *status*."""
        with self._turn:
            socket.send_fds(self._control, [json.dumps(wanted).encode()], [status])
            return int(self._control.recv(ANSWER))

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


@cache
def _preloaded(folder: Path) -> _Preloaded:
    return _Preloaded(folder)
