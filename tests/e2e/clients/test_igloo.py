"""
The attachments API as its document shows it, and as its known client speaks it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
import time
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.e2e.dialects import PNG, photo
from tests.e2e.wire import Call, Wire

MiB = 1024 * 1024
GiB = 1024 * MiB


def _png(width: int, height: int) -> bytes:
    """Return a real picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(bytes((x * 5 % 256, y * 3 % 256, 99)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Client:
    """
    Sends what the known client (a `requests` session under one base URL that ends in a slash) sends.
    """

    def __init__(self, url: str) -> None:
        self.endpoint = f"{url}/"
        self.session = requests.Session()
        self.session.cookies.set("iglooauth", "a-session-token")

    def create(self, name: str, kind: str, length: int) -> tuple[str, str]:
        """
        Create an entry with a form; return its location and its key, taken out of it.
        """
        url = f"{self.endpoint}.api2/api/v1/communities/10/attachments"
        response = self.session.post(url, data={"name": name, "contentType": kind, "contentLength": length})

        assert 201 == response.status_code, response.text
        location = response.headers["Location"]
        return location, location.split("/")[-1]

    def upload(self, location: str, content: bytes | Film, first: int, size: int, length: int) -> requests.Response:
        """
        Send one range.
        """
        url = self.endpoint + location[1:]
        fields = {
            "Content-Range": f"bytes {first}-{first + size - 1}/{length}",
            "Content-Length": str(size),
            "Content-Type": "image/png",
        }
        return self.session.patch(url, data=content, headers=fields)

    def digest(self, location: str) -> str:
        """
        Fetch what is at *location* and return its digest.
        """
        digest = hashlib.sha256()
        with self.session.get(self.endpoint + location[1:], stream=True) as response:
            response.raise_for_status()
            for block in response.iter_content(MiB):
                digest.update(block)
        return digest.hexdigest()

    def close(self) -> None:
        """
        Close its connections.
        """
        self.session.close()


@pytest.fixture
def server(serve: Serve) -> Holdfast:
    """Return a server with the settings that it has by default."""
    return serve()


@pytest.fixture
def client(server: Holdfast) -> Iterator[Client]:
    """Return the known client."""
    client = Client(server.url)
    yield client
    client.close()


def test_as_the_document_shows(server: Holdfast) -> None:
    """
    A photo arrives with the first two requests of the document, names and methods exactly as it has them.
    """
    content = _png(64, 64)
    document = json.dumps({"ContentLength": len(content), "ContentType": "image/png", "Name": "photo.png"}).encode()
    with Wire(server.port) as wire:
        create = Call(
            method="POST", target="/.api2/api/v1/communities/10/attachments", fields={"Content-Type": "application/json"}
        )
        created = wire.ask(create, document)
        location = created.fields["location"]
        key = location.rsplit("/", 1)[-1]
        patch = Call(
            method="PATCH",
            target=f"/.api2/api/v1/communities/10/attachments/uploads/{key}",
            fields={"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}", "Content-Type": "image/png"},
        )
        uploaded = wire.ask(patch, content)
        attachment = json.loads(uploaded.content)
        download = wire.ask(Call(method="GET", target=attachment["binaryLocation"]))

    assert (201, patch.target, 10) == (created.status, location, len(key))
    assert 200 == uploaded.status
    assert {
        "key": key,
        "name": "photo.png",
        "contentType": "image/png",
        "contentLength": len(content),
        "isProfilePhoto": False,
    }.items() <= attachment.items()
    assert (200, content) == (download.status, download.content)


@pytest.mark.parametrize(
    "names", [("ContentLength", "ContentType", "Name"), ("contentLength", "contentType", "name")], ids=["pascal", "camel"]
)
@pytest.mark.parametrize("form", ["json", "form"])
def test_every_form_of_the_document(client: Client, names: tuple[str, str, str], form: str) -> None:
    """
    An entry is created by JSON as well as by a form, in either spelling of the names.
    """
    document: dict[str, str | int] = dict(zip(names, (100, "image/png", "photo.png"), strict=True))
    url, post = f"{client.endpoint}.api2/api/v1/communities/10/attachments", client.session.post
    response = post(url, json=document) if form == "json" else post(url, data=document)
    created = response.json()

    assert (201, "photo.png", "image/png", 100) == (
        response.status_code,
        created["name"],
        created["contentType"],
        created["contentLength"],
    )


def test_photo_as_the_known_client_sends_it(client: Client) -> None:
    """
    The known client uploads a photo: a form, a location taken apart at its slashes, one range, a cookie.
    """
    content = _png(200, 150)
    location, key = client.create("profilepic.png", "image/png", len(content))
    response = client.upload(location, content, 0, len(content), len(content))
    attachment = response.json()

    assert urlsplit(location).netloc == ""
    assert (200, key, 10) == (response.status_code, attachment["key"], len(key))
    assert hashlib.sha256(content).hexdigest() == client.digest(attachment["binaryLocation"])


def test_resumed_as_the_known_client_sends_it(client: Client) -> None:
    """
    Ranges build a photo up, one that comes again changes nothing, and the status can be asked in between.
    """
    content = photo("ranges", 3 * MiB + 5)
    location, _ = client.create("photo.png", "image/png", len(content))
    first = client.upload(location, content[:MiB], 0, MiB, len(content))
    again = client.upload(location, content[:MiB], 0, MiB, len(content))
    status = client.session.patch(client.endpoint + location[1:], headers={"Content-Range": f"bytes */{len(content)}"})
    whole = client.upload(location, content, 0, len(content), len(content))
    replay = client.upload(location, content[MiB:], MiB, len(content) - MiB, len(content))

    assert [202, 202, 202, 200, 200] == [answer.status_code for answer in (first, again, status, whole, replay)]
    assert f"bytes=0-{MiB - 1}" == status.headers["Range"]
    assert hashlib.sha256(content).hexdigest() == client.digest(whole.json()["binaryLocation"])


class Film:
    """
    A gibibyte that is made while it is read, from *start* to *stop*; it begins as a PNG does.
    """

    def __init__(self, start: int, stop: int) -> None:
        self._at = start
        self._stop = stop

    def __len__(self) -> int:
        return self._stop - self._at

    def __iter__(self) -> Iterator[bytes]:
        while self._at < self._stop:
            number, skip = divmod(self._at, MiB)
            block = self.block(number)[skip : skip + self._stop - self._at]
            self._at += len(block)
            yield block

    @staticmethod
    def block(number: int) -> bytes:
        """
        Return mebibyte *number*; no two are the same.
        """
        start = PNG if number == 0 else number.to_bytes(8, "big")
        return start + NOISE[8:]


NOISE = photo("noise", MiB)


@pytest.mark.slow
@pytest.mark.content_path
def test_gibibyte_in_ranges(client: Client) -> None:
    """
    A gibibyte arrives in several ranges, of which one comes twice, and is the same when it is fetched.
    """
    expected = hashlib.sha256()
    for number in range(GiB // MiB):
        expected.update(Film.block(number))
    location, _ = client.create("film.png", "image/png", GiB)
    begin = time.monotonic()
    bounds = [0, 100 * MiB + 1, 300 * MiB, 600 * MiB + 12345, 900 * MiB, GiB]
    statuses = []
    for start, stop in itertools.pairwise(bounds):
        response = client.upload(location, Film(start, stop), start, stop - start, GiB)
        statuses.append(response.status_code)
    uploaded = time.monotonic() - begin
    replay = client.upload(location, Film(900 * MiB, GiB), 900 * MiB, GiB - 900 * MiB, GiB)
    begin = time.monotonic()
    digest = client.digest(response.json()["binaryLocation"])
    print(f"1 GiB: up in {uploaded:.1f} s, down in {time.monotonic() - begin:.1f} s")

    assert ([202, 202, 202, 202, 200], 200) == (statuses, replay.status_code)
    assert expected.hexdigest() == digest
