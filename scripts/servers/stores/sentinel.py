"""
A monitored Redis: a primary, a replica, and three sentinels that promote the replica when the primary is gone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from servers.ports import LOOPBACK, free_port
from servers.process import Process, wait_until
from servers.server import Server
from servers.stores.redis import RedisServer, answers_ping, ask, write_settings

NAME = "holdfast"
"""What the sentinels call the primary."""
SENTINELS = 3
QUORUM = 2
DOWN_AFTER = 500  # milliseconds
FAILOVER_TIMEOUT = 3000  # milliseconds


class RedisSentinel(Server):
    """
    Two Redis servers, one of which begins as the primary, and their sentinels.

    The processes are called ``redis-0``, ``redis-1`` and ``sentinel-0`` to ``sentinel-2``.  In a folder that was used before, the
    one that wrote last is the primary.
    """

    name = NAME

    def __init__(self, folder: Path, *, append_only: bool = True) -> None:
        self._folder = folder
        self.servers = [RedisServer(folder / f"redis-{n}", name=f"redis-{n}", append_only=append_only) for n in range(2)]
        self.sentinel_ports = [free_port() for _ in range(SENTINELS)]
        sentinels = [self._sentinel(number, port) for number, port in enumerate(self.sentinel_ports)]
        super().__init__(*(process for server in self.servers for process in server.processes.values()), *sentinels)

    def _sentinel(self, number: int, port: int) -> Process:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", str(folder / "sentinel.conf"), "--sentinel"]
        return Process(f"sentinel-{number}", command, ready=lambda: answers_ping(port), log=folder / "log")

    def _configure(self, primary: RedisServer) -> None:
        """Write down who begins as the primary; what sentinels have learnt, and had written down, is forgotten."""
        for server in self.servers:
            server.configure()
        for number, port in enumerate(self.sentinel_ports):
            folder = self._folder / f"sentinel-{number}"
            settings = {
                "bind": LOOPBACK,
                "port": port,
                "dir": folder,
                f"sentinel monitor {NAME}": f"{LOOPBACK} {primary.port} {QUORUM}",
                f"sentinel down-after-milliseconds {NAME}": DOWN_AFTER,
                f"sentinel failover-timeout {NAME}": FAILOVER_TIMEOUT,
            }
            write_settings(folder / "sentinel.conf", settings)

    @property
    def url(self) -> str:
        """All sentinels, as Holdfast's settings name them."""
        return "redis+sentinel://" + ",".join(f"{LOOPBACK}:{port}" for port in self.sentinel_ports) + f"/{NAME}"

    @property
    def primary(self) -> RedisServer:
        """The server that most sentinels call the primary."""
        votes = [self._primary_port(port) for port in self.sentinel_ports if answers_ping(port)]
        port = max(votes, key=votes.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        primary = self.primary
        return next(server for server in self.servers if server is not primary)

    def start(self, *names: str) -> Self:
        """Start what does not run; when all run, wait until they know each other."""
        if names:
            super().start(*names)
            self._follow(*names)
            return self
        if not any(process.runs for process in self.processes.values()):
            first, second = sorted(self.servers, key=RedisServer.last_write, reverse=True)
            self._configure(first)
            # Sentinels ask the primary for its replicas at once, and again only after ten seconds: the replica has to be there.
            super().start(*first.processes, *second.processes)
            second.ask("REPLICAOF", LOOPBACK, first.port)
            wait_until(lambda: b"master_link_status:up" in second.ask("INFO", "replication"), "the replica follows")
        super().start()
        wait_until(self._is_watched, "the sentinels know each other and the replica")
        return self

    def _follow(self, *names: str) -> None:
        """Have servers that are back follow the primary at once; sentinels would wait ten seconds before they see to that."""
        if any(answers_ping(port) for port in self.sentinel_ports):
            primary = self.primary
            for server in self.servers:
                if server is not primary and server.processes.keys() & names:
                    server.ask("REPLICAOF", LOOPBACK, primary.port)

    def fail_over(self) -> float:
        """Kill the primary, wait until the other one has its place, and return the seconds that it took."""
        old = self.primary
        begin = time.monotonic()
        old.kill()
        self.wait_for_failover(old)
        return time.monotonic() - begin

    def wait_for_failover(self, old: RedisServer) -> None:
        """Wait until all sentinels that run call another server than *old* the primary, and that one takes writes."""

        def over() -> bool:
            running = [port for port in self.sentinel_ports if answers_ping(port)]
            ports = {self._primary_port(port) for port in running}
            return len(ports) == 1 and old.port not in ports and b"role:master" in ask(*ports, "INFO", "replication")

        wait_until(over, f"a primary other than {old.port}")

    def _is_watched(self) -> bool:
        def knows_all(port: int) -> bool:
            words = ask(port, "SENTINEL", "MASTER", NAME)
            facts = dict(zip(words[::2], words[1::2], strict=True))
            return (facts[b"num-slaves"], facts[b"num-other-sentinels"]) == (b"1", b"%d" % (SENTINELS - 1))

        return all(map(knows_all, self.sentinel_ports))

    @staticmethod
    def _primary_port(port: int) -> int:
        _, primary = ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(primary)
