"""
Hostile clients against all others: what the others notice.

``python -m tests.e2e.hostile.hostile_load --seconds 60`` starts the service, lets hostile clients loose on it
(`hostile_clients`), and
prints how long ``/healthz`` takes meanwhile, how long another user's photo takes, how much memory the service needs, and which
step of its event loop took longest.  It ends with 1 where a bound is passed.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

sys.path.append(str(Path(__file__).parents[3] / "scripts"))  # where pytest looks, too

from holdfast.service.accounts.making import make_token
from servers.holdfast import Holdfast
from tests.e2e.hostile.hostile_clients import Client

SECRET = "a secret of thirty-two characters"
MALLORY = "0f8fad5b-d9cb-469f-a165-70867728950e"
ALICE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CONFIG = """
[[slots]]
kind = "user"
slot = "Files"
most = 1000
history = 1000
who = ["self", "admin"]
"""
MiB = 1024 * 1024
SECONDS = 1.0
# The strict bounds.
HEALTH = 0.05 * SECONDS
PHOTO = 2 * SECONDS
MEMORY = 400 * MiB


@dataclass
class Noticed:
    """What somebody else noticed."""

    health: list[float] = field(default_factory=list)
    photos: list[float] = field(default_factory=list)
    memory: int = 0
    trouble: list[str] = field(default_factory=list)
    answers: str = ""
    longest: str = "none over 10 ms"

    @property
    def p99(self) -> float:
        """How long ``/healthz`` took in 99 of 100 cases (seconds)."""
        return statistics.quantiles(self.health, n=100)[98]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"hostile clients: {self.answers}",
                f"/healthz: {len(self.health)} times, p50 {statistics.median(self.health) * 1000:.1f} ms, "
                f"p99 {self.p99 * 1000:.1f} ms, longest {max(self.health) * 1000:.0f} ms "
                f"(p99 is to be under {HEALTH * 1000:.0f} ms)",
                f"another user's photo: {len(self.photos)} times, median {statistics.median(self.photos):.2f} s, longest "
                f"{max(self.photos):.2f} s (to be under {PHOTO:.0f} s)",
                f"memory: {self.memory / MiB:.0f} MiB at most (to be under {MEMORY / MiB:.0f} MiB)",
                f"longest step of the event loop: {self.longest}",
                *self.trouble,
            ]
        )

    def is_within(self, health: float, photo: float, memory: int) -> bool:
        """
        Say whether all of it is within bounds.
        """
        return self.p99 < health and max(self.photos) < photo and self.memory < memory and not self.trouble


def measure(folder: Path, seconds: float, *, attachments: int = 1000) -> Noticed:
    """
    Return what somebody else notices of *seconds* of hostile load on a service in *folder*.
    """
    config, steps = folder / "holdfast.toml", folder / "longest.json"
    config.write_text(CONFIG)
    settings = {"auth": "jwt", "jwt_secret": SECRET, "config": config, "log_level": "warning"}
    watched = (sys.executable, "-m", "tests.e2e.hostile.watched", str(steps))
    server = Holdfast(folder / "data", settings, before=watched).start()
    noticed = Noticed()
    try:
        admin, mallory, alice = (Client(server.port, _token(*who)) for who in ((MALLORY, "admin"), (MALLORY,), (ALICE,)))
        for user in (MALLORY, ALICE):
            admin.ask("PUT", f"/api/v1/objects/user/{user}", b'{"name": "x"}', Content_Type="application/json")
        _fill(mallory, attachments)
        command = [
            sys.executable,
            "-m",
            "tests.e2e.hostile.hostile_clients",
            str(server.port),
            _token(MALLORY),
            MALLORY,
            str(seconds),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hostile:
            assert hostile.stdout is not None
            hostile.stdout.readline()
            _watch(server, alice, noticed, seconds)
            noticed.answers = hostile.stdout.readline().strip()
        for client in (admin, mallory, alice):
            client.close()
        if "Traceback" in server.log():
            noticed.trouble.append(server.log()[-4000:])
        if steps.exists():
            step = json.loads(steps.read_text())
            shares = ", ".join(f"{name} {step[name] * 1000:.0f} ms" for name in ("computed", "queued", "waited"))
            noticed.longest = f"{step['seconds'] * 1000:.0f} ms ({shares}): {' > '.join(step['calls'])}"
    finally:
        server.kill()
    return noticed


def _token(subject: str, *roles: str) -> str:
    return make_token(secret=SECRET, tenant="1", subject=subject, roles=roles)


def _fill(client: Client, count: int) -> None:
    """Fill a slot with attachments, empty it, and delete them all."""
    slot = f"/api/v1/objects/user/{MALLORY}/slots/Files"
    keys = [client.upload(b"%d" % number) for number in range(count)]
    for key in keys:
        status, answer, _ = client.ask("PUT", f"{slot}/attachments/{key}", b"{}", Content_Type="application/json")
        assert status < 300, answer
    status, answer, _ = client.ask("DELETE", slot)
    assert status < 300, answer
    for key in keys:
        status, answer, _ = client.ask("DELETE", f"/api/v1/attachments/{key}")
        assert status < 300, answer


def _watch(server: Holdfast, alice: Client, noticed: Noticed, seconds: float) -> None:
    """Use the service as others do, until the time is over."""
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_ask_health, args=(server.port, noticed, until)),
        threading.Thread(target=_set_photos, args=(alice, noticed, until)),
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with suppress(psutil.Error):
            process = psutil.Process(server.pid)
            noticed.memory = max(noticed.memory, process.memory_info().rss)
        time.sleep(0.05)


def _ask_health(port: int, noticed: Noticed, until: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            noticed.trouble.append(f"/healthz: {error!r}")
        noticed.health.append(time.monotonic() - begun)
        time.sleep(0.02)
    connection.close()


def _set_photos(alice: Client, noticed: Noticed, until: float) -> None:
    made = io.BytesIO()
    Image.effect_noise((1200, 900), 40).convert("RGB").save(made, "JPEG", quality=85)
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            status = alice.photo(ALICE, made.getvalue(), "image/jpeg")
        except (OSError, http.client.HTTPException) as error:
            noticed.trouble.append(f"a photo: {error!r}")
        else:
            if status != 200:
                noticed.trouble.append(f"a photo was answered {status}")
        noticed.photos.append(time.monotonic() - begun)
        time.sleep(0.5)


def main() -> int:
    """
    Measure, print, and judge strictly.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--attachments", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        noticed = measure(Path(folder), given.seconds, attachments=given.attachments)
    print(noticed)
    return 0 if noticed.is_within(HEALTH, PHOTO, MEMORY) else 1


if __name__ == "__main__":
    sys.exit(main())
