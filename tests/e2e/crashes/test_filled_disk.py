"""
A disk that is filled to its last byte, by others: what was stored can be fetched and deleted, and that makes room again.

Only a real disk gets full so: a small one is mounted, where the tests may do that.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from servers.holdfast import Holdfast
from servers.ports import serves
from tests.e2e.conftest import Serve
from tests.e2e.crashes.test_full_disk import may_mount
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Answer, Call, Wire

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0
PATIENCE = 20 * SECONDS


class SmallDisk:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def room(self) -> int:
        """How many bytes are free."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, room: int = 0) -> None:
        """Write what others keep there until only *room* is left."""
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while self.room > room:
                file.write(bytes(min(MiB, self.room - room)))

    def free(self) -> None:
        """Remove it again."""
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a disk of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "holdfast-test", folder], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def finished(server: Holdfast, name: str, size: int) -> Upload:
    """Return an upload that is complete."""
    upload = Upload(DIALECTS["tus"], photo(name, size))
    with Wire(server.port) as wire:
        assert upload.is_complete(upload.create(wire).append(wire, 0))
    return upload


def ask(server: Holdfast, method: str, target: str) -> Answer:
    """Return what the server answers to a request without content."""
    with Wire(server.port) as wire:
        return wire.ask(Call(method=method, target=target, fields={"tus-resumable": "1.0.0"}))


def fetch(server: Holdfast, upload: Upload) -> bool:
    """Say whether an upload can be fetched as it was sent."""
    with Wire(server.port) as wire:
        return sha256(upload.content) == sha256(upload.download(wire).content)


def create(server: Holdfast) -> int:
    """Return the status by which a creation is answered."""
    call, document = DIALECTS["tus"].create(10)
    with Wire(server.port) as wire:
        return wire.ask(call, document).status


def eventually(function: Callable[[], bool]) -> bool:
    """Say whether *function* says True in time."""
    until = time.monotonic() + PATIENCE
    while not function():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def launch(server: Holdfast) -> None:
    """Start a server that will not be ready, and wait until it serves."""
    server.process.launch()

    assert eventually(lambda: serves(server.port, "/healthz")), server.log()


def is_ready(server: Holdfast) -> bool:
    """Say whether the server says that it can store something."""
    return serves(server.port, "/readyz")


if may_mount():

    def test_a_filled_disk(disk: SmallDisk, serve: Serve) -> None:
        """
        DELETE frees, the sweeper frees, a restart serves, /readyz is 503 while nothing can be stored, and the log tells of it.
        """
        server = serve(data_dir=disk.folder / "data", idle_expiry=1)
        uploads = [finished(server, f"photo {number}", 2 * MiB) for number in range(3)]
        given_up = Upload(DIALECTS["tus"], photo("given up", 4 * MiB))
        with Wire(server.port) as wire:
            given_up.create(wire)
            given_up.append(wire, 0, 3 * MiB)
        disk.fill()
        full = disk.room
        status = create(server)
        assert eventually(lambda: not is_ready(server))
        ready = ask(server, "GET", "/readyz")
        print(f"{full} bytes are free: a creation is answered {status}, /readyz {ready.status} {ready.content.decode()}")
        assert (0, 507, 503) == (full, status, ready.status)
        assert all(fetch(server, upload) for upload in uploads)

        answer = ask(server, "DELETE", uploads[0].target)
        freed = disk.room
        gone = ask(server, "GET", uploads[0].target)
        print(f"DELETE of 2 MiB is answered {answer.status}; {freed} bytes are free; GET is answered {gone.status}")
        assert 204 == answer.status
        assert gone.status in (404, 410)
        assert freed > MiB
        assert eventually(lambda: is_ready(server))
        print(f"there is room again: /readyz is answered {ask(server, 'GET', '/readyz').status}, a creation {create(server)}")

        server.process.stop()
        disk.fill()
        full = disk.room
        launch(server)
        served, status = fetch(server, uploads[1]), create(server)
        print(f"{full} bytes are free: it starts, serves what it has: {served}, and answers a creation {status}")
        assert (0, True) == (full, served)
        path = disk.folder / "data" / "uploads" / given_up.target[-10:][:2] / given_up.target[-10:]
        assert eventually(lambda: not path.exists())
        freed = disk.room
        gone = ask(server, "HEAD", given_up.target)
        print(f"the sweeper has deleted what nobody went on with: {freed} bytes are free; HEAD is answered {gone.status}")
        assert freed > MiB
        assert gone.status in (404, 410)

        disk.fill()
        create(server)
        assert eventually(lambda: not is_ready(server))
        disk.free()
        assert eventually(lambda: is_ready(server))
        print(f"others made room: /readyz is answered {ask(server, 'GET', '/readyz').status}, a creation {create(server)}")
        told = [line for line in server.log().splitlines() if " has " in line and "room" in line]
        print("\n".join(told))
        assert any("has no room: " in line for line in told)
        assert any("has room again, after" in line for line in told)
        # Requests and probes met it many times.
        assert len(told) <= 12

    def test_every_deletion_of_a_filled_disk_gets_through(disk: SmallDisk, serve: Serve) -> None:
        """
        Others take what each deletion frees, and the next one frees all the same.
        """
        server = serve(data_dir=disk.folder / "data", workers=2)
        uploads = [finished(server, f"photo {number}", 64 * KiB) for number in range(150)]
        statuses = []
        for upload in uploads:
            disk.fill()
            statuses.append(ask(server, "DELETE", upload.target).status)

        assert [204] * len(uploads) == statuses

    @pytest.mark.content_path
    def test_too_little_room_keeps_what_fits(disk: SmallDisk, serve: Serve) -> None:
        """
        Content of a known length that does not fit is taken as far as there is room, and goes on from there.
        """
        server = serve(data_dir=disk.folder / "data")
        upload = Upload(DIALECTS["tus"], photo("large", 12 * MiB))
        with Wire(server.port) as wire:
            upload.create(wire)
            disk.fill(6 * MiB)
            answer = upload.append(wire, 0)
        with Wire(server.port) as wire:
            question = upload.question(wire)
        print(f"12 MiB into 6: {answer.status}, {answer.offset} bytes are acknowledged, HEAD says {question.offset}")

        assert (507, answer.offset) == (answer.status, question.offset)
        assert 5 * MiB < answer.offset <= 6 * MiB
        disk.free()
        with Wire(server.port) as wire:
            assert upload.is_complete(upload.append(wire, question.offset))
        assert fetch(server, upload)
