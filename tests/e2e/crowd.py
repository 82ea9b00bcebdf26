"""
Many unmodified clients that upload large files at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader.uploader import Uploader

from tests.e2e.clients import javascript
from tests.e2e.dialects import photo

MiB = 1024 * 1024
CHUNK = 8 * MiB
PATIENCE = 500.0  # seconds
# tus-js-client gives up when one request fails so often in a row, after waiting so long each time (milliseconds).
DELAYS = [100, 200, 500, *[1000] * 100]


Client = Callable[[str, Path], str]
"""Uploads a file to an endpoint, and returns its URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that a client has uploaded."""

    client: str
    url: str
    digest: str


class Crowd:
    """
    *count* files of *size* bytes in *folder*, each of which is uploaded by another client: tuspy and tus-js-client in turn.
    """

    def __init__(self, folder: Path, count: int, size: int) -> None:
        self._paths = [folder / f"{number}.bin" for number in range(count)]
        self._digests: dict[Path, str] = {}
        content = photo("crowd", size - 8)
        for number, path in enumerate(self._paths):
            # No two are equal, from the first bytes that differ to the last one.
            with path.open("wb") as file:
                turned = content[:8] + number.to_bytes(8, "big") + content[8:]
                file.write(turned)
            self._digests[path] = hashlib.sha256(turned).hexdigest()

    def upload(self, endpoint: str, pool: ThreadPoolExecutor) -> list[Future[Sent]]:
        """
        Have every client begin.
        """
        clients = (_tuspy, _tus_js_client)
        return [pool.submit(self._upload, clients[number % 2], endpoint, path) for number, path in enumerate(self._paths)]

    def _upload(self, client: Client, endpoint: str, path: Path) -> Sent:
        return Sent(client=client.__name__.strip("_"), url=client(endpoint, path), digest=self._digests[path])


def digest(url: str) -> str:
    """
    Return the digest of what is at *url*.
    """
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=60) as response:
        response.raise_for_status()
        for block in response.iter_bytes():
            digest.update(block)
    return digest.hexdigest()


def _tuspy(endpoint: str, path: Path) -> str:
    """Upload with tuspy's own retries; it has none for the request that begins an upload, so that one is made again here."""
    with path.open("rb") as stream:
        uploader = TusClient(endpoint).uploader(file_stream=stream, chunk_size=CHUNK, retries=200, retry_delay=0.5)
        uploader.set_url(_begun(uploader))
        uploader.offset = 0
        uploader.upload()
        return str(uploader.url)


def _begun(uploader: Uploader) -> str:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return str(uploader.create_url())
        except TusCommunicationError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _tus_js_client(endpoint: str, path: Path) -> str:
    """Upload with tus-js-client: everything that is missing is one request."""
    events = javascript.upload(endpoint, path, seconds=PATIENCE, options={"retryDelays": DELAYS})
    if events.last["event"] != "success":
        raise RuntimeError(str(events))
    return str(events.last["url"])
