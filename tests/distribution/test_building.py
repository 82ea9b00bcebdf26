"""
What a release holds, and what is noticed when it lacks something.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distribution.building import BESIDE, NOT_COPIED, PACKAGES, DistributionError, build
from servers.process import ROOT

SPOILED = {
    "a wheel without its Lua scripts": (
        "pyproject.toml",
        '"holdfast.storage.redis" = ["lua/*.lua"]',
        "",
        "the wheel lacks .*commit.lua",
    ),
    "a wheel with documents": (
        "pyproject.toml",
        '"holdfast.service" = ["py.typed"]',
        '"holdfast.service" = ["py.typed", "**/*.md"]',
        "the wheel lacks nothing and has .*README.md",
    ),
    "a version that no section is about": ("CHANGELOG.md", "## [", "## [9", "CHANGELOG.md has no section"),
}


@pytest.mark.parametrize(("name", "text", "instead", "said"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_missing_is_noticed(tmp_path: Path, name: str, text: str, instead: str, said: str) -> None:
    """A release that lacks something is refused, and the message says what."""
    for top in PACKAGES:
        shutil.copytree(ROOT / top, tmp_path / "root" / top, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for top in ("tests", "deploy", "scripts"):
        (tmp_path / "root" / top).mkdir()
    for each in (*BESIDE, "README.md", "CHANGELOG.md"):
        shutil.copy2(ROOT / each, tmp_path / "root")
    spoiled = tmp_path / "root" / name
    assert text in spoiled.read_text()
    spoiled.write_text(spoiled.read_text().replace(text, instead))

    with pytest.raises(DistributionError, match=said):
        build(tmp_path / "root", tmp_path / "work", tmp_path / "dist")
