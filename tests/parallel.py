"""
Several processes run the tests at once: what belongs to one of them, and the tests that have to be alone.

Theory of operation: a fixture of a session, a folder and whatever a fixture starts belong to one process by themselves.  Ports do
not, so each process takes those of a range of its own.  A test marked ``alone`` holds one lock of the whole run exclusively, all
others share it.  Those come first: then no other process has begun, and nobody has to wait for a long test to end.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest

from servers import ports

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""``gw0``, ``gw1``, … in a process of pytest-xdist; empty where one process runs all tests."""
REPLACEMENTS = 4
"""So many processes that crashed may be replaced, and the new ones have ports too."""

if WORKER:
    number, count = int(WORKER.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) + REPLACEMENTS
    each = len(ports.RANGE) // count
    first = ports.RANGE.start + number % count * each
    os.environ[ports.VARIABLE] = f"{first}-{first + each - 1}"


class Turns:
    """The lock of one run; a process has it once, in one way."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab")
        self._alone = False

    def take(self, *, alone: bool) -> None:
        """Wait until no test runs that must not run beside the next one."""
        if not (alone and self._alone):
            fcntl.flock(self._file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            self._alone = alone

    def give(self) -> None:
        """Let the others go on."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._alone = False

    def close(self) -> None:
        """Take part no longer."""
        self._file.close()


TURNS = pytest.StashKey[Turns]()


def is_alone(item: pytest.Item | None) -> bool:
    """Say whether *item* has to run while no other test does."""
    return item is not None and item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the lock of this run: it lies beside the folders of all processes, and is removed with them."""
    if WORKER:
        config.stash[TURNS] = Turns(Path(config.getoption("basetemp")).with_name("turns.lock"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave it."""
    if turns := config.stash.get(TURNS, None):
        turns.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Begin with the tests that have to be alone.

    :raises pytest.UsageError: one of them does not say why.
    """
    for item in items:
        marker = item.get_closest_marker("alone")
        if marker and not (len(marker.args) == 1 and isinstance(marker.args[0], str)):
            raise pytest.UsageError(f'{item.nodeid} is marked alone without a reason: write alone("why")')
    items.sort(key=lambda item: not is_alone(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Run *item* in its turn; the clock of its timeout does not run while it waits."""
    turns = item.config.stash.get(TURNS, None)
    if turns is None:
        return (yield)
    turns.take(alone=is_alone(item))
    try:
        return (yield)
    finally:
        if not (is_alone(item) and is_alone(nextitem)):
            turns.give()
