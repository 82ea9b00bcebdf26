"""
What every end-to-end test needs: servers that are gone when it ends.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from servers.holdfast import Holdfast


class Serve(Protocol):
    """Starts a server; several may share a data directory."""

    def __call__(self, data_dir: Path | None = None, **settings: object) -> Holdfast: ...


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """
    Return a folder that is empty again at once, and not after some runs of pytest: the files here are large.
    """
    path = tmp_path / "files"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_server(request: pytest.FixtureRequest, folder: Path, handoff: str) -> Iterator[Callable[..., Holdfast]]:
    """
    Return a function that makes servers without starting them; none of them may have stumbled when the test ends.
    """
    made: list[Holdfast] = []
    forked = request.node.get_closest_marker("real_command") is None

    def make(data_dir: Path | None = None, before: Sequence[str] = (), **settings: object) -> Holdfast:
        server = Holdfast(data_dir or folder / "data", {"handoff": handoff, **settings}, forked=forked, before=before)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
    logs = [server.log() for server in made]

    assert [] == [log for log in logs if "Traceback" in log]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Repeat the tests that depend on the path of content.
    """
    if metafunc.definition.get_closest_marker("content_path"):
        given = metafunc.config.getoption("handoff")
        metafunc.parametrize("handoff", [given] if given else ["on", "off"])


@pytest.fixture
def handoff(request: pytest.FixtureRequest) -> str:
    """
    Return how content is received: as ``--handoff`` says; tests marked ``content_path`` are given both.
    """
    return request.config.getoption("handoff") or "on"


@pytest.fixture
def serve(make_server: Callable[..., Holdfast]) -> Serve:
    """
    Return a function that starts servers.
    """
    return lambda data_dir=None, **settings: make_server(data_dir, **settings).start()
