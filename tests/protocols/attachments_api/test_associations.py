"""
Associating attachments with objects, in the words of the attachments API: the rows of its third request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO

import pytest
from PIL import Image

from holdfast.service.core.policies import Policy
from holdfast.storage.records import State
from tests.pictures import JPEG, PNG
from tests.protocols.attachments_requests import COMMUNITY_URL, JSON
from tests.protocols.service import CANCELLED, COMMUNITY, COMPLETE, EXPIRED, HALF_SENT, NOTHING, Given, Serve, Service

USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
PHOTO = "?type=ProfilePhoto"
TEXT = b"nothing but plain text"[:20]


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service that knows one user."""
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/user/{USER}", JSON, b"{}")
    return service


def url(key: str, user: str = USER, query: str = PHOTO, community: str = "1") -> str:
    """Return the URL of an association."""
    return f"{COMMUNITY_URL.replace('/1/', f'/{community}/')}/{key}/association/{user}{query}"


async def is_photo(service: Service, key: str) -> bool:
    """Say what the attachment says of itself."""
    found: bool = (await service.send("GET", f"{COMMUNITY_URL}/uploads/{key}")).json()["isProfilePhoto"]
    return found


async def test_associate(service: Service) -> None:
    """200, the attachment with isProfilePhoto true, and the etag of the slot; before, it was false."""
    key = await service.photo()
    before = await is_photo(service, key)
    response = await service.send("POST", url(key))

    assert (200, key, True) == (response.status_code, response.json()["key"], response.json()["isProfilePhoto"])
    assert response.headers["ETag"].startswith('"')
    assert (False, True) == (before, await is_photo(service, key))


async def test_associate_again(service: Service) -> None:
    """The same call repeated gets the same answer, with no second event."""
    key = await service.photo()
    first, second = [await service.send("POST", url(key)) for _ in range(2)]
    events = await service.stores.metadata.events(COMMUNITY, "", 100)

    assert (first.status_code, first.content, first.headers["ETag"]) == (200, second.content, second.headers["ETag"])
    assert ["object.registered", "attachment.attached"] == [logged.event.type for logged in events]


@pytest.mark.parametrize(
    "query", ["?type=ProfilePhoto", "?Type=ProfilePhoto", "?TYPE=ProfilePhoto", "?a=b&type=ProfilePhoto", "?type=Profile%50hoto"]
)
@pytest.mark.parametrize("user", [USER, USER.upper(), "{" + USER + "}", f"%7B{USER}%7D", USER + "/"])
async def test_ways_to_write_it(service: Service, query: str, user: str) -> None:
    """The name of the type in any case, a GUID in any case and with braces, a slash at the end."""
    assert 200 == (await service.send("POST", url(await service.photo(), user, query))).status_code


@pytest.mark.parametrize("fields", [{}, {"Content-Length": "0"}, {"Content-Type": "application/json"}])
async def test_no_content(service: Service, fields: Mapping[str, str]) -> None:
    """The known client sends an empty request without a Content-Type; others send one."""
    assert 200 == (await service.send("POST", url(await service.photo()), fields)).status_code


async def test_replace(service: Service) -> None:
    """The newest is the photo, the one before is not any more and can be had for a while."""
    old, new = await service.photo(), await service.photo()
    for key in (old, new):
        await service.send("POST", url(key))
    record = await service.record(old)

    assert (False, True) == (await is_photo(service, old), await is_photo(service, new))
    assert record is not None
    assert (State.COMPLETE, ()) == (record.state, record.attached)
    assert record.expires_at is not None


async def test_detach(service: Service) -> None:
    """204; the attachment is no photo any more, and cannot leave twice."""
    key = await service.photo()
    await service.send("POST", url(key))
    detached, again = [await service.send("DELETE", url(key)) for _ in range(2)]

    assert (204, b"", 404, "not_attached") == (detached.status_code, detached.content, again.status_code, again.json()["code"])
    assert not await is_photo(service, key)


async def test_what_is_attached_is_not_deleted(service: Service) -> None:
    """409, in each dialect, until it has left the slot."""
    key = await service.photo()
    await service.send("POST", url(key))
    entry, files = f"{COMMUNITY_URL}/uploads/{key}", f"/files/{key}"
    refused = await service.send("DELETE", entry)
    tus = await service.send("DELETE", files, {"Tus-Resumable": "1.0.0"})
    draft = await service.send("DELETE", files, {"Upload-Draft-Interop-Version": "9"})
    await service.send("DELETE", url(key))

    assert [(409, "attached"), 409, 409] == [(refused.status_code, refused.json()["code"]), tus.status_code, draft.status_code]
    assert 204 == (await service.send("DELETE", entry)).status_code


@pytest.mark.parametrize(
    ("user", "query", "status", "code"),
    [
        (USER, "", 400, "type_required"),
        (USER, "?type=", 400, "type_required"),
        (USER, "?kind=ProfilePhoto", 400, "type_required"),
        (USER, "?type=profilephoto", 400, "type_unknown"),
        (USER, "?type=Banner", 400, "type_unknown"),
        (USER, "?type=ProfilePhoto&Type=ProfilePhoto", 400, "repeated_value"),
        (USER, "?" + "&".join(["a=b"] * 100), 400, "type_required"),
        ("1", PHOTO, 400, "object_id_invalid"),
        (USER[:-1], PHOTO, 400, "object_id_invalid"),
        (USER.replace("-", ""), PHOTO, 400, "object_id_invalid"),
        ("{" + USER, PHOTO, 400, "object_id_invalid"),
        (USER + "x", PHOTO, 400, "object_id_invalid"),
        ("a/" + USER, PHOTO, 400, "object_id_invalid"),
        ("", PHOTO, 400, "object_id_invalid"),
        (OTHER, PHOTO, 404, "object_not_found"),
        (USER, "?type=GroupAvatar", 404, "object_not_found"),
    ],
)
async def test_refused(service: Service, user: str, query: str, status: int, code: str) -> None:
    """What is wrong with the type or the object, in the shape of the dialect; nothing is changed."""
    key = await service.photo()
    response = await service.send("POST", url(key, user, query))

    assert (status, code) == (response.status_code, response.json()["code"])
    assert not await is_photo(service, key)


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        (HALF_SENT, 409, "upload_incomplete"),
        (EXPIRED, 410, "gone"),
        (CANCELLED, 410, "gone"),
        ({"state": State.PURGED}, 410, "gone"),
        ({"offset": 20, "state": State.REJECTED}, 415, "content_type_mismatch"),
        (NOTHING, 404, "not_found"),
    ],
    ids=["open", "expired", "cancelled", "purged", "rejected", "unknown"],
)
async def test_uploads_that_cannot_be_associated(service: Service, given: Given, status: int, code: str) -> None:
    """Only what is complete is associated; one that is not tells how far it is."""
    key = await service.keep(given)
    response = await service.send("POST", url(key))

    assert (status, code) == (response.status_code, response.json()["code"])
    assert ("9" if status == 409 else None) == response.headers.get("Upload-Offset")


async def test_content_decides(service: Service) -> None:
    """What is no image cannot be a photo, whatever it was declared as."""
    key = await service.keep({**COMPLETE, "content_type": "image/png"}, TEXT)
    response = await service.send("POST", url(key))

    assert (415, "content_type_not_accepted") == (response.status_code, response.json()["code"])


async def test_communities_are_apart(service: Service) -> None:
    """In another community there is neither the user nor the attachment; one that is no integer is none."""
    key = await service.photo()

    assert 404 == (await service.send("POST", url(key, community="2"))).status_code
    assert 400 == (await service.send("POST", url(key, community="x"))).status_code


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"something else"'}, 400),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "other"}, 400),
        ({"If-None-Match": "*"}, 412),
        ({"If-Match": "W/{etag}"}, 412),
        ({"If-Match": '"other", {etag}'}, 200),
        ({"If-Match": "{etag}", "If-None-Match": "*"}, 412),
        ({"If-Match": "{etag}", "If-None-Match": '"other"'}, 200),
    ],
)
async def test_conditions(service: Service, fields: dict[str, str], status: int) -> None:
    """If-Match and If-None-Match speak of the slot (RFC 9110, section 13.1)."""
    first, second = await service.photo(), await service.photo()
    etag = (await service.send("POST", url(first), {"If-None-Match": "*"})).headers["ETag"]
    told = {name: value.replace("{etag}", etag) for name, value in fields.items()}
    response = await service.send("POST", url(second), told)

    assert status == response.status_code
    assert (status == 200) == await is_photo(service, second)


async def test_methods(service: Service) -> None:
    """What means nothing is 405 with Allow."""
    key = await service.photo()
    refused = await service.send("PATCH", url(key))
    options = await service.send("OPTIONS", url(key))

    assert (405, "POST, DELETE, OPTIONS") == (refused.status_code, refused.headers["Allow"])
    assert (204, "POST, DELETE, OPTIONS") == (options.status_code, options.headers["Allow"])


def bomb() -> bytes:
    """Return a PNG of 20,000 by 20,000 pixels, in a few kilobytes."""
    written = BytesIO()
    Image.new("1", (20_000, 20_000)).save(written, "PNG", optimize=True)
    return written.getvalue()


def animation(frames: int, size: int = 2) -> bytes:
    """Return a GIF that moves."""
    pictures = [Image.new("P", (size, size), at % 2) for at in range(frames)]
    for at, one in enumerate(pictures):
        one.putpalette([at % 256, 0, 0, 255, at // 256, 0])
    written = BytesIO()
    pictures[0].save(written, "GIF", save_all=True, append_images=pictures[1:], duration=50, loop=0)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (bomb, 413, "image_too_large"),
        (lambda: animation(10_000), 413, "image_too_large"),
        (lambda: PNG[:50], 422, "image_invalid"),
        (lambda: PNG + b"PK\x05\x06" + bytes(18), 422, "image_invalid"),
        (lambda: b"<!DOCTYPE html><script>alert(1)</script>", 415, "content_type_not_accepted"),
        (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', 415, "content_type_not_accepted"),
        (lambda: b"RIFF\x00\x00\x00\x00WEBPVP8 ", 415, "content_type_not_accepted"),
    ],
    ids=["400 megapixels", "10,000 frames", "cut", "an archive behind it", "HTML", "SVG", "WebP"],
)
async def test_images_that_are_refused(service: Service, content: Callable[[], bytes], status: int, code: str) -> None:
    """What is too much to decode, damaged, two things at once or no image is no photo, whatever it was declared as."""
    key = await service.photo(content(), content_type="image/png", name="photo.png")
    response = await service.send("POST", url(key))

    assert (status, code) == (response.status_code, response.json()["code"])
    assert not await is_photo(service, key)


async def test_a_jpeg_named_png(service: Service) -> None:
    """The content counts, not the name."""
    key = await service.photo(JPEG, content_type="image/png", name="photo.png")

    assert 200 == (await service.send("POST", url(key))).status_code


async def test_animation_is_kept(service: Service) -> None:
    """ "GIF will animate", in its thumbnails too."""
    key = await service.photo(animation(5, 40))
    await service.send("POST", url(key))
    shown = await service.send("GET", f"/.api2/binaries/{key}/thumbnails/a?width=10")

    assert 5 == getattr(Image.open(BytesIO(shown.content)), "n_frames", 1)


async def test_managed_elsewhere(serve: Serve) -> None:
    """A photo that is "synced from" another system is changed there: 409."""
    service = await serve(slots=(Policy(kind="user", slot="ProfilePhoto", managed_elsewhere=True),))
    await service.send("PUT", f"/api/v1/objects/user/{USER}", JSON, b"{}")
    response = await service.send("POST", url(await service.photo()))

    assert (409, "managed_externally") == (response.status_code, response.json()["code"])


async def test_other_objects_than_users(service: Service) -> None:
    """An id is what its own system calls the object; only those of users have to be GUIDs.  So it is with intents."""
    group = "60af77fd294165466ccdf510"
    await service.send("PUT", f"/api/v1/objects/group/{group}", JSON, b"{}")
    query = "?type=GroupAvatar"
    answer = await service.send("POST", url(await service.photo(), group, query))
    listed = await service.send("GET", f"{COMMUNITY_URL.removesuffix('attachments')}objects/{group}/attachments{query}")
    wrong = await service.send("POST", url(await service.photo(), "a%20b", query))
    document = {"name": "a.png", "contentType": "image/png", "contentLength": len(PNG), "type": "GroupAvatar"}
    created, refused = [
        await service.send("POST", COMMUNITY_URL, JSON, json.dumps(document | {"objectId": name}).encode())
        for name in (group, "a/b")
    ]

    assert (200, 200, 201) == (answer.status_code, listed.status_code, created.status_code)
    assert answer.json()["isProfilePhoto"] is False  # nobody's: it is in another slot
    assert [(400, "object_id_invalid")] * 2 == [(one.status_code, one.json()["code"]) for one in (wrong, refused)]


async def test_list(service: Service) -> None:
    """What is associated with an object, by the type; 404 for an object that nobody knows."""
    key = await service.photo(name="kelp.png")
    path = f"{COMMUNITY_URL.removesuffix('attachments')}objects/{USER}/attachments{PHOTO}"
    before = await service.send("GET", path)
    await service.send("POST", url(key))
    after = await service.send("GET", path)
    unknown = await service.send("GET", path.replace(USER, OTHER))

    assert ([], [key], 404) == (before.json()["items"], [item["key"] for item in after.json()["items"]], unknown.status_code)
    assert "kelp.png" == after.json()["items"][0]["name"] == after.json()["items"][0]["binaryLocation"].rpartition("/")[2]
    assert 200 == (await service.send("GET", after.json()["items"][0]["binaryLocation"])).status_code
