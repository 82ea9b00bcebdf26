"""
Redis with somebody who watches: a primary, a replica, and three sentinels that make the replica the primary when it is gone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from servers.ports import LOOPBACK, free_port
from servers.process import Process, wait_until
from servers.redis import RedisServer, answers_ping, ask
from servers.server import Server

NAME = "holdfast"
"""What the sentinels call the primary."""
SENTINELS = 3
QUORUM = 2
DOWN_AFTER = 500  # milliseconds
FAILOVER_TIMEOUT = 3000  # milliseconds


class RedisSentinel(Server):
    """
    Two Redis servers, the first of which begins as the primary, and their sentinels.

    The processes are called ``redis-0``, ``redis-1`` and ``sentinel-0`` to ``sentinel-2``.
    """

    name = NAME

    def __init__(self, folder: Path, *, append_only: bool = True) -> None:
        self.servers = [RedisServer(folder / f"redis-{n}", name=f"redis-{n}", append_only=append_only) for n in range(2)]
        self.sentinel_ports = [free_port() for _ in range(SENTINELS)]
        self._folder = folder
        sentinels = [self._sentinel(number, port) for number, port in enumerate(self.sentinel_ports)]
        super().__init__(*(process for server in self.servers for process in server.processes.values()), *sentinels)

    def _sentinel(self, number: int, port: int) -> Process:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "bind": LOOPBACK,
            "port": port,
            "dir": folder,
            f"sentinel monitor {NAME}": f"{LOOPBACK} {self.servers[0].port} {QUORUM}",
            f"sentinel down-after-milliseconds {NAME}": DOWN_AFTER,
            f"sentinel failover-timeout {NAME}": FAILOVER_TIMEOUT,
        }
        # A sentinel writes there what it has learnt.
        configuration = folder / "sentinel.conf"
        configuration.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        command = ["redis-server", str(configuration), "--sentinel"]
        return Process(f"sentinel-{number}", command, ready=lambda: answers_ping(port), log=folder / "log")

    @property
    def primary(self) -> RedisServer:
        """
        The server that most sentinels call the primary.
        """
        votes = [self._primary_port(port) for port in self.sentinel_ports if answers_ping(port)]
        port = max(votes, key=votes.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> RedisServer:
        """
        The other one.
        """
        primary = self.primary
        return next(server for server in self.servers if server is not primary)

    def start(self, *names: str) -> Self:
        """
        Start what does not run; when all run, wait until they know each other.
        """
        if names:
            return super().start(*names)
        first, second = self.servers
        # Sentinels ask the primary for its replicas at once, and again only after ten seconds: the replica has to be there.
        super().start(*first.processes, *second.processes)
        if not any(self.processes[f"sentinel-{number}"].runs for number in range(SENTINELS)):
            second.ask("REPLICAOF", LOOPBACK, first.port)
            wait_until(lambda: b"master_link_status:up" in second.ask("INFO", "replication"), "the replica follows")
        super().start()
        wait_until(self._is_watched, "the sentinels know each other and the replica")
        return self

    def fail_over(self) -> float:
        """
        Kill the primary, wait until the other one has its place, and return the seconds that it took.
        """
        old = self.primary
        begin = time.monotonic()
        old.kill()
        self.wait_for_failover(old)
        return time.monotonic() - begin

    def wait_for_failover(self, old: RedisServer) -> None:
        """
        Wait until all sentinels that run call another server than *old* the primary, and that one takes writes.
        """

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
