"""
Little room, for the stores that keep something in files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.processes import Room, may_mount, small_disk

# A limit on the size of files may be set by everybody; a small disk is tried as well wherever mounting is permitted.
ROOMS = ("limit", "disk") if may_mount() else ("limit",)


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Return every kind of little room, in the folder ``data`` of the test."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return Room(under=small_disk(folder), limit=0) if request.param == "disk" else Room(under=(), limit=700_001)
