"""
Ports of this machine: one that is free, and what the server at one says.
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import closing

LOOPBACK = "127.0.0.1"
PATIENCE = 5.0  # seconds
RANGE = range(20_000, 32_000)
"""Outside of what the system takes ports for connections from: while a server is down, no client may get its port, or even
connect to itself."""
VARIABLE = "SERVERS_PORTS"
"""A part of the range in the environment, ``23000-23999``: of processes that run at once each keeps to its own."""

_given: set[int] = set()


def free_port() -> int:
    """Return a port that is free, that this process was not given before and that is in its range."""
    first, _, last = os.environ.get(VARIABLE, f"{RANGE.start}-{RANGE.stop - 1}").partition("-")
    ports = [port for port in range(int(first), int(last) + 1) if port not in _given]
    for port in random.sample(ports, len(ports)):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no port is free")


def says(port: int, request: bytes, *answers: bytes) -> bool:
    """Say whether the server at *port* answers *request* with something that begins with one of *answers*."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(answers)
    except OSError:
        return False


def serves(port: int, path: str) -> bool:
    """Say whether an HTTP server at *port* answers a GET of *path* with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode()
    return says(port, request, b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")


def listens(port: int) -> bool:
    """Say whether a process accepts connections at *port*."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
