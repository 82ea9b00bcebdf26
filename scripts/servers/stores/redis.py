"""
Redis: one server, and three masters that are a cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import redis

from servers.ports import LOOPBACK, free_port, says
from servers.process import Process, wait_until
from servers.server import Server

SLOTS = 16384
MASTERS = 3


class RedisServer(Server):
    """
    One redis-server with a folder of its own, which knows nothing of the machine's settings.

    With *append_only* every command is in a file before it is answered; *fsync* says when that file reaches the disk.
    *options* are further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "redis",
        append_only: bool = True,
        fsync: Literal["always", "everysec", "no"] = "always",
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "dir": self._data,
            "save": '""',
            "appendonly": "yes" if append_only else "no",
            "appendfsync": fsync,
            "repl-diskless-sync-delay": 0,
            **(options or {}),
        }
        self.configure()
        super().__init__(
            Process(name, ["redis-server", folder / "redis.conf"], ready=lambda: answers_ping(self.port), log=folder / "log"),
        )

    def configure(self) -> None:
        """Write its configuration as it is in the beginning; sentinels have it written otherwise."""
        write_settings(self.folder / "redis.conf", self._settings)

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def ask(self, *words: str | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send one command and return its answer; texts are bytes."""
        return ask(self.port, *words)

    def flush(self) -> None:
        """Forget everything."""
        self.ask("FLUSHALL", "SYNC")

    def last_write(self) -> float:
        """Return when its files changed (seconds, Unix time); 0 when it has none."""
        return max((path.stat().st_mtime for path in self._data.rglob("*") if path.is_file()), default=0)

    def restart_empty(self) -> Self:
        """Kill it, and start it without the data that it had."""
        self.kill()
        shutil.rmtree(self._data)
        self._data.mkdir()
        return self.start()


class RedisCluster(Server):
    """
    Three masters with a third of the slots each; its processes are called ``"0"``, ``"1"`` and ``"2"``.

    With *full_coverage* no master answers while another one is away, as is Redis's default.
    """

    def __init__(self, folder: Path, *, full_coverage: bool = True, append_only: bool = True) -> None:
        self._bus = [free_port() for _ in range(MASTERS)]
        self.masters = [
            RedisServer(
                folder / f"master-{number}",
                name=str(number),
                append_only=append_only,
                options={
                    "cluster-enabled": "yes",
                    "cluster-port": self._bus[number],
                    "cluster-node-timeout": 2000,
                    "cluster-require-full-coverage": "yes" if full_coverage else "no",
                },
            )
            for number in range(MASTERS)
        ]
        super().__init__(*(process for master in self.masters for process in master.processes.values()))

    @property
    def url(self) -> str:
        """All masters, as Holdfast's settings name them."""
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{port}" for port in self.ports)

    @property
    def ports(self) -> list[int]:
        return [master.port for master in self.masters]

    def start(self, *names: str) -> Self:
        """Start what does not run; when all run, wait until they are a cluster."""
        super().start(*names)
        if all(process.runs for process in self.processes.values()):
            if b"cluster_slots_assigned:0\r" in self.masters[0].ask("CLUSTER", "INFO"):
                self._found()
            wait_until(self._agrees, "the masters are a cluster")
        return self

    def flush(self) -> None:
        """Forget everything."""
        for master in self.masters:
            master.flush()

    def slot(self, key: str) -> int:
        """Return the slot of *key*."""
        return int(self.masters[0].ask("CLUSTER", "KEYSLOT", key))

    def owner(self, key: str) -> str:
        """Return the name of the process that *key* is kept by."""
        return next(str(number) for number in range(MASTERS) if self.slot(key) < SLOTS * (number + 1) // MASTERS)

    def _found(self) -> None:
        for number, master in enumerate(self.masters):
            first, after = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            master.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for master, bus in zip(self.masters[1:], self._bus[1:], strict=True):
            self.masters[0].ask("CLUSTER", "MEET", LOOPBACK, master.port, bus)

    def _agrees(self) -> bool:
        facts = [master.ask("CLUSTER", "INFO") for master in self.masters]
        return all(b"cluster_state:ok" in each and b"cluster_known_nodes:%d\r" % MASTERS in each for each in facts)


def write_settings(path: Path, settings: Mapping[str, object]) -> None:
    """Write *settings* as Redis reads them."""
    path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))


def answers_ping(port: int) -> bool:
    """Say whether a Redis at *port* has its data and serves."""
    return says(port, b"PING\r\n", b"+PONG")


def ask(port: int, *words: str | int) -> Any:  # noqa: ANN401 - whatever Redis answers
    """Send one command to the Redis at *port* and return its answer as it came; texts are bytes."""
    with redis.Redis(host=LOOPBACK, port=port, socket_timeout=5, protocol=2) as client:
        client.response_callbacks.clear()
        return client.execute_command(*words)
