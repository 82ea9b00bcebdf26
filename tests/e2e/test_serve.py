"""
The command that everybody begins with: ``scripts/serve``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from servers.holdfast import Holdfast
from servers.ports import free_port, serves
from servers.process import ROOT

SECONDS = 1.0
SCRIPT = ROOT / "scripts" / "serve"


def _environment(data_dir: Path, port: int, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, "HOLDFAST_DATA_DIR": str(data_dir), "HOLDFAST_PORT": str(port), **settings}


@contextmanager
def _served(data_dir: Path, log: Path, within: float) -> Iterator[tuple[str, float]]:
    """Run the script until it is ready; yield what it prints, and how long that took (seconds)."""
    port = free_port()
    begin = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen([SCRIPT], cwd=data_dir.parent, env=_environment(data_dir, port), stdout=output, stderr=output)
    try:
        while not serves(port, "/readyz"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - begin < within, log.read_text()
            time.sleep(0.005)
        taken = time.monotonic() - begin
        yield log.read_text(), taken
        process.terminate()

        assert 0 == process.wait(10), log.read_text()
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.timeout(600)
@pytest.mark.alone("it measures how long a start takes")
def test_second_start(folder: Path) -> None:
    """
    The second start takes less than two seconds, tells the address, and shows an example that works when it is pasted.
    """
    with _served(folder / "data", folder / "first.log", within=500 * SECONDS) as (_, first):
        pass
    with _served(folder / "data", folder / "second.log", within=20 * SECONDS) as (text, second):
        example = text[text.index("  location=") :]
        pasted = subprocess.run(["sh"], input=example, capture_output=True, text=True, timeout=20, check=False)
    print(f"ready after {first:.2f} s, and the second time after {second:.2f} s")

    assert second < 2 * SECONDS
    assert text.startswith("Holdfast serves http://127.0.0.1:")
    assert (0, "Hello, Holdfast!\n", "") == (pasted.returncode, pasted.stdout, pasted.stderr)


def _refused(data_dir: Path, port: int, *arguments: str, **settings: str) -> str:
    """Return what a start that cannot succeed has to say."""
    done = subprocess.run(
        [SCRIPT, *arguments],
        cwd=data_dir.parent,
        env=_environment(data_dir, port, **settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout), done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_not_loopback(folder: Path) -> None:
    """
    Without accounts the service does not listen where others could reach it, and says why.
    """
    said = _refused(folder / "data", free_port(), HOLDFAST_HOST="0.0.0.0")
    also = _refused(folder / "data", free_port(), "--host", "0.0.0.0")
    print(said)

    assert "HOLDFAST_HOST=0.0.0.0 is not a loopback address" in said
    assert "HOLDFAST_HOST=0.0.0.0 is not a loopback address" in also


def test_port_in_use(folder: Path) -> None:
    """
    A port that somebody else has is named in the refusal.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        said = _refused(folder / "data", port)
    print(said)

    assert "in use" in said
    assert str(port) in said


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_nobody_keeps_records(folder: Path, scheme: str) -> None:
    """
    A Redis that is not there is told of before anybody is told that the service is here.
    """
    nobody = free_port()
    said = _refused(folder / "data", free_port(), HOLDFAST_METADATA_URL=f"{scheme}://127.0.0.1:{nobody}")
    print(said)

    assert f"127.0.0.1:{nobody}" in said


def test_folder_that_cannot_be_written(folder: Path) -> None:
    """
    A data directory that cannot be one is named in the refusal.
    """
    (folder / "data").write_text("a file in the place of the folder")
    said = _refused(folder / "data", free_port())
    print(said)

    assert str(folder / "data") in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("WORKERS", "0"), ("DURABILITY", "maybe"), ("AUTH", "jwt"), ("METADATA_URL", "postgres:")],
)
def test_setting_that_means_nothing(folder: Path, name: str, value: str) -> None:
    """
    A setting that cannot be served with is named in the refusal.
    """
    said = _refused(folder / "data", free_port(), **{f"HOLDFAST_{name}": value})
    print(said)

    assert f"HOLDFAST_{name}" in said


@pytest.mark.real_command
def test_health(make_server: Callable[..., Holdfast]) -> None:
    """
    A process that serves says that it lives and that each of its stores answers.
    """
    server = make_server().start()
    alive, ready = (httpx.get(f"{server.url}/{path}") for path in ("healthz", "readyz"))
    print(f"ready after {server.started_in:.2f} s")

    assert (200, 200) == (alive.status_code, ready.status_code)
    assert {"bytes": "ok", "metadata": "ok", "leases": "ok"} == ready.json()["stores"]
