"""
Downloads that an nginx in front of the service sends, as deploy/nginx.conf says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from servers.nginx import Nginx
from servers.process import ROOT
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo
from tests.e2e.wire import Wire

LENGTH = 300_000


@pytest.fixture
def front(serve: Serve, folder: Path) -> Iterator[tuple[Nginx, int]]:
    """Return an nginx that is configured as shipped, and the port of the service behind it."""
    server = serve(accel_redirect="/held/")
    shipped = (ROOT / "deploy" / "nginx.conf").read_text()
    location = shipped[shipped.index("location /held/") :].replace("/var/lib/holdfast/", f"{server.data_dir}/")
    with Nginx(folder / "nginx", [server.port], locations=location) as nginx:
        yield nginx, server.port


def test_downloads_by_nginx(front: tuple[Nginx, int]) -> None:
    """Whole and in part content comes from nginx, with our fields; the service itself only says where it is."""
    nginx, port = front
    with Wire(nginx.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("accel", LENGTH)).create(wire)

        assert upload.is_complete(upload.append(wire, 0))
    key = upload.target[-10:]
    with httpx.Client(base_url=nginx.url) as client:
        whole = client.get(f"/files/{key}")
        part = client.get(f"/files/{key}", headers={"Range": "bytes=100-199"})
        same = client.get(f"/files/{key}", headers={"If-None-Match": whole.headers["ETag"]})
        resumed = client.get(f"/files/{key}", headers={"Range": "bytes=100-", "If-Range": whole.headers["ETag"]})
        changed = client.get(f"/files/{key}", headers={"Range": "bytes=100-", "If-Range": '"another"'})
        beyond = client.get(f"/files/{key}", headers={"Range": f"bytes={LENGTH}-"})
        head = client.head(f"/files/{key}")
        forbidden = client.get(f"/held/attachments/{key[:2]}/{key}")
        missing = client.get("/files/0123456789")
    behind = httpx.get(f"http://127.0.0.1:{port}/files/{key}")

    assert (200, upload.content) == (whole.status_code, whole.content)
    assert (206, upload.content[100:200]) == (part.status_code, part.content)
    assert [304, 206, 200, 416] == [answer.status_code for answer in (same, resumed, changed, beyond)]
    assert (upload.content[100:], upload.content) == (resumed.content, changed.content)
    assert (200, str(LENGTH), whole.headers["ETag"]) == (head.status_code, head.headers["Content-Length"], head.headers["ETag"])
    assert [404, 404] == [forbidden.status_code, missing.status_code]
    for name in ("ETag", "X-Content-Type-Options", "Content-Security-Policy", "Content-Disposition", "Content-Type"):
        assert head.headers[name] == whole.headers[name] == part.headers[name]
    assert (b"", f"/held/attachments/{key[:2]}/{key}") == (behind.content, behind.headers["X-Accel-Redirect"])
