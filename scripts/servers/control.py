"""
How another terminal tells a cluster what to do: one line to a socket in its folder, and a text back.
"""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from servers.cluster import Cluster
from servers.process import ServerError

NAME = "control"
PATIENCE = 60.0  # seconds
LINE = 4096  # bytes
VERBS = {
    "kill": "end processes without a word (SIGKILL)",
    "stop": "ask processes to end (SIGTERM), and wait until they have",
    "freeze": "stop processes in their tracks (SIGSTOP)",
    "thaw": "let frozen processes go on",
    "start": "start processes that are away, and wait until they serve",
    "restart": "kill processes, and start them again",
}
"""What is done to processes by their names."""
LONE_VERBS = {
    "failover": "kill the primary of Redis, wait until the replica has its place, and start what was killed as the replica",
    "status": "tell what there is, by name, and where; with what opens it",
}
"""What is done without names."""


def obey(cluster: Cluster, line: str) -> str:
    """
    Do to *cluster* what *line* says, and return what to tell about it.

    :raises ServerError: it could not be done, or the line says nothing that can be.
    """
    verb, *names = line.split() or ["nothing"]
    if verb == "status":
        return status(cluster)
    if verb == "failover":
        (old,) = cluster.redis.primary.processes
        seconds = cluster.redis.fail_over()
        (new,) = cluster.redis.primary.processes
        cluster.start(old)
        return f"{new} is the primary now, after {seconds:.1f} s without one; {old} was killed, and is the replica now"
    try:
        processes = [process for name in names for process in cluster.named(name)]
    except KeyError as error:
        raise ServerError(f"there is no {error.args[0]}; there are {' '.join(cluster.processes)}, nodes, redis, s3") from None
    begin = time.monotonic()
    if verb not in VERBS or not processes:
        raise ServerError(f"it is {' or '.join(VERBS)} with names, or {' or '.join(LONE_VERBS)}")
    getattr(cluster, verb)(*processes)
    return f"{verb} {' '.join(processes)}: done in {time.monotonic() - begin:.2f} s"


def status(cluster: Cluster) -> str:
    """Return a line for every process, and where things are."""
    lines = []
    for process in cluster.processes.values():
        if not process.runs:
            state = "is away"
        else:
            state = "is frozen" if psutil.Process(process.pid).status() == psutil.STATUS_STOPPED else "runs"
        lines.append(f"{process.name:10} {state:9} {cluster.about(process)}")
    return "\n".join([*lines, "", places(cluster)])


def places(cluster: Cluster) -> str:
    """Return where things are, and what opens them: `holdfast check`, boto3 and the like want that in their environment."""
    nodes = "\n".join(f"  {name}  {node.url}" for node in cluster.nodes for name in node.processes)
    opens = {
        "HOLDFAST_METADATA_URL": cluster.settings["metadata_url"],
        "HOLDFAST_BYTES_URL": cluster.settings["bytes_url"],
        **cluster.s3.account.environment,
    }
    return f"""\
Holdfast serves {cluster.url}/files
through nginx, which sends each request to the next of
{nodes}
with records in Redis and content in S3; for a command of your own, as holdfast check:
{chr(10).join(f"  export {name}={shlex.quote(str(value))}" for name, value in opens.items())}"""


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """
    Have a socket in *folder* where lines come.

    :raises ServerError: a cluster runs there already.
    """
    with _place(folder) as path, socket.socket(socket.AF_UNIX) as listener:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
            raise ServerError(f"a cluster runs in {folder} already")
        except (FileNotFoundError, ConnectionRefusedError):
            Path(path).unlink(missing_ok=True)
        listener.bind(path)
        listener.listen()
        try:
            yield listener
        finally:
            Path(path).unlink(missing_ok=True)


def answer(listener: socket.socket, cluster: Cluster) -> str:
    """Take one line and do what it says; return what everybody may want to know of it."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(PATIENCE)
        try:
            line = connection.recv(LINE).decode()
            answer, code = obey(cluster, line), 0
        except (ServerError, OSError) as error:
            answer, code = str(error), 1
        # The caller may have ended.
        with suppress(OSError):
            connection.sendall(f"{code}\n{answer}".encode())
    return "" if code or line.split() == ["status"] else answer


def tell(folder: Path, line: str) -> tuple[int, str]:
    """Say *line* to the cluster that runs in *folder*; return 0 and its answer, or 1 and why not."""
    with _place(folder) as path, socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(PATIENCE)
            connection.connect(path)
        except OSError:
            return 1, f"no cluster runs in {folder}"
        with connection.makefile("rw") as stream:
            stream.write(f"{line}\n")
            stream.flush()
            code = int(stream.readline() or "1")
            return code, stream.read() or "the cluster has ended"


@contextmanager
def _place(folder: Path) -> Iterator[str]:
    """Return a path of the socket that is short enough for one, however long the folder's is."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield str(folder / NAME)[-100:]
        return
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
