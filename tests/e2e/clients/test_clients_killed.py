"""
Unmodified clients upload a large file while the server is killed again and again.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from servers.holdfast import Holdfast
from tests.e2e.clients import javascript
from tests.e2e.conftest import Serve
from tests.e2e.dialects import photo

MiB = 1024 * 1024
SIZE = 256 * MiB
# With chunks of this size the clients send 128 requests, and a kill hits one of them.
CHUNK = 2 * MiB
KILLS = 10
SECONDS = 1.0


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Return a file of 256 MiB, and the digest of what is in it."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for seed in range(SIZE // (16 * MiB)):
            block = photo(seed, 16 * MiB)
            digest.update(block)
            file.write(block)
    yield path, digest.hexdigest()
    path.unlink()


def _tuspy(url: str, path: Path) -> str:
    """Upload with tuspy's own retries and delays, one call of `upload`."""
    with path.open("rb") as stream:
        uploader = TusClient(url).uploader(file_stream=stream, chunk_size=CHUNK, retries=20, retry_delay=1)
        uploader.upload()
        return str(uploader.url)


def _tus_js_client(url: str, path: Path) -> str:
    """Upload with the delays that tus-js-client has by itself."""
    return _javascript(url, path, {"chunkSize": CHUNK})


def _tus_js_client_as_it_is(url: str, path: Path) -> str:
    """Upload with no option at all: everything that is missing is one request."""
    return _javascript(url, path, {})


def _javascript(url: str, path: Path, options: dict[str, object]) -> str:
    events = javascript.upload(url, path, seconds=200, options=options)

    assert "success" == events.last["event"], events
    print("tus-js-client sent", events.last["requests"])
    return str(events.last["url"])


def _kill_on_the_way(server: Holdfast, upload: Future[str], luck: random.Random, kills: int) -> list[float]:
    """Kill the server so often, each time when a further part of the upload is recorded; return where (MiB)."""
    killed: list[float] = []
    until = time.monotonic() + 200 * SECONDS
    while len(killed) < kills and time.monotonic() < until and not upload.done():
        offset = max([offset for _, offset in server.recorded().values()], default=0)
        if offset > max(SIZE * (len(killed) + 1) / (kills + 1), killed[-1] * MiB if killed else 0):
            time.sleep(luck.uniform(0, 0.02))
            killed.append(offset / MiB)
            server.restart()
        time.sleep(0.002)
    return killed


def _digest(url: str) -> str:
    digest = hashlib.sha256()
    with httpx.stream("GET", url) as response:
        response.raise_for_status()
        for block in response.iter_bytes():
            digest.update(block)
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.content_path
@pytest.mark.parametrize(
    ("client", "kills"),
    [(_tuspy, KILLS), (_tus_js_client, KILLS), (_tus_js_client_as_it_is, 4)],
    ids=["tuspy", "tus-js-client", "tus-js-client as it is"],
)
def test_server_killed(serve: Serve, large_file: tuple[Path, str], client: Callable[[str, Path], str], kills: int) -> None:
    """
    An unmodified client completes an upload of 256 MiB by itself although the server is killed again and again meanwhile.
    """
    path, expected = large_file
    server = serve()
    with ThreadPoolExecutor(1) as pool:
        begin = time.monotonic()
        upload = pool.submit(client, f"{server.url}/files", path)
        killed = _kill_on_the_way(server, upload, random.Random(client.__name__), kills)
        url = upload.result(250)
    print(f"{client.__name__}: killed at {killed} MiB, complete after {time.monotonic() - begin:.1f} s")

    assert kills == len(killed)
    assert expected == _digest(url)
