"""
Downloads, beside nginx that serves the very file that Holdfast has stored.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import machine
from benchmarks.figures.results import Transfer
from benchmarks.loads.load import Senders
from benchmarks.loads.wire import BenchError, Connection, Endpoint
from benchmarks.measure import Say, since, turns
from benchmarks.servers import Server
from benchmarks.targets import NGINX
from servers.nginx import Nginx
from servers.ports import LOOPBACK
from servers.process import ServerError

LOCATION = """\
        location /stored/ {{
            alias {folder}/;
            sendfile on;
            tcp_nopush on;
            access_log off;
        }}
"""


def downloads(
    servers: Sequence[Server], senders: Senders, directory: Path, say: Say, *, size: int, rounds: int
) -> dict[str, list[Transfer]]:
    """Have *size* bytes sent by every server and by nginx, *rounds* times."""
    uploads = {server.name: _store(server, senders, size) for server in servers}
    # The file is on the disk before the first turn; otherwise that one would pay for it.
    os.sync()
    results: dict[str, list[Transfer]] = {}
    with ExitStack() as stack:
        sources = [(server, uploads[server.name]) for server in servers]
        file = _file(servers, size)
        if file is not None:
            nginx = stack.enter_context(_serving(file, directory / NGINX, servers[0].endpoint.port))
            sources.append((nginx, f"/stored/{file.name}"))
        for turn, (server, path) in turns(sources, rounds):
            machine.settle(directory, size)
            before = server.cpu_seconds()
            try:
                seconds = senders.download(server.endpoint, path, size).seconds
            except (BenchError, OSError) as error:
                raise BenchError(f"{server.name}: {error}") from error
            results.setdefault(server.name, []).append(Transfer(size=size, seconds=seconds, cpu=since(before, server)))
            say(f"download {turn}: {server.name} {seconds:.2f} s")
    for server in servers:
        senders.delete(server.endpoint, [uploads[server.name]])
    return results


def _store(server: Server, senders: Senders, size: int) -> str:
    with Connection(server.endpoint) as control:
        path = control.create(size)
    senders.send(server.endpoint, [[(path, size)]])
    return path


def _file(servers: Sequence[Server], size: int) -> Path | None:
    """Return where the first of the servers that were started here keeps what it has stored."""
    for server in servers:
        for path in server.uploads.rglob("*") if server.uploads else ():
            if path.is_file() and path.stat().st_size == size:
                return path
    return None


@contextmanager
def _serving(file: Path, directory: Path, upstream: int) -> Iterator[Server]:
    try:
        with Nginx(directory, [upstream], locations=LOCATION.format(folder=file.parent)) as nginx:
            endpoint = Endpoint(host=LOOPBACK, port=nginx.port, path="/")
            yield Server(NGINX, endpoint, nginx.processes["nginx"].pid)
    except ServerError as error:
        raise BenchError(str(error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
