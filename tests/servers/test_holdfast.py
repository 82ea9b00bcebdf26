"""
The service as a process, started by its command or forked from one that has imported it.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from servers.holdfast import Holdfast
from servers.process import ServerError, living
from servers.stores.redis import RedisServer


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Holdfast]]:
    """Return what makes a server; it ends with the test."""
    made: list[Holdfast] = []

    def one(*, forked: bool, **settings: object) -> Holdfast:
        made.append(Holdfast(tmp_path / f"data-{len(made)}", settings, forked=forked))
        return made[-1]

    yield one
    for server in made:
        server.kill()


@pytest.mark.parametrize("forked", [True, False])
def test_lives(make: Callable[..., Holdfast], *, forked: bool) -> None:
    """It serves, with workers of its own; it ends as it is asked to or killed, with all of them, and serves again."""
    server = make(forked=forked, workers=2, log_level="warning").start()
    family = [psutil.Process(server.pid), *server.workers()]
    alive = httpx.get(f"{server.url}/healthz").status_code
    server.terminate()
    ended = server.wait(10), living(family, within=5)
    server.start()
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(0.01)
    family = [psutil.Process(server.pid), *server.workers()]
    server.kill()
    killed = server.wait(10), living(family)

    assert 3 == len(family)
    assert 200 == alive
    assert (0, []) == ended
    assert (-signal.SIGKILL, []) == killed
    assert 2 == server.log().count(f"Holdfast serves {server.url}/files")


@pytest.mark.parametrize("forked", [True, False])
def test_settings_that_mean_nothing(make: Callable[..., Holdfast], *, forked: bool) -> None:
    """A start that cannot succeed ends with what it says; the environment of one is not that of the next."""
    with pytest.raises(ServerError, match=r"ended with 2:\n.*HOLDFAST_DURABILITY"):
        make(forked=forked, durability="maybe").start()

    assert 200 == httpx.get(f"{make(forked=forked).start().url}/readyz").status_code


@pytest.mark.parametrize("forked", [True, False])
def test_redis(make: Callable[..., Holdfast], redis_server: RedisServer, *, forked: bool) -> None:
    """What is imported when it is needed is the same in both."""
    server = make(forked=forked, metadata_url=redis_server.url).start()

    assert "ok" == httpx.get(f"{server.url}/readyz").json()["stores"]["metadata"]
