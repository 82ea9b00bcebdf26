"""
What is asked of the file system.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.storage import files


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


def test_a_block_that_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it is given: the rest is written behind that, and nothing twice."""
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, block, offset: write(descriptor, block[:3], offset))
    path = tmp_path / "kelp"
    path.write_bytes(b"0123456789")
    descriptor = os.open(path, os.O_RDWR)
    files.write(descriptor, memoryview(b"holdfast"), 1)
    os.close(descriptor)

    assert b"0holdfast9" == path.read_bytes()
