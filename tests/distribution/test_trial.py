"""
The wheel as users have it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from distribution.building import build
from distribution.trial import NAMES, install, neighbours, try_out
from servers.process import ROOT


@pytest.mark.slow
def test_the_wheel_serves_beside_a_users_own_packages(tmp_path: Path) -> None:
    """
    Where a user has packages called service and storage, in the environment and in the folder, the command and the module serve
    with two processes and take an upload, and the packages stay the user's.
    """
    made = build(ROOT, tmp_path / "work", tmp_path / "dist")
    python = install(made.wheel, tmp_path / "environment", borrow=True)
    try_out(made, python, tmp_path / "user")

    assert {made.source, made.wheel} == set((tmp_path / "dist").iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("importer", "refused"), [("holdfast.service.app", True), ("the_users_own", False)])
def test_the_packages_notice_who_imports_them(tmp_path: Path, name: str, importer: str, refused: bool) -> None:
    """The packages of the trial refuse holdfast, so that it would be noticed, and nothing else."""
    neighbours(tmp_path)
    code = f"exec('import {name}', {{'__name__': '{importer}'}})"
    done = subprocess.run(["python3", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert refused is ("ImportError: holdfast imports" in done.stderr)
    assert refused is bool(done.returncode)
