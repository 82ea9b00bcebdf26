"""
Associations over real processes: many at once, and killed among them.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from holdfast.storage.records import Key, SlotRef, Tenant
from servers.holdfast import Holdfast
from tests.core.histories import check, facts
from tests.e2e.conftest import Serve
from tests.pictures import PNG

WORKERS = 4
AT_ONCE = 64
KILLS = 25  # tests/core has two hundred of processes that start at once
USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
TENANT = Tenant("1")
PHOTO = SlotRef(tenant=TENANT, kind="user", id=USER, slot="ProfilePhoto")
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def prepare(server: Holdfast, count: int) -> list[Key]:
    """Register the user, and return the keys of *count* photos."""
    with httpx.Client(base_url=server.url) as client:
        client.put(f"/api/v1/objects/user/{USER}", json={}).raise_for_status()
        made = [
            client.post("/files", headers={**TUS, "Upload-Length": str(len(PNG))}, content=PNG).raise_for_status()
            for _ in range(count)
        ]
    return [Key(response.headers["Location"].rpartition("/")[2]) for response in made]


def attach(client: httpx.Client, server: Holdfast, key: Key) -> httpx.Response:
    """Make *key* the photo of the user."""
    return client.post(f"{server.url}/.api2/api/v1/communities/1/attachments/{key}/association/{USER}?type=ProfilePhoto")


def test_many_replace_at_once(serve: Serve, folder: Path) -> None:
    """
    64 replacements at once over 4 processes leave one photo, a consistent history and one event for each change.
    """
    server = serve(workers=WORKERS)
    keys = prepare(server, AT_ONCE)
    barrier = threading.Barrier(AT_ONCE)

    def one(key: Key) -> int:
        with httpx.Client(timeout=30) as client:
            barrier.wait()
            return attach(client, server, key).status_code

    begin = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(pool.map(one, keys))
    print(f"{AT_ONCE} replacements over {WORKERS} processes took {time.monotonic() - begin:.2f} s")
    server.kill()

    assert [200] * AT_ONCE == statuses
    assert check(*asyncio.run(facts(folder / "data", PHOTO, keys))) == AT_ONCE


def test_killed_among_replacements(make_server: Callable[..., Holdfast], folder: Path) -> None:
    """
    However often all processes are killed among replacements: one photo, a consistent history, no acknowledged one lost.
    """
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    server = make_server(workers=2).start()
    keys = prepare(server, 16)
    over = threading.Event()
    acknowledged = [0] * 4

    def keep_replacing(number: int) -> None:
        mine = keys[number * 4 : number * 4 + 4]
        at = 0
        with httpx.Client(timeout=30) as client:
            while not over.is_set():
                with suppress(httpx.TransportError):
                    response = attach(client, server, mine[at % 4])
                    assert response.status_code == 200, response.text
                    acknowledged[number] += 1
                    at += 1

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(keep_replacing, number) for number in range(4)]
        try:
            for _ in range(KILLS):
                time.sleep(dice.uniform(0.005, 0.1))
                server.kill()
                server.start()
        finally:
            over.set()
    for thread in running:
        thread.result()
    server.kill()
    began = check(*asyncio.run(facts(folder / "data", PHOTO, keys)))
    print(f"seed {seed}: {KILLS} kills, {sum(acknowledged)} replacements acknowledged, {began} associations began")

    assert began >= KILLS / 4
