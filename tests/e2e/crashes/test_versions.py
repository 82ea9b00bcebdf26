"""
This version and an older one serve the same stores during an upgrade, in turn and at the same time: nothing is lost.

The older one is the commit before metadata stores had one write and records kept unknown members.  Its source is taken from the
history of this repository, so a shallow clone fails here (``git fetch --unshallow`` mends it).
"""

from __future__ import annotations

import io
import itertools
import random
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from servers.holdfast import Holdfast
from servers.stores.redis import RedisServer
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Answer, Cut, Wire
from tests.pictures import PNG

OLDER = "38cb289"
ROOT = Path(__file__).parents[3]
KiB = 1024
STEP = 100 * KiB
USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
SLOT = f"/api/v1/objects/user/{USER}/slots/ProfilePhoto"
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}

pytestmark = [pytest.mark.slow, pytest.mark.real_command]


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the older version's packages, as top-level ``service`` and ``storage``."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", OLDER, "service", "storage"],
        capture_output=True,
        check=False,
    )
    assert 0 == archive.returncode, f"the history of the repository is needed: {archive.stderr.decode()}"
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(params=["sqlite", "redis"])
def settings(request: pytest.FixtureRequest, folder: Path) -> Iterator[dict[str, object]]:
    """Return the settings of both versions: one data folder, and one store of records."""
    if request.param == "sqlite":
        yield {}
        return
    with RedisServer(folder / "redis", append_only=False) as server:
        yield {"metadata_url": server.url}


@pytest.fixture
def versions(folder: Path, older: Path, settings: dict[str, object]) -> Iterator[tuple[Holdfast, Holdfast]]:
    """Return servers of the older version and of this one, which are not started yet."""
    environment = {"PYTHONPATH": str(older), "PYTHONSAFEPATH": "1"}
    old = Holdfast(folder / "data", settings, name="older", module="service", environment=environment)
    new = Holdfast(folder / "data", settings, name="newer")
    yield old, new
    for server in (old, new):
        server.kill()

    assert [] == [server.log() for server in (old, new) if "Traceback" in server.log()]


def check(answer: Answer) -> Answer:
    """Return an answer that is no failure of the server."""
    assert answer.status < 500, answer
    return answer


def begun(server: Holdfast) -> list[Upload]:
    """Begin an upload in every dialect, of four steps."""
    with Wire(server.port) as wire:
        return [Upload(dialect, photo(name, 4 * STEP)).create(wire) for name, dialect in DIALECTS.items()]


def advance(server: Holdfast, uploads: Sequence[Upload]) -> None:
    """Ask for the offset of each upload, and append the next step."""
    for upload in uploads:
        with Wire(server.port) as wire:
            offset = check(upload.question(wire)).offset
            answer = check(upload.append(wire, offset, STEP))
            # The attachments API tells the last byte of an incomplete upload in a field of its own, so the offset is asked for.
            assert offset + STEP == (upload.length if upload.is_complete(answer) else check(upload.question(wire)).offset)


def picture(client: httpx.Client) -> str:
    """Upload a picture in one request, and return its key."""
    made = client.post("/files", headers={**TUS, "Upload-Length": str(len(PNG))}, content=PNG).raise_for_status()
    return made.headers["Location"].rpartition("/")[2]


def attach(client: httpx.Client, key: str) -> int:
    """Make *key* the photo of the user."""
    where = f"/.api2/api/v1/communities/1/attachments/{key}/association/{USER}?type=ProfilePhoto"
    return client.post(where).status_code


def history(client: httpx.Client) -> list[str]:
    """Play the events of the tenant over, and return the attachments that were in the slot, one after the other."""
    current, were, after = None, [], ""
    while True:
        page = client.get("/api/v1/events", params={"after": after} if after else {}).raise_for_status().json()
        for event in page["items"]:
            match event["type"]:
                case "attachment.attached":
                    assert current is None
                    current = event["attachment"]
                    were.append(current)
                case "attachment.detached":
                    assert event["attachment"] == current
                    current = None
        if not page["more"]:
            return were
        after = page["next"]


def check_all(server: Holdfast, uploads: Sequence[Upload], attached: Sequence[str]) -> None:
    """Every upload is whole, and the slot and its events tell the same of what was attached."""
    with Wire(server.port) as wire:
        assert [sha256(upload.content) for upload in uploads] == [sha256(upload.download(wire).content) for upload in uploads]
    with httpx.Client(base_url=server.url) as client:
        slot = client.get(SLOT).raise_for_status().json()
        were = history(client)

        assert sorted(attached) == sorted(were)
        assert [were[-1]] == [each["key"] for each in slot["attachments"]]


def test_in_turn(versions: tuple[Holdfast, Holdfast]) -> None:
    """
    Each version goes on with what the other one left in the middle of uploads, however it ended.
    """
    uploads: list[Upload] = []
    attached: list[str] = []
    for turn, server in enumerate(itertools.islice(itertools.cycle(versions), 5)):
        server.start()
        with httpx.Client(base_url=server.url) as client:
            if turn == 0:
                uploads = begun(server)
                client.put(f"/api/v1/objects/user/{USER}", json={}).raise_for_status()
            else:
                advance(server, uploads)
            attached.append(picture(client))

            assert 200 == attach(client, attached[-1])
            assert attached == history(client)
        if turn % 2:
            server.kill()
        elif turn < 4:
            server.terminate()

            assert 0 == server.wait(20)
    check_all(versions[0], uploads, attached)


def _fight(servers: Sequence[Holdfast], upload: Upload, seed: int) -> int:
    """Resume *upload* until it is complete, each time by a server that chance names; return the greatest status."""
    luck, statuses = random.Random(seed), [0]
    for _ in range(200):
        with Wire(luck.choice(servers).port) as wire:
            answer = upload.question(wire)
            statuses.append(answer.status)
            if answer.status < 300 and answer.offset == upload.length:
                return max(statuses)
            if answer.status >= 300:
                continue
            try:
                wire.send(upload.head(answer.offset))
                for at in range(answer.offset, min(answer.offset + STEP, upload.length), 16 * KiB):
                    wire.send(upload.content[at : at + 16 * KiB])
                if luck.random() < 0.5 and answer.offset + STEP < upload.length:
                    continue  # the client loses its connection
                if answer.offset + STEP >= upload.length:
                    statuses.append(wire.answer().status)
            except (Cut, ConnectionError):
                continue  # evicted by the other client, who asked the other version
    raise TimeoutError(f"{upload} did not come to its end")


def test_at_the_same_time(versions: tuple[Holdfast, Holdfast]) -> None:
    """
    Clients that fight over uploads and over a slot, by way of both versions at once, end with whole uploads and one history.
    """
    old, new = (server.start() for server in versions)
    uploads = [*begun(old), *begun(new)]
    with httpx.Client(base_url=old.url) as first, httpx.Client(base_url=new.url) as second:
        first.put(f"/api/v1/objects/user/{USER}", json={}).raise_for_status()
        keys = [picture(client) for client in (first, second) for _ in range(8)]
        chosen = [(random.Random(key).choice((first, second)), key) for key in keys]
        with ThreadPoolExecutor(2 * len(uploads) + len(keys)) as pool:
            fights = [pool.submit(_fight, (old, new), upload, seed) for upload in uploads for seed in (1, 2)]
            attaching = [pool.submit(attach, client, key) for client, key in chosen]
            statuses = [each.result() for each in attaching]
            worst = max(fight.result() for fight in fights)

    assert {200} == {*statuses}
    assert worst < 500
    for server in (old, new):
        check_all(server, uploads, keys)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_evicts_the_other(versions: tuple[Holdfast, Holdfast], dialect: str) -> None:
    """
    A client whose connection died at one version resumes at once at the other, and the bytes that came are there.
    """
    for server in versions:
        server.start()
    for before, after in (versions, versions[::-1]):
        with Wire(before.port) as older, Wire(after.port) as newer:
            upload = Upload(DIALECTS[dialect], photo(before.port, 3 * STEP)).create(older)
            older.send(upload.head(0) + upload.content[:STEP])
            older.settle()
            time.sleep(0.2)
            offset = check(upload.question(newer)).offset
            ended = check(upload.append(newer, offset))

        assert STEP == offset
        assert upload.is_complete(ended)
        with Wire(before.port) as wire:
            assert sha256(upload.content) == sha256(upload.download(wire).content)
