"""
nginx as tests have it: in front of several, each in its turn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.nginx import Nginx, program
from servers.ports import LOOPBACK, free_port, listens
from servers.process import Process
from servers.server import Server

NOBODY = 65534
# Answers with its port, the version of HTTP that it was asked in and the bytes that came, and says when the first of them came.
ECHO = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        left = length = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        text = f"{self.server.server_port} {self.request_version} {length} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Server]:
    """Return three servers that are called by their ports."""
    ports = [free_port() for _ in range(3)]

    def upstream(port: int) -> Process:
        command = [sys.executable, "-c", ECHO, str(port)]
        return Process(str(port), command, ready=lambda: listens(port), log=tmp_path / f"{port}.log")

    with Server(*map(upstream, ports)) as servers:
        yield servers


def answers(nginx: Nginx, count: int) -> list[str]:
    """Return the names of those who answer so many requests."""
    with httpx.Client() as client:
        return [client.post(nginx.url, content=b"12345").text.split()[0] for _ in range(count)]


def test_round_robin(tmp_path: Path, upstreams: Server) -> None:
    """Requests of one connection go to each in turn, in HTTP/1.1, however large they are."""
    with Nginx(tmp_path / "nginx", [int(name) for name in upstreams.processes]) as nginx:
        large = httpx.post(nginx.url, content=b"1" * 20_000_000).text.split()

        assert ["HTTP/1.1", "20000000", f"{LOOPBACK}:{nginx.port}"] == large[1:]
        assert sorted(2 * list(upstreams.processes)) == sorted(answers(nginx, 6))


def test_one_is_away(tmp_path: Path, upstreams: Server) -> None:
    """Requests of one who is away go to the others; when it is back it has its share again."""
    names = list(upstreams.processes)
    with Nginx(tmp_path / "nginx", [int(name) for name in names]) as nginx:
        upstreams.kill(names[0])
        without = answers(nginx, 6)
        nginx.reload([int(names[0])])
        upstreams.start(names[0])
        nginx.restart()

        assert set(names[1:]) == set(without)
        assert [names[0]] == answers(nginx, 1)


def test_reload(tmp_path: Path, upstreams: Server) -> None:
    """Other upstreams are taken without a restart."""
    names = list(upstreams.processes)
    with Nginx(tmp_path / "nginx", [int(names[0])]) as nginx:
        before = answers(nginx, 1)
        nginx.reload([int(names[1])])
        while (after := answers(nginx, 1)) == before:
            pass

        assert ([names[0]], [names[1]]) == (before, after)


def test_without_root() -> None:
    """It needs no rights: whoever has its folder can run it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Nginx(folder, [free_port()])
        nobody: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        for path in [folder, *folder.iterdir()] if nobody else []:
            os.chown(path, NOBODY, NOBODY)
        command = [program(), "-t", *("-p", place), *("-c", f"{place}/nginx.conf"), *("-e", f"{place}/log")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **nobody)

    assert "successful" in done.stderr, done.stderr
