"""
Several processes that are one service: Holdfast's nodes, nginx in front, Redis and an S3 server behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from servers.holdfast import Holdfast
from servers.nginx import Nginx
from servers.process import Process
from servers.server import Server
from servers.stores.sentinel import RedisSentinel
from servers.stores.swift import SwiftServer

BUCKET = "holdfast"
PREFIX = "content"


class Cluster(Server):
    """
    Its nodes are called ``1``, ``2``, …; the other processes as in `RedisSentinel`, `SwiftServer` and `Nginx`.

    nginx listens on *port* and the nodes on those that follow; without *port* all ports are free ones.  What is kept survives in
    *folder*.  *patience* is nginx's, and *settings* are further ones of every node, see `Holdfast`,
    and so is *forked*.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 3,
        port: int = 0,
        patience: float = 60.0,
        settings: Mapping[str, object] | None = None,
        forked: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.redis = RedisSentinel(folder / "redis")
        self.s3 = SwiftServer(folder / "s3")
        self.settings = {"metadata_url": self.redis.url, "bytes_url": f"s3://{BUCKET}/{PREFIX}", **(settings or {})}
        self.nodes = [self._node(folder, number, port, forked=forked) for number in range(1, nodes + 1)]
        self.nginx = Nginx(folder / "nginx", [node.port for node in self.nodes], port, patience=patience)
        super().__init__(*(process for part in self._parts() for process in part.processes.values()))

    def _node(self, folder: Path, number: int, port: int, *, forked: bool) -> Holdfast:
        return Holdfast(
            folder / f"node-{number}",
            self.settings,
            name=str(number),
            port=port and port + number,
            environment=self.s3.account.environment,
            forked=forked,
        )

    @property
    def url(self) -> str:
        return self.nginx.url

    def start(self, *names: str) -> Self:
        """Start what does not run: what others need first."""
        if names:
            for part in self._parts():
                if chosen := part.processes.keys() & names:
                    part.start(*chosen)
            return self
        try:
            self.redis.start()
            self.s3.start()
            self.s3.account.make_bucket(BUCKET)
            return super().start()
        except BaseException:
            self.kill()
            raise

    def named(self, name: str) -> list[str]:
        """
        Return the processes that *name* means: its own, or those of ``nodes``, ``redis`` (the primary) and ``s3``.

        :raises KeyError: it means none.
        """
        match name:
            case "nodes":
                return [process for node in self.nodes for process in node.processes]
            case "redis":
                return list(self.redis.primary.processes)
            case "s3":
                return list(self.s3.processes)
        return [self.processes[name].name]

    def about(self, process: Process) -> str:
        """Say what *process* is to the others."""
        for node in self.nodes:
            if process is node.process:
                return f"Holdfast, {node.url}"
        if process.name in self.nginx.processes:
            return f"nginx, {self.nginx.url}"
        return "Swift, an S3 server" if process.name in self.s3.processes else "Redis"

    def _parts(self) -> Iterator[Server]:
        yield self.redis
        yield self.s3
        yield from self.nodes
        yield self.nginx
