"""
Processes that are started, frozen and killed.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from servers import ports
from servers.ports import free_port
from servers.process import ROOT, Process, ServerError, living, wait_until
from servers.server import Server

SLEEP = ["sh", "-c", "sleep 100 & sleep 100"]


def sleeper(folder: Path) -> Process:
    """Return a process that has a child."""
    process = Process("sleeper", SLEEP, ready=lambda: sleeps(psutil.Process(process.pid)), log=folder / "log")
    return process


def sleeps(process: psutil.Process) -> bool:
    """Say whether both children are what they are going to be."""
    return ["sleep", "sleep"] == [child.name() for child in process.children()]


def test_lives(tmp_path: Path) -> None:
    """It ends with all that it started, by a kill or as it is asked to, frozen or not."""
    process = sleeper(tmp_path)
    with Server(process) as server:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        server.kill()
        ended = [living(family), process.runs]
        server.start()
        server.freeze()
        still = psutil.Process(process.pid).status()
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]

    assert [[], False] == ended
    assert psutil.STATUS_STOPPED == still
    assert [] == living(family)


def test_error_has_the_log(tmp_path: Path) -> None:
    """A server that does not start is told with what it said."""
    process = Process("bad", ["sh", "-c", "echo no; exit 3"], ready=lambda: False, log=tmp_path / "log")

    with pytest.raises(ServerError, match="bad ended with 3:\nno"):
        Server(process).start()


def test_not_there_in_time() -> None:
    """Whoever waits for what does not come is told what that was."""
    with pytest.raises(ServerError, match=r"the moon is blue: not within 0.01 s"):
        wait_until(lambda: False, "the moon is blue", 0.01)


def test_guard(tmp_path: Path) -> None:
    """Servers do not outlive one who is killed before it could end them."""
    script = f"""
        from pathlib import Path
        from servers.process import Process
        process = Process("sleeper", {SLEEP}, ready=lambda: True, log=Path({str(tmp_path)!r}) / "log")
        process.launch()
        print(process.pid, flush=True)
        input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={"PYTHONPATH": str(ROOT / "scripts")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None

        server = psutil.Process(int(starter.stdout.readline()))
        wait_until(lambda: sleeps(server), "it has children")
        family = [server, *server.children()]
        starter.kill()

    assert [] == living(family, within=5)


def test_ports() -> None:
    """No port is given twice."""
    given = [free_port() for _ in range(100)]

    assert 100 == len(set(given))
    assert set(given) <= set(ports.RANGE)


def test_range_of_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are of the range that the environment names, and when all are given there is none."""
    monkeypatch.setenv(ports.VARIABLE, "19990-19999")
    given = [free_port()]
    with suppress(RuntimeError):
        while True:
            given.append(free_port())
    with pytest.raises(RuntimeError, match="no port is free"):
        free_port()

    assert set(given) <= set(range(19990, 20000))
    assert len(given) == len(set(given))
