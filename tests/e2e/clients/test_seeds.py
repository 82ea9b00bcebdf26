"""
The requests of the three documents that this service was created from, and of the clients that are in use, byte for byte.

What stands in braces in a document is filled in; nothing else is changed.  Bytes go over a raw connection, so that no library of
ours mends them.
"""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from holdfast.service.accounts.making import make_token
from holdfast.service.core.policies import GROUP_AVATAR
from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.pictures import GIF, JPEG, PNG

SECRET = "32 bytes are what a secret needs"
USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
GROUP = "60af77fd294165466ccdf510"
TEAM = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
COMMUNITY = "10"
CRLF = "\r\n"

# What python-requests puts into every request of pyigloo and of Ellipsis' client.
REQUESTS = "User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
# What Jersey puts into every request of Symphony's Java client.
JERSEY = "Accept: application/json\r\nUser-Agent: Symphony BDK Java/2.14.0\r\nConnection: keep-alive\r\n"


def token(**more: Any) -> str:  # noqa: ANN401 - as make_token
    """Return the token of a session in that community."""
    return make_token(secret=SECRET, tenant=COMMUNITY, **{"subject": USER, **more})


@pytest.fixture
def server(serve: Serve) -> Holdfast:
    """Return a server with accounts that knows a user, a group and an organization's group."""
    server = serve(AUTH="jwt", JWT_SECRET=SECRET)
    admin = {"Authorization": f"Bearer {token(subject='admin', roles=['admin'])}"}
    for path in (f"user/{USER}", f"group/{GROUP}", f"organization_group/{TEAM}"):
        httpx.put(f"{server.url}/api/v1/objects/{path}", json={"name": "Test Group"}, headers=admin).raise_for_status()
    return server


class Answer:
    """What came back."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status, self.fields, self.content = response.status, response.headers, response.read()

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the content, parsed."""
        return json.loads(self.content)


def replay(server: Holdfast, head: str, content: bytes = b"") -> Answer:
    """Send these bytes and no others."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as wire:
        wire.sendall(head.encode("latin-1") + content)
        response = HTTPResponse(wire)
        response.begin()
        return Answer(response)


# Igloo


def igloo_create(server: Holdfast, cookie: str, fields: str, content: bytes) -> Answer:
    """Send ".api2/api/v1/communities/{communityKey}/attachments", with the slash that every URL begins with."""
    head = f"POST /.api2/api/v1/communities/{COMMUNITY}/attachments HTTP/1.1{CRLF}Host: localhost{CRLF}{REQUESTS}{cookie}{fields}"
    return replay(server, f"{head}Content-Length: {len(content)}{CRLF}{CRLF}", content)


@pytest.mark.parametrize("is_pyigloo", [False, True], ids=["as the document shows", "as pyigloo sends"])
@pytest.mark.parametrize(("photo", "kind"), [(JPEG, "image/jpg"), (PNG, "image/png"), (GIF, "image/gif")])
def test_igloo(server: Holdfast, is_pyigloo: bool, photo: bytes, kind: str) -> None:
    """Entry, content, association: the key is the last segment of Location, and the user has a photo."""
    cookie = f"Cookie: iglooauth={token()}{CRLF}"
    if is_pyigloo:
        form = f"name=photo&contentType={kind.replace('/', '%2F')}&contentLength={len(photo)}".encode()
        created = igloo_create(server, cookie, f"Content-Type: application/x-www-form-urlencoded{CRLF}", form)
    else:
        document = json.dumps({"ContentLength": len(photo), "ContentType": kind, "Name": "photo"}).encode()
        created = igloo_create(server, cookie, f"Content-Type: application/json{CRLF}", document)
    location = str(created.fields["Location"])
    key = location.rsplit("/", maxsplit=1)[-1]
    assert (201, f"/.api2/api/v1/communities/{COMMUNITY}/attachments/uploads/{key}", 10) == (created.status, location, len(key))

    head = (
        f"PATCH {location} HTTP/1.1{CRLF}Host: localhost{CRLF}{REQUESTS}{cookie}"
        f"Content-Range: bytes 0-{len(photo) - 1}/{len(photo)}{CRLF}Content-Length: {len(photo)}{CRLF}"
        f"Content-Type: {kind}{CRLF}{CRLF}"
    )
    sent = replay(server, head, photo)
    document = sent.json()
    expected = {
        "key": key,
        "contentLength": len(photo),
        "contentType": kind,
        "binaryLocation": f"/.api2/binaries/{key}/download/photo?communityKey={COMMUNITY}",
        "thumbnailLocation": f"/.api2/binaries/{key}/thumbnails/photo?communityKey={COMMUNITY}",
        "name": "photo",
        "isProfilePhoto": False,
    }
    assert (200, expected) == (sent.status, {name: document[name] for name in expected})

    path = f"/.api2/api/v1/communities/{COMMUNITY}/attachments/{key}/association/{USER}?type=ProfilePhoto"
    empty = f"POST {path} HTTP/1.1{CRLF}Host: localhost{CRLF}{REQUESTS}{cookie}Content-Length: 0{CRLF}{CRLF}"
    associated = replay(server, empty)
    assert (200, {**expected, "isProfilePhoto": True}) == (
        associated.status,
        {name: associated.json()[name] for name in expected},
    )
    for url in (expected["binaryLocation"], f"{expected['thumbnailLocation']}&width=300"):
        shown = replay(server, f"GET {url} HTTP/1.1{CRLF}Host: localhost{CRLF}{REQUESTS}{cookie}{CRLF}")
        assert (200, True) == (shown.status, str(shown.fields["Content-Type"]).startswith("image/"))


def test_igloo_without_a_session(server: Holdfast) -> None:
    """ "An active session must be established"."""
    assert 401 == igloo_create(server, "", f"Content-Type: application/json{CRLF}", b"{}").status


def test_igloo_photo_of_another(server: Holdfast) -> None:
    """ "The active user must have administrative permissions" for the photo of anybody else."""
    someone, boss = token(subject=TEAM), token(subject="boss", roles=["admin"])
    admin = {"Authorization": f"Bearer {boss}"}
    statuses = []
    for session in (someone, boss):
        cookie = f"Cookie: iglooauth={session}{CRLF}"
        document = json.dumps({"ContentLength": len(PNG), "ContentType": "image/png", "Name": "photo"}).encode()
        location = str(igloo_create(server, cookie, f"Content-Type: application/json{CRLF}", document).fields["Location"])
        key = location.rsplit("/", maxsplit=1)[-1]
        head = (
            f"PATCH {location} HTTP/1.1{CRLF}Host: a{CRLF}{cookie}Content-Range: bytes 0-{len(PNG) - 1}/{len(PNG)}{CRLF}"
            f"Content-Length: {len(PNG)}{CRLF}Content-Type: image/png{CRLF}{CRLF}"
        )
        replay(server, head, PNG)
        path = f"/.api2/api/v1/communities/{COMMUNITY}/attachments/{key}/association/{USER}?type=ProfilePhoto"
        answer = replay(server, f"POST {path} HTTP/1.1{CRLF}Host: a{CRLF}{cookie}Content-Length: 0{CRLF}{CRLF}")
        statuses.append(answer.status)
    slot = httpx.get(f"{server.url}/api/v1/objects/user/{USER}/slots/ProfilePhoto", headers=admin)

    assert [403, 200] == statuses
    assert 1 == len(slot.json()["attachments"])


# Symphony

# The document's own request: "Host:" has nothing, "JWT" is no token, and "Ynl0ZXM=" is the word "bytes".
SYMPHONY = (
    f"POST /profile-manager/v1/groups/{GROUP}/avatar HTTP/1.1\r\n"
    "Host:\r\n"
    "Authorization: Bearer {jwt}\r\n"
    "X-Symphony-Host: {host}\r\n"
    "Content-Type: application/json\r\n"
    "Accept: */*\r\n"
    "Content-Length: {length}\r\n"
    "\r\n"
)
ENTITLED = {"entitlements": [str(GROUP_AVATAR.entitlement)]}


def symphony(server: Holdfast, jwt: str, host: str, content: bytes) -> Answer:
    """Send the document's request."""
    return replay(server, SYMPHONY.format(jwt=jwt, host=host, length=len(content)), content)


def test_symphony_as_the_document_shows(server: Holdfast) -> None:
    """Its token is none: 401.  With a real one its image is five letters and no image: 400."""
    example = b'{"image":"Ynl0ZXM="}'
    assert 20 == len(example)
    wrong = symphony(server, "JWT", "localhost.symphony.com", example)
    refused = symphony(server, token(**ENTITLED), "localhost.symphony.com", example)

    assert (401, 400, "unsupported_image") == (wrong.status, refused.status, refused.json()["code"])


@pytest.mark.parametrize("image", [JPEG, PNG, GIF], ids=["jpg", "png", "gif"])
@pytest.mark.parametrize("host", ["localhost.symphony.com", ""], ids=["the document's host", "the official client's empty host"])
def test_symphony(server: Holdfast, host: str, image: bytes) -> None:
    """200 and the whole group, with avatars that can be fetched."""
    content = json.dumps({"image": b64encode(image).decode()}).encode()
    response = symphony(server, token(**ENTITLED), host, content)
    group = response.json()
    bearer = f"Authorization: Bearer {token()}{CRLF}"

    assert (200, "application/json", f'"{group["eTag"]}"') == (
        response.status,
        response.fields["Content-Type"],
        response.fields["ETag"],
    )
    assert (GROUP, "Test Group", "SDL", "ACTIVE") == (group["id"], group["name"], group["type"], group["status"])
    for avatar in group["profile"]["avatars"]:
        shown = replay(server, f"GET {avatar['url']} HTTP/1.1{CRLF}Host: a{CRLF}{bearer}{CRLF}")
        assert 200 == shown.status
    found = replay(
        server,
        f"GET /profile-manager/v1/groups/{GROUP} HTTP/1.1{CRLF}Host: a{CRLF}{bearer}X-Symphony-Host: {host}{CRLF}{JERSEY}{CRLF}",
    )
    assert group == found.json()


@pytest.mark.parametrize(
    ("jwt", "status"), [({}, 403), ({"seconds": -60, **ENTITLED}, 401), ({"tenant": "11", **ENTITLED}, 404)], ids=str
)
def test_symphony_statuses(server: Holdfast, jwt: Mapping[str, Any], status: int) -> None:
    """403 without the entitlement; 401 when the token expired, so that the client gets another; 404 in another pod."""
    content = json.dumps({"image": b64encode(PNG).decode()}).encode()
    made = make_token(secret=SECRET, **{"tenant": COMMUNITY, "subject": USER, **jwt})

    assert status == symphony(server, made, "", content).status


# Ellipsis


def ellipsis(server: Holdfast, who: str, path: str, content: bytes) -> Answer:
    """Send what `requests.patch(url, json=…)` sends."""
    head = (
        f"PATCH {path} HTTP/1.1{CRLF}Host: api.ellipsis-drive.com{CRLF}{REQUESTS}Authorization: Bearer {who}{CRLF}"
        f"Content-Type: application/json{CRLF}Content-Length: {len(content)}{CRLF}{CRLF}"
    )
    return replay(server, head, content)


@pytest.mark.parametrize("path", [f"/organization/group/{TEAM}/profile", f"/v3/organization/group/{TEAM}/profile"])
@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,"], ids=["bare", "as its client sends images"])
def test_ellipsis(server: Holdfast, path: str, prefix: str) -> None:
    """Exactly 200, for the account holder only, each of ten times."""
    content = json.dumps({"picture": prefix + b64encode(JPEG).decode()}).encode()
    holder = token(subject="holder", roles=["account_holder"])
    answers = [ellipsis(server, holder, path, content) for _ in range(10)]

    assert {200} == {answer.status for answer in answers}
    assert 1 == len({answer.content for answer in answers})
    assert {"id", "name", "picture"} == set(answers[0].json())
    for who in (token(), token(roles=["admin"])):
        refused = ellipsis(server, who, path, content)
        assert (403, True) == (refused.status, refused.content.startswith(b"forbidden: "))
