"""
No module is longer than what can be read at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = {"service": 350, "storage": 350, "tests": 400, "scripts": 400}
OURS = [path for top in LINES for path in sorted((ROOT / top).rglob("*.py")) if "node_modules" not in path.parts]


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in OURS])
def test_lines(name: str) -> None:
    """A module has 350 lines at most; of tests and scripts, 400."""
    assert LINES[name.partition("/")[0]] >= len((ROOT / name).read_text().splitlines())
