"""
The service behind an nginx that is configured as shipped: what clients say of proxies, and URLs under a path of nginx's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.nginx import Nginx
from servers.process import ROOT
from tests.e2e.conftest import Serve

SHIPPED = (ROOT / "deploy" / "nginx.conf").read_text()
# Shipped but for where the service is; clients stand where the test says.
SITE = SHIPPED.replace("http://127.0.0.1:8080", "http://holdfast")
CLIENT = "192.0.2.7"
LIES = {
    "Forwarded": "for=127.0.0.1;host=evil.example;proto=https",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Server": "evil.example",
    "X-Real-IP": "127.0.0.1",
}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}


def test_what_clients_say(serve: Serve, folder: Path) -> None:
    """Nothing that a client says of proxies gets through the shipped nginx, into URLs or past the refusal of strangers."""
    server = serve()
    with Nginx(folder / "here", [server.port], site=SITE) as nginx:
        created = httpx.post(f"{nginx.url}/files", headers={**TUS, **LIES})

        assert (201, nginx.url) == (created.status_code, created.headers["Location"].rpartition("/files/")[0])
    with Nginx(folder / "elsewhere", [server.port], site=SITE.replace("$remote_addr", CLIENT)) as nginx:
        refused = [httpx.post(f"{nginx.url}/files", headers={**TUS, **said}) for said in ({}, LIES)]

        assert [(403, "accounts_off")] * 2 == [(answer.status_code, answer.text.split(":")[0]) for answer in refused]


def test_cluster(serve: Serve, folder: Path) -> None:
    """The nginx of scripts/cluster passes on what this machine asks, and nothing is refused for that."""
    with Nginx(folder / "nginx", [serve().port]) as nginx:
        created = httpx.post(f"{nginx.url}/files", headers=TUS)

    assert (201, nginx.url) == (created.status_code, created.headers["Location"].rpartition("/files/")[0])


@pytest.mark.parametrize(
    "settings",
    [{}, {"relative_location": True}, {"public_url": "https://files.example/up", "trusted_proxies": ""}],
    ids=["told by nginx", "without an origin", "told by a setting"],
)
def test_under_a_path(serve: Serve, folder: Path, settings: dict[str, Any]) -> None:
    """Every URL that the service sends has the path that nginx cuts off, and leads back through nginx."""
    server = serve(open_behind_proxy=True, **settings)
    site = SITE.replace("location / {", "location /up/ {").replace("http://holdfast;", "http://holdfast/;")
    prefix = 'X-Forwarded-Prefix ""'

    assert prefix in site
    with Nginx(folder / "nginx", [server.port], site=site.replace(prefix, "X-Forwarded-Prefix /up")) as nginx:
        origin = "https://files.example" if "public_url" in settings else nginx.url

        def here(url: str) -> str:
            """Return where *url* leads to, nginx being whatever is before the path."""
            path = url.removeprefix(origin)

            assert path.startswith("/up/"), url
            return nginx.url + path

        created = httpx.post(f"{nginx.url}/up/files", headers=TUS)
        location = here(created.headers["Location"])
        sent = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        appended = httpx.patch(location, headers=sent, content=b"kelp\n")
        entry = {"name": "a.png", "contentType": "image/png", "contentLength": "8"}
        community = httpx.post(f"{nginx.url}/up/.api2/api/v1/communities/1/attachments", data=entry)
        content = {"Content-Range": "bytes 0-7/8", "Content-Type": "image/png"}
        whole = httpx.patch(here(community.headers["Location"]), headers=content, content=b"\x89PNG\r\n\x1a\n")
        key = location.rpartition("/")[2]
        link = httpx.post(f"{nginx.url}/up/api/v1/attachments/{key}/links", json={"purpose": "view"}).json()["url"]
        missing = httpx.get(f"{nginx.url}/up/api/v1/objects/user/a/slots/ProfilePhoto/picture")
        followed = [httpx.get(here(url)) for url in (whole.json()["binaryLocation"], link, missing.headers["Location"])]

    assert (settings.get("relative_location", False)) is created.headers["Location"].startswith("/up/files/")
    assert (204, 200) == (appended.status_code, whole.status_code)
    assert link.startswith(f"{origin}/up/")
    assert [200, 200, 200] == [answer.status_code for answer in followed]
    assert followed[1].content == b"kelp\n"
