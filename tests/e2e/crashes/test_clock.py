"""
A service that finds its clock nine days ahead: it was off for so long, or somebody set the clock.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx

from tests.e2e.conftest import Serve

DAYS = 86_400.0
OFF = 9 * DAYS
TUS = {"Tus-Resumable": "1.0.0"}
CONTENT = {**TUS, "Content-Type": "application/offset+octet-stream"}


def set_back(database: Path, seconds: float) -> None:
    """Make everything that the service has written down older by *seconds*."""
    with closing(sqlite3.connect(database)) as connection:
        certain, clock, steady = json.loads(connection.execute("SELECT text FROM notes WHERE name = 'time'").fetchone()[0])
        note = json.dumps([certain - seconds, clock - seconds, steady])
        connection.execute("UPDATE notes SET text = ? WHERE name = 'time'", (note,))
        connection.execute("UPDATE uploads SET created_at = created_at - ?, expires_at = expires_at - ?", (seconds, seconds))
        connection.commit()


def test_nine_days(serve: Serve) -> None:
    """An upload that seems to have expired tells its offset and is finished; the first sweep, at the start, leaves it alone."""
    server = serve()
    url = httpx.post(f"{server.url}/files", headers={**TUS, "Upload-Length": "8"}).headers["Location"]
    httpx.patch(url, headers={**CONTENT, "Upload-Offset": "0"}, content=b"hold")
    server.terminate()
    server.wait(20)
    set_back(server.data_dir / "holdfast.sqlite", OFF)
    server.start()
    until = time.monotonic() + 10
    while "seconds ahead of the time" not in server.log() and time.monotonic() < until:
        time.sleep(0.05)
    asked = httpx.head(url, headers=TUS)
    done = httpx.patch(url, headers={**CONTENT, "Upload-Offset": "4"}, content=b"fast")

    assert (200, "4") == (asked.status_code, asked.headers["Upload-Offset"])
    assert 204 == done.status_code
    assert b"holdfast" == httpx.get(url).content
