"""
What is asked of the file system.
"""

from __future__ import annotations

import os
from pathlib import Path

from storage import files


def test_a_way_to_the_disk_is_begun(tmp_path: Path) -> None:
    """The system takes it for a file, and a descriptor of something else is no error."""
    with (tmp_path / "kelp").open("wb") as file:
        file.write(b"kelp" * 1024)
        file.flush()
        assert files.begin_sync(file.fileno(), 1024, 2048)
    receiver, sender = os.pipe()
    assert not files.begin_sync(sender, 0, 1)
    os.close(receiver)
    os.close(sender)
