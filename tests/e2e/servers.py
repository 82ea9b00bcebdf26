"""
The service as a process of its own, to be killed, frozen and started again.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
SECONDS = 1.0
READY_WITHIN = 30 * SECONDS
POLL = 0.004 * SECONDS


def free_port() -> int:
    """
    Return a port that nobody has, outside of the range from which the system takes ports for connections: while a server is away,
    no client may get its port, or even connect to itself.
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


class Server:
    """
    ``python -m service serve`` on one port and one data directory, for as many lives as a test wants.
    """

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.settings = settings
        self.started_in = 0.0
        """Seconds that the last start took until it was ready."""
        self._log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = "not running" if self._process is None else f"pid {self._process.pid}"
        return f"<Server {self.url} {state}>"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[psutil.Process]:
        """
        Return the processes that the first one has started to serve.
        """
        return [child for child in living(psutil.Process(self.pid).children()) if "spawn_main" in " ".join(child.cmdline())]

    def environment(self) -> dict[str, str]:
        """
        Return the environment that it runs in: no setting of whoever runs the tests gets there.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        settings = {f"HOLDFAST_{name.upper()}": str(value) for name, value in self.settings.items()}
        return {**kept, "HOLDFAST_PORT": str(self.port), "HOLDFAST_DATA_DIR": str(self.data_dir), **settings}

    def start(self) -> Server:
        """
        Start it and wait until it is ready.
        """
        begin = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not is_ready(self.port):
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.log()}")
            if time.monotonic() - begin > READY_WITHIN:
                raise TimeoutError(f"the server was not ready within {READY_WITHIN} s:\n{self.log()}")
            time.sleep(POLL)
        self.started_in = time.monotonic() - begin
        return self

    def kill(self) -> None:
        """
        End all its processes as a power cut of a container does, and wait until they are gone.
        """
        if self._process is None:
            return
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family += psutil.Process(self.pid).children(recursive=True)
        self._process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait(10)
        living(family, within=10)

    def restart(self) -> Server:
        """
        Kill it, and start it on the same port and directory.
        """
        self.kill()
        return self.start()

    def terminate(self) -> None:
        """
        Ask it to end (SIGTERM); `wait` says how it did.
        """
        self.process.terminate()

    def wait(self, seconds: float) -> int:
        """
        Return its exit code.

        :raises subprocess.TimeoutExpired: it still runs after *seconds*.
        """
        return self.process.wait(seconds)

    def freeze(self) -> None:
        """
        Stop its process in its tracks (SIGSTOP), and wait until it stands still.
        """
        self.process.send_signal(signal.SIGSTOP)
        process = psutil.Process(self.pid)
        until = time.monotonic() + 5 * SECONDS
        while process.status() != psutil.STATUS_STOPPED and time.monotonic() < until:
            time.sleep(POLL)

    def thaw(self) -> None:
        """
        Let it go on (SIGCONT).
        """
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """
        Return what all its lives have written.
        """
        return self._log.read_text() if self._log.exists() else ""

    def recorded(self) -> dict[str, tuple[str, int]]:
        """
        Return state and offset of every upload as they are recorded, without disturbing anybody as a request would.
        """
        with closing(sqlite3.connect(f"file:{self.data_dir / 'holdfast.sqlite'}?mode=ro", uri=True, timeout=10)) as database:
            return {key: (state, offset) for key, state, offset in database.execute("SELECT key, state, offset FROM uploads")}


def living(processes: Iterable[psutil.Process], within: float = 0) -> list[psutil.Process]:
    """
    Return those of *processes* that have not ended *within* so many seconds; one that nobody has buried has ended.
    """
    until = time.monotonic() + within
    while True:
        alive = [process for process in processes if _lives(process)]
        if not alive or time.monotonic() >= until:
            return alive
        time.sleep(POLL)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_ready(port: int) -> bool:
    """
    Say whether a server at *port* answers that it can serve.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=READY_WITHIN) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
