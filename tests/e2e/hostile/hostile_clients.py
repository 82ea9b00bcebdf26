"""
Clients that ask for as much work as they can: what `tests.e2e.hostile.hostile_load` lets loose.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from PIL import Image

MiB = 1024 * 1024
COMMUNITY = "/.api2/api/v1/communities/1/attachments"
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
READERS = 60
IMAGES = 4
UPLOADERS = 4
PICTURES = 40


class Client:
    """
    One connection of one account.
    """

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._fields = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: bytes = b"", **fields: str) -> tuple[int, bytes, str]:
        """
        Return status, content and Location of the answer.
        """
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body or None, self._fields | named)
                answer = self._connection.getresponse()
                return answer.status, answer.read(), answer.getheader("location") or ""
            except (ConnectionError, http.client.HTTPException):
                self._connection.close()  # it was idle for too long
                if attempt == 2:
                    raise
        raise AssertionError

    def close(self) -> None:
        """
        Close the connection.
        """
        self._connection.close()

    def upload(self, content: bytes) -> str:
        """
        Upload *content* in one request, and return its key.
        """
        fields = TUS | OCTETS | {"Upload-Length": str(len(content))}
        status, answer, location = self.ask("POST", "/files", content, **fields)
        if status != 201:
            raise RuntimeError(f"{status} {answer!r}")
        return location.rpartition("/")[2]

    def photo(self, user: str, content: bytes, kind: str) -> int:
        """
        Make *content* the photo of *user* as the attachments API does, and return the last status.
        """
        described = json.dumps({"name": "photo", "contentType": kind, "contentLength": len(content)}).encode()
        status, _, location = self.ask("POST", COMMUNITY, described, Content_Type="application/json")
        if status != 201:
            return status
        location = location[location.index("/.api2") :]
        whole = f"bytes 0-{len(content) - 1}/{len(content)}"
        status, _, _ = self.ask("PATCH", location, content, Content_Type=kind, Content_Range=whole)
        if status != 200:
            return status
        key = location.rpartition("/")[2]
        return self.ask("POST", f"{COMMUNITY}/{key}/association/{user}?type=ProfilePhoto")[0]


class Hostile:
    """
    All of them, with the *token* of one account, whose user is *user*.
    """

    def __init__(self, port: int, token: str, user: str, until: float) -> None:
        self._port, self._token, self._user, self._until = port, token, user, until
        self.statuses: Counter[str] = Counter()
        slow = io.BytesIO()
        # As many pixels as are taken, in a form that takes long to decode.
        Image.effect_noise((1400, 1400), 64).resize((6900, 6900)).convert("RGB").save(slow, "JPEG", quality=20, progressive=True)
        self._slow = slow.getvalue()
        large = io.BytesIO()
        Image.effect_noise((2600, 2600), 120).convert("RGB").save(large, "JPEG", quality=95)
        self._large = large.getvalue()

    def run(self) -> None:
        """
        Do harm until the time is over.
        """
        doers: list[Callable[[], None]] = [
            self._undo,
            *[self._images] * IMAGES,
            *[self._uploads] * UPLOADERS,
            *[self._pictures] * 4,
        ]
        threads = [threading.Thread(target=self._again, args=(doer,), daemon=True) for doer in [*doers, self._unread]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.1, self._until - time.monotonic()))

    def _again(self, doer: Callable[[], None]) -> None:
        while time.monotonic() < self._until:
            try:
                doer()
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                self.statuses[f"{doer.__name__} {type(error).__name__}"] += 1
                time.sleep(0.1)

    def _rows(self, name: str, ask: Callable[[Client], int]) -> None:
        client = Client(self._port, self._token)
        while time.monotonic() < self._until:
            self.statuses[f"{name} {ask(client)}"] += 1

    def _undo(self) -> None:
        self._rows("undo", lambda client: client.ask("POST", f"/api/v1/objects/user/{self._user}/slots/Files/undo")[0])

    def _images(self) -> None:
        self._rows("image", lambda client: client.photo(self._user, self._slow, "image/jpeg"))

    def _uploads(self) -> None:
        self._rows("upload", lambda client: 201 if client.upload(b"small") else 0)

    def _pictures(self) -> None:
        client = Client(self._port, self._token)
        for number in range(PICTURES):
            status, _, _ = client.ask("GET", f"/avatars/static/{100 + 20 * number}/default.png")
            self.statuses[f"picture {status}"] += 1

    def _unread(self) -> None:
        client = Client(self._port, self._token)
        key = client.upload(self._large)
        client.ask("GET", f"/.api2/binaries/{key}/thumbnails/x")
        readers = []
        for number in range(READERS):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", self._port))
            size = f"?width={2000 + number % 4}" if number % 2 else ""
            head = (
                f"GET /.api2/binaries/{key}/thumbnails/x{size} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self._token}\r\n\r\n"
            )
            reader.sendall(head.encode() * 20)
            readers.append(reader)
            self.statuses["asked and unread"] += 20
        time.sleep(max(0, min(20, self._until - time.monotonic())))
        for reader in readers:
            with suppress(OSError):
                reader.close()


def main() -> None:
    """
    ``PORT TOKEN USER SECONDS``; prints what was answered.
    """
    port, token, user, seconds = sys.argv[1:]
    os.nice(10)  # these would be other machines: what they compute is not to be noticed as what the service does
    hostile = Hostile(int(port), token, user, 0)
    print("ready", flush=True)
    hostile._until = time.monotonic() + float(seconds)
    hostile.run()
    print(json.dumps(dict(sorted(hostile.statuses.items()))), flush=True)


if __name__ == "__main__":
    main()
