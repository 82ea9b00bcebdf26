"""
The life of a user's photo, over the real process: uploaded over a wire that drops, attached, replaced, undone, detached, purged.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.pictures import picture

USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
API = "/.api2/api/v1/communities/1/attachments"
GRACE = 2.0  # seconds
SLOTS = f"""
[[slots]]
kind = "user"
slot = "ProfilePhoto"
types = ["image/jpeg", "image/png", "image/gif"]
max_bytes = 10485760
who = ["self", "admin"]
grace = {GRACE}
"""


def upload(client: httpx.Client, server: Holdfast, photo: bytes) -> str:
    """Upload in two ranges; the connection of the first drops before all of it came.  Return the key."""
    values = {"name": "photo.png", "contentType": "image/png", "contentLength": len(photo)}
    location = client.post(API, data=values).raise_for_status().headers["Location"]
    half = len(photo) // 2
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        head = (
            f"PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: {half}\r\n"
            f"Content-Range: bytes 0-{half - 1}/{len(photo)}\r\n\r\n"
        )
        wire.sendall(head.encode() + photo[: half // 2])
    # "query the status of an upload": where does it go on?
    status = client.patch(location, headers={"Content-Range": f"bytes */{len(photo)}"})
    offset = int(status.headers["Upload-Offset"])
    assert (202, True) == (status.status_code, offset <= half // 2)
    fields = {"Content-Range": f"bytes {offset}-{len(photo) - 1}/{len(photo)}", "Content-Type": "image/png"}
    done = client.patch(location, headers=fields, content=photo[offset:])
    assert 200 == done.status_code
    key: str = done.json()["key"]
    return key


def statuses(client: httpx.Client, *keys: str) -> list[int]:
    """Return whether the content of attachments is there."""
    return [client.get(f"/.api2/binaries/{key}/download/photo.png").status_code for key in keys]


def pass_grace(server: Holdfast, client: httpx.Client, key: str) -> None:
    """Wait for the end of the grace; the sweeper of a process that starts looks at once."""
    time.sleep(GRACE + 0.2)
    server.kill()
    server.start()
    until = time.monotonic() + 20
    while statuses(client, key) != [410]:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_life_of_a_photo(serve: Serve, folder: Path) -> None:
    """What is attached is never purged; what left is, after its grace, and not before."""
    config = folder / "holdfast.toml"
    config.write_text(SLOTS)
    server = serve(CONFIG=config, LINK_LIFE=1)
    slot = f"/api/v1/objects/user/{USER}/slots/ProfilePhoto"
    with httpx.Client(base_url=server.url, timeout=30) as client:
        client.put(f"/api/v1/objects/user/{USER}", json={"name": "Kelp"}).raise_for_status()
        first, second = upload(client, server, picture("PNG", (300, 200))), upload(client, server, picture("PNG", (200, 300)))

        for key in (first, second):
            attached = client.post(f"{API}/{key}/association/{USER}?type=ProfilePhoto")
            assert (200, True) == (attached.status_code, attached.json()["isProfilePhoto"])
            assert client.get(f"{attached.json()['thumbnailLocation']}?width=50").status_code == 200
            assert [key] == [path.name for path in (folder / "data" / "renditions").rglob(key)]
        undone = client.post(f"{slot}/undo").raise_for_status().json()
        assert [first] == [active["key"] for active in undone["attachments"]]
        assert [200, 200] == statuses(client, first, second)

        pass_grace(server, client, second)
        assert [200] == statuses(client, first)
        detached = client.delete(f"{API}/{first}/association/{USER}?type=ProfilePhoto")
        assert (204, [200]) == (detached.status_code, statuses(client, first))
        pass_grace(server, client, first)

        events = client.get(f"/api/v1/attachments/{first}/events").json()["items"]
        kinds = [event["type"].partition(".")[2] for event in events]
        assert ["created", "received", "completed", "attached", "detached", "restored", "detached", "purged"] == kinds
    # An attachment is purged from the record first, and from the disk after it.
    until = time.monotonic() + 20
    while kept := [path for path in (folder / "data").rglob("*") if first in path.name or second in path.name]:
        assert time.monotonic() < until, kept
        time.sleep(0.1)
