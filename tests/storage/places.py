"""
Where a test keeps what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of the test's own; or a server, that is started when it is asked for by the name of its fixture."""

    folder: Path
    ask: Callable[[str], Any]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return where the test keeps what it keeps."""
    return Place(tmp_path, request.getfixturevalue)
