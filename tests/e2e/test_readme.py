"""
The commands of README.md and of the documents that it leads to, as a new user pastes them.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from servers.ports import free_port, listens
from servers.process import ROOT
from tests.e2e.conftest import Serve
from tests.servers.commands import cluster

README = ROOT / "README.md"
PROTOCOLS = ROOT / "service" / "protocols" / "README.md"
SLOTS = ROOT / "service" / "core" / "slots" / "README.md"
ACCOUNTS = ROOT / "service" / "accounts" / "README.md"
DEPLOY = ROOT / "deploy" / "README.md"
COMMANDS = ("scripts/serve", ".venv/bin/holdfast")
REFUSED = re.compile(r"HTTP/1.1 [45]|\"status\":[45]|\"code\"")


def blocks(document: Path, *headings: str) -> list[str]:
    """Return the indented blocks of a document, or of those of its sections, that are commands."""
    text = document.read_text()
    section = "".join(text.split(f"\n## {heading}\n")[1].split("\n## ")[0] for heading in headings) if headings else text
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE)
    commands = [block.replace("\n    ", "\n").strip() for block in found]
    return [block for block in commands if "curl" in block or re.match(r"scripts/cluster|\S+=", block)]


def paste(commands: list[str], url: str, folder: Path, complaints: str = "") -> str:
    """
    Run all commands in one shell, as pasted one after another; any that fails ends it.  Return what they printed.

    What they complain of is what the pattern *complaints* says, by default nothing.
    """
    script = "\n".join(commands).replace("http://127.0.0.1:8080", url).replace("scripts/cluster", f"{ROOT}/scripts/cluster")
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert 0 == done.returncode, script + done.stdout + done.stderr
    assert re.fullmatch(complaints, done.stderr), done.stderr
    return done.stdout


def test_first_upload(serve: Serve, folder: Path) -> None:
    """Both uploads arrive, one becomes the photo of a user, and the picture that it replaced is put back."""
    server = serve()
    printed = paste(blocks(README, "A first upload", "Attach it"), server.url, folder)
    user = re.search(r"objects/user/(\S+)", README.read_text())
    assert user is not None
    slot = httpx.get(f"{server.url}/api/v1/objects/user/{user[1]}/slots/ProfilePhoto").json()

    assert not REFUSED.search(printed), printed
    assert all(said in printed for said in ("equal", "upload-complete: ?1", "HTTP/1.1 201", '"attachments":[{'))
    assert 1 == len(slot["attachments"])
    assert "undone" in [past["ending"] for past in slot["history"]]
    assert [b"GIF8"] == [small.read_bytes()[:4] for small in folder.glob("*/photo.gif.small")]


def test_attachments_of_objects(serve: Serve, folder: Path) -> None:
    """By each of the APIs every picture is attached, and what was put back is back."""
    server = serve()
    printed = paste(blocks(PROTOCOLS, "Attachments of objects"), server.url, folder)
    user = re.search(r"user=(\S+)", PROTOCOLS.read_text())
    assert user is not None
    slot = httpx.get(f"{server.url}/api/v1/objects/user/{user[1]}/slots/ProfilePhoto").json()

    assert not REFUSED.search(printed), printed
    assert all(said in printed for said in ('"isProfilePhoto":true', '"eTag"', '"picture":{"url"', '"attachment.attached"'))
    assert [] == slot["attachments"]
    assert ["detached", "undone"] == [past["ending"] for past in slot["history"]]
    assert [b"GIF8"] == [small.read_bytes()[:4] for small in folder.glob("*/small.gif")]


def test_slots_of_the_file(serve: Serve, folder: Path) -> None:
    """The slots that the file shows are taken by the service."""
    section = SLOTS.read_text().split("\n    [[slots]]\n")[1].split("\n\n")[0]
    (folder / "holdfast.toml").write_text("[[slots]]\n" + section.replace("\n    ", "\n").removeprefix("    ") + "\n")
    server = serve(CONFIG=folder / "holdfast.toml")
    httpx.put(f"{server.url}/api/v1/objects/ticket/1", json={}).raise_for_status()

    assert 200 == httpx.get(f"{server.url}/api/v1/objects/ticket/1/slots/Files").status_code


def test_accounts(folder: Path) -> None:
    """Pasted as it is, the block starts a server that is closed without a token, opens it with one, and stops it."""
    (block,) = blocks(ACCOUNTS)
    port = free_port()
    for command in COMMANDS:
        block = block.replace(command, str(ROOT / command))
    printed = paste([block.replace("8081", str(port))], "", folder)

    assert ["401", "200"] == re.findall(r"^HTTP/1.1 (\d+)", printed, re.MULTILINE)
    assert not listens(port)


@pytest.mark.slow
def test_beyond_one_machine(disk: Path) -> None:
    """A slow upload in one terminal arrives, although in another one everything is broken that can be."""
    start, upload, breaks = blocks(DEPLOY, "Beyond one machine")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with cluster(disk, "--port", str(port)), ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(paste, [upload], url, disk, r"(curl: \(\d+\) .*\n)*")
        time.sleep(1)
        done = paste([breaks], url, disk)
        printed = uploading.result(300)
    print(printed, done)

    assert "scripts/cluster" == start
    assert printed.endswith("67108864 bytes are safe\nequal\n")
    assert 5 == len(re.findall(r"done in|is the primary now", done))
