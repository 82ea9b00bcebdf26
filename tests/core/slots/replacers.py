"""
Processes that replace a photo until they are killed: ``python -m tests.core.slots.replacers FOLDER KILLS SEED KEY…``.

The first one has imported everything and opens no store; it forks those that work, kills them and forks the next ones: that costs
less than a start.  Each writes a line for every replacement that was acknowledged: the id of the association.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from holdfast.service.core.policies import BUILT_IN, Policies
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.storage.durability import Durability
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.records import Key, SlotRef, Subject
from holdfast.storage.sqlite.metadata import SqliteMetadataStore
from tests.core.access.callers import AskedAttachments
from tests.storage.backends import TENANT

AT_ONCE = 2  # processes
CALLERS = 2  # in each
ME = Principal(tenant=None, subject=Subject("me"), originator="intranet", trusted=True)
POLICIES = Policies(BUILT_IN)
PHOTO = SlotRef(tenant=TENANT, kind="user", id="1", slot="ProfilePhoto")


async def replace(folder: str, keys: list[Key]) -> None:
    """Make each of *keys* the photo in turn, and tell of each that is acknowledged."""
    content = LocalByteStore(folder, Durability.NONE, threads=1)
    metadata = SqliteMetadataStore(str(Path(folder) / "holdfast.sqlite"))
    attachments = AskedAttachments(Attachments(content, metadata, POLICIES), POLICIES)

    async def keep_replacing(mine: list[Key]) -> None:
        while True:
            for key in mine:
                slot = (await attachments.attach(PHOTO, key, ME)).slot
                # One line is written whole or not at all, however many processes write.
                os.write(1, f"{' '.join(each.id for each in slot.active)}\n".encode())

    await asyncio.gather(*(keep_replacing(keys[caller::CALLERS]) for caller in range(CALLERS)))


def live(folder: str, seconds: float, keys: list[Key]) -> None:
    """Have all processes work, and kill them after so many *seconds*."""
    workers = []
    for number in range(AT_ONCE):
        pid = os.fork()
        if not pid:
            asyncio.run(replace(folder, keys[number::AT_ONCE]))
        workers.append(pid)
    time.sleep(seconds)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit("a process ended by itself")


def main(folder: str, kills: str, seed: str, *keys: str) -> None:
    """Live and be killed, again and again."""
    dice = random.Random(seed)
    for _ in range(int(kills)):
        live(folder, dice.uniform(0.005, 0.1), [Key(key) for key in keys])


if __name__ == "__main__":
    main(*sys.argv[1:])
