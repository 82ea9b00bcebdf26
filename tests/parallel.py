"""
Several processes run the tests at once: what belongs to one of them, and the tests that have to be alone.

Theory of operation: a fixture of a session, a folder and what a fixture starts belong to one process by themselves.  Ports do
not, so each process takes those of a range of its own.  A test marked ``alone`` is left out of such a run: scripts/test runs
those afterwards, in one process.
"""

from __future__ import annotations

import os

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Leave out the tests that have to be alone where others run beside them: scripts/test runs them afterwards.

    :raises pytest.UsageError: one of them does not say why.
    """
    alone = [item for item in items if item.get_closest_marker("alone") is not None]
    for item in alone:
        marker = item.get_closest_marker("alone")
        if marker and not (len(marker.args) == 1 and isinstance(marker.args[0], str)):
            raise pytest.UsageError(f'{item.nodeid} is marked alone without a reason: write alone("why")')
    if WORKER and alone:
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in set(alone)]
