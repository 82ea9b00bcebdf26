"""
There is no room for more: nothing that was stored is lost, and the upload goes on when there is room again.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Answer, Wire

KiB = 1024
MiB = 1024 * KiB
CAP_SYS_ADMIN = 1 << 21


def may_mount() -> bool:
    """
    Say whether this process may mount a file system.
    """
    effective = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    return os.geteuid() == 0 and bool(int(effective.split()[1], 16) & CAP_SYS_ADMIN)


class Disk(Protocol):
    """Something that gets full."""

    def fill(self, server: Holdfast, room: int) -> None:
        """
        Leave room for *room* bytes of an upload.
        """
        ...

    def free(self, server: Holdfast) -> None:
        """
        Make room again.
        """
        ...


class FileSizeLimit:
    """No file may grow beyond a size (RLIMIT_FSIZE)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, server: Holdfast, room: int) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    def free(self, server: Holdfast) -> None:
        server.restart()


class SmallDisk:
    """A file system of its own in memory, with records and content on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, server: Holdfast, room: int) -> None:
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        self._ballast.write_bytes(bytes(free - room))

    def free(self, server: Holdfast) -> None:
        self._ballast.unlink()


@pytest.fixture(params=["limit", *(["mount"] if may_mount() else [])])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Return a disk that gets full by a limit of the process and, where the test may mount one, a real small one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        yield FileSizeLimit(folder)
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "holdfast-test", folder], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server(disk: FileSizeLimit | SmallDisk, serve: Serve) -> Holdfast:
    """Return a server on that disk."""
    return serve(data_dir=disk.folder / "data")


def _ends_well(server: Holdfast, upload: Upload, answer: Answer) -> bool:
    """Say whether the upload can be resumed where *answer* says, and has the right bytes then."""
    with Wire(server.port) as wire:
        question = upload.question(wire)

        assert answer.offset <= question.offset
        assert upload.is_complete(upload.append(wire, question.offset))
        return sha256(upload.content) == sha256(upload.download(wire).content)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_known_length(disk: Disk, server: Holdfast, dialect: str) -> None:
    """
    Content that is known not to fit is refused before any of it is read, and can come when there is room.
    """
    upload = Upload(DIALECTS[dialect], photo(dialect, 16 * MiB))
    with Wire(server.port) as wire:
        upload.create(wire)
        disk.fill(server, 8 * MiB)
        wire.send(upload.head(0, expect="100-continue"))
        answer = wire.answer()

    assert (507, 0, ()) == (answer.status, answer.offset, answer.interim)
    disk.free(server)
    assert _ends_well(server, upload, answer)


@pytest.mark.content_path
@pytest.mark.parametrize("dialect", DIALECTS)
def test_full_in_the_middle(disk: Disk, server: Holdfast, dialect: str) -> None:
    """
    When the disk gets full in the middle of content, what was stored is kept, and the client hears how much that is.
    """
    upload = Upload(DIALECTS[dialect], photo(dialect, 12 * MiB))
    with Wire(server.port) as wire:
        upload.create(wire)
        wire.send(upload.head(0, expect="100-continue"))
        wire.answer(until=100)  # there was room when it began
        disk.fill(server, 6 * MiB)
        with suppress(ConnectionError):
            wire.send(upload.content)
        answer = wire.answer()
    print(f"{dialect}: {answer.status}, {answer.offset} of {upload.length} bytes kept")

    assert 507 == answer.status
    assert 0 < answer.offset <= 6 * MiB
    disk.free(server)
    assert _ends_well(server, upload, answer)


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
def test_full_after_acknowledged_bytes(disk: Disk, server: Holdfast, dialect: str) -> None:
    """
    Bytes of a deferred length that were acknowledged before the disk got full are there afterwards, and so is every other upload.
    """
    upload = Upload(DIALECTS[dialect], photo(dialect, 12 * MiB))
    finished = Upload(DIALECTS[dialect], photo("finished", 2 * MiB))
    with Wire(server.port) as wire:
        assert finished.is_complete(finished.create(wire).append(wire, 0))
        upload.create(wire, deferred=True)
        first = upload.append(wire, 0, 4 * MiB)
        disk.fill(server, 6 * MiB)
        answer = upload.append(wire, first.offset, 7 * MiB)
    with Wire(server.port) as wire:
        question = upload.question(wire)
        download = finished.download(wire)
    print(f"{dialect}: {answer.status}, {question.offset} of {upload.length} bytes kept")

    assert (4 * MiB, 507) == (first.offset, answer.status)
    assert 4 * MiB < answer.offset == question.offset
    assert sha256(finished.content) == sha256(download.content)
    disk.free(server)
    with Wire(server.port) as wire:
        answer = upload.append(wire, upload.question(wire).offset, more={"upload-length": str(upload.length)})

        assert upload.is_complete(answer)
        assert sha256(upload.content) == sha256(upload.download(wire).content)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_room_for_a_record(disk: Disk, server: Holdfast, dialect: str) -> None:
    """
    With no room at all nothing new begins, what is complete can be fetched, and all goes on when there is room again.
    """
    finished = Upload(DIALECTS[dialect], photo("finished", 100 * KiB))
    with Wire(server.port) as wire:
        assert finished.is_complete(finished.create(wire).append(wire, 0))
        disk.fill(server, 0)
        call, document = finished.dialect.create(10)
        answer = wire.ask(call, document)
    with Wire(server.port) as wire:
        download = finished.download(wire)
    print(f"{dialect}: a creation is answered with {answer.status}")

    assert answer.status in (503, 507)
    assert sha256(finished.content) == sha256(download.content)
    disk.free(server)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo("after", 100 * KiB)).create(wire)

        assert upload.is_complete(upload.append(wire, 0))
