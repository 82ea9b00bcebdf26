"""
The command ``scripts/cluster``, as users type it.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from servers.control import LONE_VERBS, VERBS
from servers.ports import free_port, listens
from servers.process import wait_until
from tests.servers.commands import cluster, ended, tell


@pytest.mark.slow
def test_whole_life(disk: Path) -> None:
    """
    It says where it is and what to try; its parts are broken from another terminal; Ctrl-C ends all, and what was kept is kept.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with cluster(disk, "--nodes", "2", "--port", str(port)) as (process, log):
        said = log.read_text()
        example = said[said.index("  location=") :].split("\n\n")[0] + '; echo "$location"'
        hello, location = subprocess.run(["sh", "-c", example], capture_output=True, text=True, check=True).stdout.split("\n")[:2]
        states = tell(disk, "status")[1]
        done = [tell(disk, "kill", "1")]
        without = httpx.get(location, timeout=30).text
        away = tell(disk, "status")[1]
        done += [tell(disk, "start", "1"), tell(disk, "freeze", "2")]
        frozen = tell(disk, "status")[1]
        done += [tell(disk, "thaw", "2"), tell(disk, "restart", "s3", "nodes", "redis")]
        failover = tell(disk, "failover")
        refused = [tell(disk, "kill", "3"), tell(disk, "kill"), tell(disk)]
        again = httpx.get(location, timeout=30).text
        process.send_signal(signal.SIGINT)
        code = ended(process, log)
    with cluster(disk, "--port", str(port)):
        kept = httpx.get(location, timeout=30).text

    assert f"Holdfast serves {url}/files" in said
    assert "Hello, Holdfast!" == hello
    assert location.startswith(f"{url}/files/")
    assert 12 == len(re.findall(r" runs ", states)), states
    assert [0] * 5 == [code for code, _ in done], done
    assert re.search(r"^1 +is away +Holdfast, http", away, re.MULTILINE), away
    assert re.search(r"^2 +is frozen", frozen, re.MULTILINE), frozen
    assert 0 == failover[0], failover
    assert re.match(r"redis-[01] is the primary now", failover[1]), failover
    assert [1, 1, 1] == [code for code, _ in refused]
    assert "there is no 3" in refused[0][1]
    assert "runs in" in refused[2][1]
    assert ["Hello, Holdfast!\n"] * 3 == [without, again, kept]
    assert 130 == code
    assert not listens(port)


@pytest.mark.parametrize("verb", [*VERBS, *LONE_VERBS])
def test_each_verb_tells_what_it_does(disk: Path, verb: str) -> None:
    """Whoever asks for help with a verb is told what it does, and what can be said of it."""
    code, said = tell(disk, verb, "--help")
    does = {**VERBS, **LONE_VERBS}[verb]

    assert 0 == code
    assert does[1:] in " ".join(said.split())
    assert (verb in VERBS) == ("[name ...]" in said)


@pytest.mark.parametrize(
    "words", [("kill", "1"), ("status",), ("--data", "elsewhere", "kill", "1"), ("status", "--data", "elsewhere")]
)
def test_nobody_there(disk: Path, words: tuple[str, ...]) -> None:
    """Where no cluster runs there is nobody to tell."""
    code, said = tell(disk, *words)

    assert (1, True) == (code, said.startswith("no cluster runs in ")), said
    assert ("elsewhere" in words) == ("elsewhere" in said)


def test_parts_end_with_it(disk: Path) -> None:
    """A cluster that is killed leaves nothing behind."""
    port = free_port()
    with cluster(disk, "--nodes", "1", "--port", str(port)) as (process, _):
        process.kill()
        process.wait(10)
        wait_until(lambda: not listens(port) and not listens(port + 1), "everything has ended", 10)
