"""
Unmodified clients against the real service, with what each of them can do.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiotus
import httpx
import pytest
from tusclient.client import TusClient
from tusclient.storage import filestorage

from servers.holdfast import Holdfast
from tests.e2e.clients import javascript
from tests.e2e.conftest import Serve
from tests.e2e.dialects import photo, sha256

pytestmark = pytest.mark.content_path

KiB = 1024
MiB = 1024 * KiB
SIZE = 5 * MiB + 7
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def server(serve: Serve) -> Holdfast:
    """Return a server with the settings that it has by default."""
    return serve()


@pytest.fixture
def files(server: Holdfast) -> str:
    """Return the URL at which uploads are created."""
    return f"{server.url}/files"


@pytest.fixture
def file(folder: Path) -> Path:
    """Return a file to upload."""
    path = folder / "photo.bin"
    path.write_bytes(photo("client", SIZE))
    return path


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """Return a plain client for what the others do not do."""
    with httpx.Client(timeout=20) as client:
        yield client


def _is_fetched(http: httpx.Client, url: str, file: Path) -> bool:
    """Say whether the content of the upload at *url* is that of *file*."""
    response = http.get(url)
    response.raise_for_status()
    return sha256(file.read_bytes()) == sha256(response.content)


async def test_aiotus(files: str, file: Path, http: httpx.Client) -> None:
    """
    aiotus uploads a file, and reads its metadata back as they were: text, bytes, and a key without a value.
    """
    metadata = {"filename": "größe.bin".encode(), "bytes": bytes(range(256)), "flag": None}
    with file.open("rb") as stream:
        url = await aiotus.upload(files, stream, metadata, chunksize=512 * KiB)

    assert url is not None
    assert metadata == await aiotus.metadata(url)
    assert _is_fetched(http, str(url), file)


def _tuspy(files: str, *, stop_at: int | None = None, **options: object) -> str:
    """Upload with tuspy, and return the URL."""
    uploader = TusClient(files).uploader(**options)
    uploader.upload(stop_at=stop_at)
    return str(uploader.url)


def test_tuspy(files: str, file: Path, http: httpx.Client) -> None:
    """
    tuspy uploads a file with metadata in chunks of its own size.
    """
    with file.open("rb") as stream:
        url = _tuspy(files, file_stream=stream, chunk_size=MiB, metadata={"filename": "photo.bin", "filetype": "text/x-photo"})
    head = http.head(url, headers=TUS)
    download = http.get(url)

    assert "filename cGhvdG8uYmlu,filetype dGV4dC94LXBob3Rv" == head.headers["Upload-Metadata"]
    assert "photo.bin" in download.headers["Content-Disposition"]
    assert _is_fetched(http, url, file)


# Given a path, which it has to be for this, tuspy leaves the file open.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_tuspy_resumes_from_storage(files: str, file: Path, folder: Path, http: httpx.Client) -> None:
    """
    tuspy resumes an upload of a former process, whose URL it had stored.
    """
    open_storage: Callable[[str], Any] = filestorage.FileStorage
    urls = []
    for stop_at in (2 * MiB, None):
        with closing(open_storage(str(folder / "tuspy.json"))) as storage:
            urls.append(_tuspy(files, file_path=str(file), chunk_size=MiB, store_url=True, url_storage=storage, stop_at=stop_at))

    assert urls[0] == urls[1]
    assert _is_fetched(http, urls[1], file)


def test_tuspy_empty_file(files: str, folder: Path, http: httpx.Client) -> None:
    """
    tuspy uploads a file with nothing in it.
    """
    file = folder / "empty"
    file.touch()
    with file.open("rb") as stream:
        url = _tuspy(files, file_stream=stream)

    assert _is_fetched(http, url, file)


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({}, {"POST": 1, "PATCH": 1}),
        ({"chunkSize": MiB}, {"POST": 1, "PATCH": 6}),
        ({"uploadDataDuringCreation": True}, {"POST": 1}),
        ({"uploadDataDuringCreation": True, "chunkSize": 2 * MiB}, {"POST": 1, "PATCH": 2}),
        ({"overridePatchMethod": True, "chunkSize": 4 * MiB}, {"POST": 3}),
        ({"metadata": {"filename": "größe.bin", "empty": "", "filetype": "image/png"}}, {"POST": 1, "PATCH": 1}),
        ({"headers": {"X-Of-My-Own": "yes"}, "addRequestId": True}, {"POST": 1, "PATCH": 1}),
        # In chunks of a file this client never says that its upload is complete.
        ({"protocol": "ietf-draft-05"}, {"POST": 1, "PATCH": 1}),
        ({"protocol": "ietf-draft-05", "uploadDataDuringCreation": True}, {"POST": 1}),
    ],
    ids=str,
)
def test_tus_js_client(files: str, file: Path, http: httpx.Client, options: dict[str, object], requests: dict[str, int]) -> None:
    """
    tus-js-client uploads a file with each of its options, in no more requests than it needs.
    """
    events = javascript.upload(files, file, options=options)

    assert ("success", requests) == (events.last["event"], events.last.get("requests")), events
    assert _is_fetched(http, events.last["url"], file)


@pytest.mark.parametrize("creation", [False, True])
def test_tus_js_client_stream(files: str, file: Path, http: httpx.Client, *, creation: bool) -> None:
    """
    tus-js-client uploads a stream whose length nobody knows before its end.
    """
    options = {"chunkSize": MiB, "uploadLengthDeferred": True, "uploadDataDuringCreation": creation}
    events = javascript.upload(files, file, stream=True, options=options)

    assert "success" == events.last["event"], events
    assert _is_fetched(http, events.last["url"], file)
    assert str(SIZE) == http.head(events.last["url"], headers=TUS).headers["Upload-Length"]


def test_tus_js_client_terminates(files: str, file: Path, http: httpx.Client) -> None:
    """
    tus-js-client deletes an upload; afterwards it is not there for anybody.
    """
    events = javascript.upload(files, file, terminate=True)
    url = events.last["url"]

    assert "success" == events.last["event"], events
    assert [404, 404] == [http.head(url, headers=TUS).status_code, http.get(url).status_code]


def test_tus_js_client_resumes_from_storage(files: str, file: Path, folder: Path, http: httpx.Client) -> None:
    """
    tus-js-client resumes an upload of a former process, whose URL it had stored, and sends nothing twice.
    """
    store = str(folder / "urls.json")
    first = javascript.upload(files, file, store=store, stopAfter=2 * MiB, options={"chunkSize": MiB})
    second = javascript.upload(files, file, store=store, options={"chunkSize": MiB})

    assert "url" == first.last["event"], first
    assert ("success", first.last["url"]) == (second.last["event"], second.last["url"]), second
    assert (2 * MiB, {"HEAD": 1, "PATCH": 4}) == (second.last["first"], second.last["requests"])
    assert _is_fetched(http, second.last["url"], file)


def test_clients_side_by_side(files: str, folder: Path, http: httpx.Client) -> None:
    """
    Clients of every make upload at the same time and do not get in each other's way.
    """
    urls: dict[Path, str] = {}

    def javascript_client(path: Path) -> None:
        urls[path] = str(javascript.upload(files, path, options={"chunkSize": 256 * KiB}).last["url"])

    def tuspy_client(path: Path) -> None:
        with path.open("rb") as stream:
            urls[path] = _tuspy(files, file_stream=stream, chunk_size=256 * KiB)

    def curl_client(path: Path) -> None:
        command = ["curl", "-sS", "-i", "-T", str(path), "-H", "Upload-Complete: ?1", "-X", "POST", files]
        text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        urls[path] = next(iter(re.findall(r"(?im)^location: (\S+)", text)))

    threads = []
    for i, client in enumerate([javascript_client, tuspy_client, curl_client] * 3):
        path = folder / f"{i}.bin"
        path.write_bytes(photo(i, MiB + i))
        threads.append(threading.Thread(target=client, args=(path,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert 9 == len(set(urls.values()))
    assert all(_is_fetched(http, url, path) for path, url in urls.items())
