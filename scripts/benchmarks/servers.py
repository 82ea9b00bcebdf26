"""
Starting a server, watching what its processes use, and ending it.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.loads.tls import make_certificate
from benchmarks.loads.wire import BenchError, Endpoint
from benchmarks.targets import Target
from servers.ports import free_port

KiB = 1024
SECONDS = 1.0
MILLISECONDS = 0.001

START_WAIT = 30 * SECONDS
START_POLL = 50 * MILLISECONDS
STOP_WAIT = 15 * SECONDS
LOG_TAIL = 2000


class Server:
    """A running server: where it takes uploads, and what its processes have used so far."""

    def __init__(self, name: str, endpoint: Endpoint, pid: int | None, uploads: Path | None = None) -> None:
        self.name = name
        self.endpoint = endpoint
        self.uploads = uploads
        """The folder that it was given for uploads, if it was started here."""
        self._pid = pid

    def cpu_seconds(self) -> float | None:
        """Return user and system time of the process, its children and those that it has outlived; None when it is not known."""
        if self._pid is None:
            return None
        total = 0.0
        for process in self._processes(self._pid):
            # A process may end while the tree is read; its time is then its parent's children's time.
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                times = process.cpu_times()
                total += _clock(process.pid) + times.children_user + times.children_system
        return total

    def peak_memory(self) -> int | None:
        """Return the most bytes that were ever resident, of all processes together; None when it is not known."""
        if self._pid is None:
            return None
        return sum(_status(process.pid, "VmHWM") for process in self._processes(self._pid))

    def memory(self) -> int | None:
        """Return the bytes that are resident now, of all processes together; None when it is not known."""
        if self._pid is None:
            return None
        return sum(_status(process.pid, "VmRSS") for process in self._processes(self._pid))

    def _processes(self, pid: int) -> list[psutil.Process]:
        try:
            process = psutil.Process(pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess as error:
            raise BenchError(f"{self.name} has ended (process {pid})") from error


@contextmanager
def running(target: Target, directory: Path) -> Iterator[Server]:
    """Have *target* run, with its uploads under *directory*, which is removed at the end."""
    if target.url:
        yield Server(target.name, Endpoint.from_url(target.url), target.pid)
        return
    if target.packages:
        _install(target.packages)
    uploads, log = directory / "uploads", directory / "log"
    uploads.mkdir(parents=True)
    certificate = directory / "certificate.pem" if target.tls else None
    if certificate:
        make_certificate(certificate, directory / "key.pem")
    endpoint = Endpoint(host="127.0.0.1", port=free_port(), path=target.path, certificate=str(certificate or ""))
    try:
        with log.open("wb") as output:
            process = _start(target, endpoint.port, directory, output.fileno())
        try:
            _wait_until_ready(target, endpoint, process, log)
            yield Server(target.name, endpoint, process.pid, uploads)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(target: Target, port: int, directory: Path, output: int) -> subprocess.Popen[bytes]:
    meanings = {
        "{port}": str(port),
        "{dir}": str(directory / "uploads"),
        "{certificate}": str(directory / "certificate.pem"),
        "{key}": str(directory / "key.pem"),
    }

    def filled(text: str) -> str:
        for word, meaning in meanings.items():
            text = text.replace(word, meaning)
        return text

    # Settings of the caller's own Holdfast would change what is measured.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment = inherited | {name: filled(value) for name, value in target.environment.items()}
    command = [filled(word) for word in target.command]
    try:
        # A session of its own: Ctrl-C shall reach the harness, which ends the server in its turn.
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    except OSError as error:
        raise BenchError(f"{target.name} cannot be started: {error}") from error


def _wait_until_ready(target: Target, endpoint: Endpoint, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_WAIT
    while not _is_ready(endpoint, target.ready):
        if process.poll() is not None or time.monotonic() > until:
            why = "does not answer" if process.poll() is None else f"ended with status {process.returncode}"
            said = log.read_bytes()[-LOG_TAIL:].decode(errors="replace").strip()
            raise BenchError(f"{target.name} {why} and said:\n{said}")
        time.sleep(START_POLL)


def _is_ready(endpoint: Endpoint, path: str) -> bool:
    try:
        if not path:
            socket.create_connection((endpoint.host, endpoint.port), timeout=1).close()
            return True
        if endpoint.certificate:
            context = ssl.create_default_context(cafile=endpoint.certificate)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                endpoint.host, endpoint.port, timeout=5, context=context
            )
        else:
            connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_WAIT)
    # Whatever outlived its parent, or would not go.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _install(folder: Path) -> None:
    """Install the locked npm packages of *folder*, unless just these are there already."""
    installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    try:
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"npm cannot install the peers ({error}); leave them out with --only") from error


def _clock(pid: int) -> float:
    """Return the CPU-seconds of all threads of a process, to the nanosecond; /proc has hundredths."""
    try:
        # What clock_getcpuclockid(3) returns on Linux.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        raise ProcessLookupError(pid) from error


def _status(pid: int, field: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * KiB
    return 0
