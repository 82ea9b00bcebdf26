"""
No module is longer than somebody reads at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = 400
MODULES = sorted(path for top in ("service", "storage", "tests", "scripts") for path in (ROOT / top).rglob("*.py"))
OURS = [path for path in MODULES if "node_modules" not in path.parts]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines(path: Path) -> None:
    """A module has 400 lines at most."""
    assert LINES >= len(path.read_text().splitlines())
