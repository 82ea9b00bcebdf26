"""
Hostile clients do not stop others: a short run with bounds that a busy machine keeps.  `tests.e2e.hostile.hostile_load` judges
strictly.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.hostile.hostile_load import measure

MiB = 1024 * 1024
SECONDS = 1.0


@pytest.mark.alone("it measures times")
def test_others_are_served(folder: Path) -> None:
    """
    Undos, unread renditions, hostile images, small uploads and default pictures leave time and memory for others.
    """
    noticed = measure(folder, 10 * SECONDS, attachments=100)
    print(noticed)

    assert noticed.is_within(health=1 * SECONDS, photo=20 * SECONDS, memory=1000 * MiB), str(noticed)
