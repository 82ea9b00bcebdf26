"""
Which URL speaks which protocol, and what the others say.
"""

from __future__ import annotations

import itertools

import pytest

from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry
from tests.protocols.exchange import ANYTHING
from tests.protocols.service import COMPLETE, EMPTY, HALF_SENT, IMAGE, Service

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
BINARY_URL = "/.api2/binaries/{key}/download/a.png"
# What each URL, in each of its protocols, has a meaning for; PUT of /files is the draft's alone, but is said to be allowed.
MEANINGS: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "tus, the collection": ("/files", tus_requests.VERSION, {"POST", "PUT", "OPTIONS"}),
    "tus, an upload": ("/files/{key}", tus_requests.VERSION, {"HEAD", "PATCH", "DELETE", "GET", "OPTIONS"}),
    "the IETF draft, the collection": ("/files", draft_requests.INTEROP, {"POST", "PUT", "OPTIONS"}),
    "the IETF draft, an upload": ("/files/{key}", draft_requests.INTEROP, {"HEAD", "PATCH", "DELETE", "GET", "OPTIONS"}),
    "the attachments API, the collection": (COMMUNITY_URL, {}, {"POST", "OPTIONS"}),
    "the attachments API, an upload": (ENTRY_URL, {}, {"HEAD", "PATCH", "DELETE", "GET", "OPTIONS"}),
    "a binary": (BINARY_URL, {}, {"GET", "HEAD"}),
    "health": ("/healthz", {}, {"GET", "HEAD"}),
    "readiness": ("/readyz", {}, {"GET", "HEAD"}),
}
REFUSED = [(name, method) for name, method in itertools.product(MEANINGS, METHODS) if method not in MEANINGS[name][2]]


@pytest.mark.parametrize(("name", "method"), REFUSED, ids=[f"{method} of {name}" for name, method in REFUSED])
async def test_method_not_allowed(service: Service, name: str, method: str) -> None:
    """A method without a meaning is 405, with the methods that have one (RFC 9110, section 15.5.6)."""
    path, fields, meanings = MEANINGS[name]
    key = await service.keep(HALF_SENT)
    response = await service.send(method, path.replace("{key}", key), fields)
    allowed = {name.strip() for name in response.headers.get("Allow", "").split(",")}

    assert response.status_code == 405
    assert method not in allowed
    assert meanings >= allowed >= meanings - {"OPTIONS"}


@pytest.mark.parametrize("name", [name for name, (_, _, methods) in MEANINGS.items() if "OPTIONS" in methods])
async def test_options(service: Service, name: str) -> None:
    """OPTIONS tells the methods of a URL."""
    path, fields, _ = MEANINGS[name]
    key = await service.keep(COMPLETE)
    response = await service.send("OPTIONS", path.replace("{key}", key), fields)

    assert response.is_success
    assert response.headers.get("Allow") == ANYTHING


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/Files",
        "/file",
        "/files.json",
        "/.api2",
        "/.api2/api/v1/communities/1/attachments/uploads",
        "/.api2/api/v2/communities/1/attachments",
        "/.api2/binaries/0123456789",
        "/healthz/x",
        "/api/v1/communities/1/attachments",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_nobody_speaks_here(service: Service, path: str, method: str) -> None:
    """Where nobody speaks, a problem document says so (RFC 9457)."""
    response = await service.send(method, path)

    assert response.status_code in (404, 405)
    assert response.headers["Content-Type"].startswith(("application/problem+json", "application/json", "text/plain"))
    assert response.status_code == 405 or method == "HEAD" or response.json()["status"] == 404


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [("GET", "/nothing", (404, "not_found")), ("POST", "/healthz", (405, "method_not_allowed"))],
)
async def test_problems_have_names(service: Service, method: str, path: str, problem: tuple[int, str]) -> None:
    """What nobody speaks about is called by what is wrong with it: a mistake of the client is no error of the server."""
    answer = await service.send(method, path)

    assert problem == (answer.status_code, answer.json()["title"])


@pytest.mark.parametrize(
    ("method", "path", "fields", "content"),
    [
        ("POST", "/files", tus_requests.creation(20), b""),
        ("POST", "/files", draft_requests.creation("?0"), b""),
        ("POST", COMMUNITY_URL, JSON, entry()),
        ("HEAD", "/files/{key}", tus_requests.VERSION, b""),
        ("PATCH", "/files/{key}", tus_requests.at(0), IMAGE),
        ("PATCH", "/files/{key}", draft_requests.append(0), IMAGE),
        ("HEAD", ENTRY_URL, {}, b""),
        ("OPTIONS", "/files", {}, b""),
    ],
)
async def test_slash_at_the_end(service: Service, method: str, path: str, fields: dict[str, str], content: bytes) -> None:
    """A slash at the end makes no difference, and is no redirect."""
    statuses = set()
    for slash in ("", "/"):
        key = await service.keep(EMPTY)
        response = await service.send(method, path.replace("{key}", key) + slash, fields, content)
        statuses.add(response.status_code)

    assert len(statuses) == 1
    assert max(statuses) < 300


async def test_protocols_share_uploads(service: Service) -> None:
    """An upload of the default tenant is there under the URLs of its community, and the other way round."""
    key = await service.keep(HALF_SENT)
    statuses = [
        (await service.send("HEAD", f"/files/{key}", tus_requests.VERSION)).status_code,
        (await service.send("HEAD", f"/files/{key}", draft_requests.INTEROP)).status_code,
        (await service.send("HEAD", ENTRY_URL.replace("{key}", key))).status_code,
    ]

    assert [200, 204, 202] == statuses


async def test_tus_goes_first(service: Service) -> None:
    """A request with Tus-Resumable is tus, though it has fields of the IETF draft: some clients send those with every upload."""
    mixed = draft_requests.INTEROP | {"Upload-Complete": "?1"}
    created = await service.send("POST", "/files", tus_requests.creation(20) | mixed)
    appended = await service.send("PATCH", created.headers["Location"], tus_requests.at(0) | mixed, IMAGE)

    assert (201, "1.0.0", None) == (
        created.status_code,
        created.headers["Tus-Resumable"],
        created.headers.get("Upload-Complete"),
    )
    assert (204, "1.0.0") == (appended.status_code, appended.headers["Tus-Resumable"])


async def test_override_is_of_tus(service: Service) -> None:
    """X-HTTP-Method-Override means something in tus only: elsewhere a proxy could be tricked with it."""
    key = await service.keep(HALF_SENT)
    response = await service.send("POST", f"/files/{key}", {"X-HTTP-Method-Override": "DELETE"})
    record = await service.record(key)

    assert record is not None
    assert (True, "open") == (response.status_code >= 400, record.state)
