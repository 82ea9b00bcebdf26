"""
The service as a process of its own, to be killed, frozen and started again.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psutil

from servers.forked import Forked
from servers.ports import LOOPBACK, free_port, serves
from servers.process import Process, living
from servers.server import Server


class Holdfast(Server):
    """
    ``python -m holdfast.service serve`` on one port and one data directory, for any number of lives.

    With *forked* it is not the command that runs but a fork of a process that has imported the service: a start takes a tenth.
    *before* are words in front of the command, as of a program that changes limits and then becomes the command.
    *module* is what python runs.

    *settings* are those of deploy/README.md in lower case and without ``HOLDFAST_``; *environment* is what else it finds.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, object] | None = None,
        *,
        name: str = "holdfast",
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        forked: bool = False,
        before: Sequence[str] = (),
        module: str = "holdfast.service",
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.settings = dict(settings or {})
        self._environment = environment or {}
        self.process = Process(
            name,
            [*before, sys.executable, "-m", module, "serve"],
            ready=lambda: serves(self.port, "/readyz"),
            log=data_dir.parent / f"{data_dir.name}-{self.port}.log",
            environment=self.environment(),
            begin=Forked if forked else None,
        )
        super().__init__(self.process)

    def __repr__(self) -> str:
        return f"<Holdfast {self.url} {self.process}>"

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def started_in(self) -> float:
        """Seconds that the last start took until it was ready."""
        return self.process.started_in

    def workers(self) -> list[psutil.Process]:
        """Return the processes that the first one has started to serve."""
        return [child for child in living(psutil.Process(self.pid).children()) if _serves(child)]

    def environment(self) -> dict[str, str]:
        """Return the environment that it runs in: without any setting of the user who runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        settings = {f"HOLDFAST_{name.upper()}": str(value) for name, value in self.settings.items()}
        own = {"HOLDFAST_PORT": str(self.port), "HOLDFAST_DATA_DIR": str(self.data_dir)}
        return {**kept, **own, **self._environment, **settings}

    def terminate(self) -> None:
        """Ask it to end (SIGTERM); `wait` says how it did."""
        self.process.process.terminate()

    def wait(self, seconds: float) -> int:
        """
        Return its exit code.

        :raises subprocess.TimeoutExpired: it still runs after *seconds*.
        """
        return self.process.process.wait(seconds)

    def recorded(self) -> dict[str, tuple[str, int]]:
        """Return state and offset of every upload as they are recorded, without disturbing anybody as a request would."""
        with closing(sqlite3.connect(f"file:{self.data_dir / 'holdfast.sqlite'}?mode=ro", uri=True, timeout=10)) as database:
            return {key: (state, offset) for key, state, offset in database.execute("SELECT key, state, offset FROM uploads")}


def _serves(process: psutil.Process) -> bool:
    """Say whether a child of the first process serves; one that ends meanwhile does not."""
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
