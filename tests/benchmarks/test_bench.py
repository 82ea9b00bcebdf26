"""
The bench, end to end.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from benchmarks.options import parse
from benchmarks.targets import built_in
from benchmarks.workloads import Workload

SCRIPTS = str(Path(__file__).parents[2] / "scripts")

# What npm installs is left to those who want it.
WITHOUT_NODE = [word for target in built_in() if target.name != "tus-node" for word in ("--only", target.name)]
SOME = ("--workload", "one", "--workload", "streams")

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


@pytest.mark.slow
@pytest.mark.parametrize("workload", [one for one in Workload if one is not Workload.MEMORY])
def test_quick(workload: Workload, tmp_path: Path) -> None:
    """
    Every workload runs with real servers; table, charts and every figure come out, and nothing stays behind.

    Every goal gets a verdict, except those that take an earlier Holdfast.
    """
    files, folder = tmp_path / "files", tmp_path / "report"
    files.mkdir()
    with bench(files, *WITHOUT_NODE, "--quick", "--workload", workload, "--report", str(folder)) as process:
        printed, complaints = process.communicate(timeout=60)

    assert process.returncode == 0, complaints

    taking = [target.name for target in parse(WITHOUT_NODE).taking(workload)]
    names = [*taking, *(["nginx"] if workload is Workload.DOWNLOAD else [])]
    content = json.loads((folder / "figures.json").read_text())
    written = (folder / "report.md").read_text()
    measured = content["workloads"][workload]

    assert names == list(measured)
    assert [len(one["turns"]) for one in measured.values()] == [1 for _ in names]
    assert all(any(line.startswith(f"{name} ") for line in printed.splitlines()) for name in names)
    assert list(files.iterdir()) == []

    for goal in content["goals"]:
        assert f"{goal['text']}: " in printed
        assert f"- {goal['text']}: " in written
        assert goal["kept"] is not None or goal["needs"].startswith("before")
    for chart in folder.glob("*.svg"):
        assert f"]({chart.name})" in written
        assert ElementTree.parse(chart).getroot().tag.endswith("svg")


def test_memory_and_rounds(tmp_path: Path) -> None:
    """
    The memory is told beside its bound; each server has as many turns as there are rounds.
    """
    figures = tmp_path / "figures.json"
    chosen = ("--only", "limit", "--only", "holdfast", "--workload", "one", "--workload", "memory")
    with bench(tmp_path, *chosen, "--quick", "--rounds", "2", "--json", str(figures)) as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 0, complaints

    turns = {name: one["turns"] for name, one in json.loads(figures.read_text())["workloads"]["one"].items()}

    assert "bound 150 MiB: kept" in printed
    assert {"limit": 2, "holdfast": 2} == {name: len(one) for name, one in turns.items()}


def test_server_by_command_and_by_url(tmp_path: Path) -> None:
    """
    Any server is measured by its command, or by its URL, where its CPU time is unknown without its process.
    """
    command = f"{sys.executable} {LIMIT} {{port}} {{dir}}"
    mine = ("--server", f"mine@/up={command}", "--only", "mine", "--quick", *SOME)
    with bench(tmp_path, *mine) as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 0, complaints
    assert "\nmine " in printed

    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with running_limit(uploads) as url:
        known = ("--url", f"running={url}", "--only", "running", "--quick", "--workload", "one")
        with bench(tmp_path, *known) as process:
            printed, complaints = process.communicate(timeout=20)
        (row,) = [line.split() for line in printed.splitlines() if line.startswith("running") and "http" not in line]

        assert process.returncode == 0, complaints
        assert (row[1], row[4]) == ("-", "-")
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
    with bench(tmp_path, "--only", "limit", "--workload", "one", "--size", "256MiB", "--rounds", "1000") as process:
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
    with bench(tmp_path, "--server", f"bad={failing}", "--only", "bad", "--quick", "--workload", "one") as process:
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
    lossy_server = ("--server", f"lossy={sys.executable} {lossy} {{port}} {{dir}}", "--only", "lossy")
    with bench(files, *lossy_server, "--quick", "--workload", "one") as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "lossy: 1024 bytes were sent, and the server has 1023" in complaints
    assert "CPU-s/GiB" not in printed


def test_what_fails_leaves_the_rest(tmp_path: Path) -> None:
    """
    A server that fails at one workload is told, and the next workload is measured all the same.
    """
    chosen = ("--server", f"mine={sys.executable} {LIMIT} {{port}} {{dir}}", "--only", "mine")
    with bench(tmp_path, *chosen, "--quick", "--workload", "one", "--workload", "download") as process:
        printed, complaints = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "bench: download: mine: " in complaints
    assert "one: one upload (4 MiB)" in printed


def test_too_many_slow_uploads(tmp_path: Path) -> None:
    """
    More connections than the system allows are refused before the first of them.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limited = ["/bin/sh", "-c", 'ulimit -n 512 && exec "$@"', "sh", sys.executable, "-m", "benchmarks", "--dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": SCRIPTS}
    done = subprocess.run(
        [*limited, "--quick", "--workload", "slow", "--slow", "300"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert most > 512
    assert done.returncode == 1
    assert "500 connections at once need 1100 descriptors, and the system allows 512: see ulimit -Hn" in done.stderr
