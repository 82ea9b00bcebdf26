"""
The worlds in which uploads are tested.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.core.worlds import WORLDS, World


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Return a world of every kind."""
    world = WORLDS[request.param](tmp_path)
    yield world
    await world.close()
