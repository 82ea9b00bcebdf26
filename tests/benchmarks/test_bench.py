"""
The bench, end to end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

SCRIPTS = str(Path(__file__).parents[2] / "scripts")

LIMIT = Path(SCRIPTS) / "benchmarks" / "peers" / "limit.py"


@contextmanager
def bench(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Have the bench run, with its files in *directory*."""
    command = [sys.executable, "-m", "benchmarks", "--dir", str(directory), *arguments]
    environment = {**os.environ, "PYTHONPATH": SCRIPTS}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def servers_under(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the limit's processes that this bench has started."""
    return [child for child in psutil.Process(process.pid).children() if str(LIMIT) in child.cmdline()]


def test_table(tmp_path: Path) -> None:
    """
    Holdfast and the limit are measured in turns; a table, the memory and every figure come out, and nothing stays behind.
    """
    files, figures = tmp_path / "files", tmp_path / "figures.json"
    files.mkdir()
    sizes = ("--size", "4MiB", "--rss", "4MiB", "--small", "16", "--rounds", "2", "--streams", "2")
    with bench(files, "--only", "limit", "--only", "holdfast", "--json", str(figures), *sizes) as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 0, complaints

    lines = [line.split() for line in printed.splitlines()]
    rows = {line[0]: line for line in lines if len(line) == 7}
    content = json.loads(figures.read_text())

    assert {"limit", "holdfast"} == set(rows)
    assert float(rows["holdfast"][3]) > 0
    assert "bound 150 MiB: kept" in printed
    assert [len(turns["transfers"]) for turns in content["turns"]] == [2, 2]
    assert [burst["requests"] for burst in content["turns"][1]["bursts"]] == [48, 48]
    assert list(files.iterdir()) == []


def test_server_by_command_and_by_url(tmp_path: Path) -> None:
    """
    Any server is measured by its command, or by its URL, where its CPU time is unknown without its process.
    """
    command = f"{sys.executable} {LIMIT} {{port}} {{dir}}"
    mine = ("--server", f"mine@/up={command}", "--only", "mine", "--size", "1MiB", "--small", "8", "--rounds", "1")
    with bench(tmp_path, *mine) as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 0, complaints
    assert "\nmine " in printed

    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with running_limit(uploads) as url:
        known = ("--url", f"running={url}", "--only", "running", "--size", "1MiB", "--small", "0", "--rounds", "1")
        with bench(tmp_path, *known) as process:
            printed, complaints = process.communicate(timeout=20)
        (row,) = [line.split() for line in printed.splitlines() if line.startswith("running") and "http" not in line]

        assert process.returncode == 0, complaints
        assert (row[1], row[6]) == ("-", "-")
        assert float(row[3]) > 0
        assert list(uploads.iterdir()) == []


@contextmanager
def running_limit(uploads: Path) -> Iterator[str]:
    """Have a server run that the bench did not start."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, str(LIMIT), str(port), str(uploads)]) as server:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/files"
        finally:
            server.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """
    Ctrl-C in the middle of the content ends the servers and removes every file.
    """
    with bench(tmp_path, "--only", "limit", "--size", "256MiB", "--rounds", "1000") as process:
        assert process.stderr is not None

        first = process.stderr.readline()
        (server,) = servers_under(process)
        os.killpg(process.pid, number)
        process.communicate(timeout=15)

        assert first.startswith("content 1/1000: limit")
        assert process.returncode == 130
        assert not server.is_running()
        assert list(tmp_path.iterdir()) == []


def test_server_that_fails(tmp_path: Path) -> None:
    """
    A server that does not start is told with what it said, and nothing is measured.
    """
    failing = f"{sys.executable} -c 'raise SystemExit(\"no port {{port}} for me\")'"
    with bench(tmp_path, "--server", f"bad={failing}", "--only", "bad") as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "bad ended with status 1 and said:\nno port" in complaints
    assert "CPU-s/GiB" not in printed
    assert list(tmp_path.iterdir()) == []


def test_lost_bytes(tmp_path: Path) -> None:
    """
    A server that has fewer bytes than were sent gets no figure.
    """
    source = LIMIT.read_text()
    lossy = tmp_path / "lossy.py"
    lossy.write_text(source.replace("os.stat(path).st_size", "(os.stat(path).st_size - 1)"))
    files = tmp_path / "files"
    files.mkdir()
    with bench(files, "--server", f"lossy={sys.executable} {lossy} {{port}} {{dir}}", "--only", "lossy") as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "lossy: 1024 bytes were sent, and the server has 1023" in complaints
    assert "CPU-s/GiB" not in printed
