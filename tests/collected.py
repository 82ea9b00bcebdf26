"""
What pytest would run, told by a pytest of its own that runs nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOLD = "HOLDFAST_TESTS_COLLECTED"
"""The file that the other pytest writes to."""
NOT_RUN = {"skip", "skipif", "xfail"}


def collected(files: Sequence[str], folder: Path) -> Mapping[str, bool]:
    """
    Return the tests in *files*, as pytest names them (``tests/…::test_…[row]``), and of each whether it runs for sure.

    :raises RuntimeError: a file cannot be collected.
    """
    told = folder / "collected.json"
    # Of the run that this is a part of nothing is handed on: neither its options nor its place among other processes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", __name__, *files],
        cwd=ROOT,
        env={**environment, TOLD: str(told)},
        capture_output=True,
        check=False,
        text=True,
    )
    if ended.returncode:
        raise RuntimeError(f"pytest collects no tests:\n{ended.stdout}{ended.stderr}")
    found: Mapping[str, bool] = json.loads(told.read_text())
    return found


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell what was collected, in the other pytest."""
    if path := os.environ.get(TOLD):
        runs = {item.nodeid: not NOT_RUN & {mark.name for mark in item.iter_markers()} for item in session.items}
        Path(path).write_text(json.dumps(runs))
