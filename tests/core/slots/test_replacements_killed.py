"""
Processes are killed among replacements of a photo.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from holdfast.service.core.commands import Completes, Create
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.durability import Durability
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryLeases
from holdfast.storage.records import Key
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.core.access.callers import AskedObjects, AskedUploads
from tests.core.contents import FakeContent
from tests.core.histories import check, facts
from tests.core.situations import PNG
from tests.core.slots.replacers import ME, PHOTO, POLICIES
from tests.core.worlds import LIMITS
from tests.storage.backends import TENANT

ROOT = Path(__file__).parents[3]
KILLS = 200
PHOTOS = 16


async def prepare(folder: Path) -> list[Key]:
    """Register the user, and return the keys of some photos."""
    content = LocalByteStore(str(folder), Durability.NONE)
    metadata = SqliteMetadataStore(str(folder / "holdfast.sqlite"))
    objects = AskedObjects(metadata, POLICIES, time.time)
    await objects.register(PHOTO.object, "{}", ME)
    uploads = AskedUploads(Uploads(content, metadata, SeparateLeasedUploads(metadata, MemoryLeases()), LIMITS))
    command = Create(tenant=TENANT, completes=Completes.AT_END, length=None, content_length=len(PNG))
    keys = [(await uploads.create(command, FakeContent(PNG))).record.key for _ in range(PHOTOS)]
    await metadata.close()
    await content.close()
    return keys


async def test_killed_among_replacements(tmp_path: Path) -> None:
    """However often all processes are killed among replacements: one photo, a consistent history, no acknowledged one lost."""
    seed = random.randrange(10**6)
    keys = await prepare(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.slots.replacers", str(tmp_path), str(KILLS), str(seed), *keys],
        cwd=ROOT,
        env={"PYTHONPATH": "scripts", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    acknowledged = done.stdout.split()
    slot, events, uploads = await facts(tmp_path, PHOTO, keys)
    began = check(slot, events, uploads)
    told = {json.loads(event.data)["association"] for event in events if event.type == "attachment.attached"}
    print(f"seed {seed}: {KILLS} kills, {len(acknowledged)} replacements acknowledged, {began} associations began")

    assert (0, "") == (done.returncode, done.stderr)
    assert set(acknowledged) <= told
    assert began >= KILLS / 4
