"""
Images as they are shown: thumbnails, pictures that never change, and URLs that lead to the one of now.
"""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from holdfast.service.core.policies import Policy
from tests.pictures import TELLING, picture
from tests.protocols.access.accounts import GROUP, KELP, WRACK
from tests.protocols.service import IMAGE, Serve, Service

JSON = {"Content-Type": "application/json"}
API = "/.api2/api/v1/communities/1"
SLOT = f"/api/v1/objects/user/{KELP}/slots/ProfilePhoto"
LARGE = picture("JPEG", (400, 200))


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service that knows two users."""
    service = await serve()
    for user in (KELP, WRACK):
        await service.send("PUT", f"/api/v1/objects/user/{user}", JSON, b"{}")
    return service


async def attach(service: Service, content: bytes) -> str:
    """Return the key of an image that is the photo of KELP."""
    key = await service.photo(content)
    answer = await service.send("POST", f"{API}/attachments/{key}/association/{KELP}?type=ProfilePhoto")
    assert answer.status_code == 200
    return key


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", (400, 200)),
        ("?width=100", (100, 50)),
        ("?height=100", (200, 100)),
        ("?width=100&height=100", (100, 50)),
        ("?width=100&height=100&crop=True", (100, 100)),
        ("?width=100&height=100&crop=False", (100, 50)),
        ("?width=1000", (400, 200)),
        ("?width=101", (150, 75)),
        ("?width=110&height=110&crop=true", (150, 150)),
        ("?width=300&unknown=1", (300, 150)),
    ],
)
async def test_thumbnail(service: Service, query: str, size: tuple[int, int]) -> None:
    """Width, height and crop are a box to fit in or to fill, rounded up; nothing is enlarged; the name is for show."""
    key = await service.photo(LARGE)
    response = await service.send("GET", f"/.api2/binaries/{key}/thumbnails/whatever{query}")

    assert (200, "image/jpeg", "nosniff") == (
        response.status_code,
        response.headers["Content-Type"],
        response.headers["X-Content-Type-Options"],
    )
    assert size == Image.open(BytesIO(response.content)).size


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?width=0", "size_invalid"),
        ("?width=-1", "size_invalid"),
        ("?width=x", "size_invalid"),
        ("?width=", "size_invalid"),
        ("?width=99999", "size_invalid"),
        ("?width=%D9%A3", "size_invalid"),
        ("?width=1&width=2", "repeated_value"),
        ("?crop=perhaps", "crop_invalid"),
    ],
)
async def test_bad_sizes(service: Service, query: str, code: str) -> None:
    """400, in the shape of the attachments API."""
    key = await service.photo(LARGE)
    response = await service.send("GET", f"/.api2/binaries/{key}/thumbnails/a{query}")

    assert (400, code) == (response.status_code, response.json()["code"])


async def test_few_sizes_are_made(service: Service) -> None:
    """Who asks for many sizes gets the same few, also from the stable URL."""
    key = await attach(service, LARGE)
    shown = [await service.send("GET", f"/.api2/binaries/{key}/thumbnails/a?width={width}") for width in range(101, 150, 6)]
    path = f"{API}/previews/thumbnails/{KELP}"
    locations = [(await service.send("GET", f"{path}?width={w}&height={w}&crop=true")).headers["Location"] for w in (140, 150)]

    assert 1 == len({answer.headers["ETag"] for answer in shown})
    assert 1 == len(set(locations))


async def test_what_is_no_image(service: Service) -> None:
    """404 for a key that nobody has, for what is not complete, and for what is no image."""
    text = await service.photo(b"nothing but plain text")
    keys = ["nobodysKey", "no key", text, await service.photo(IMAGE)]
    answers = [await service.send("GET", f"/.api2/binaries/{key}/thumbnails/a?width=5") for key in keys]

    assert [404] * 4 == [answer.status_code for answer in answers]


async def test_conditions(service: Service) -> None:
    """A thumbnail has an ETag, and is 304 for who has it; HEAD is GET without content."""
    key = await service.photo(TELLING)
    path = f"/.api2/binaries/{key}/thumbnails/a?width=2"
    first = await service.send("GET", path)
    again = await service.send("GET", path, {"If-None-Match": first.headers["ETag"]})
    head = await service.send("HEAD", path)

    assert (200, 304, b"", 200, b"") == (first.status_code, again.status_code, again.content, head.status_code, head.content)
    assert b"Location" not in first.content


async def test_tags_that_a_proxy_made_weak(service: Service) -> None:
    """A proxy that compresses makes a tag weak, and a client names all that it has: it is the same picture all the same."""
    path = f"/.api2/binaries/{await service.photo(TELLING)}/thumbnails/a?width=2"
    etag = (await service.send("GET", path)).headers["ETag"]
    tags = [f"W/{etag}", f'"other", W/{etag}', 'W/"other"']
    answers = [await service.send("GET", path, {"If-None-Match": tag}) for tag in tags]

    assert [304, 304, 200] == [answer.status_code for answer in answers]


async def test_an_image_that_is_too_large_to_be_shown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take too much memory is not read."""
    monkeypatch.setattr("holdfast.service.asgi.serving.pictures.MAX_ORIGINAL", len(LARGE))
    keys = [await service.photo(content) for content in (LARGE, LARGE + b"\0")]
    answers = [await service.send("GET", f"/.api2/binaries/{key}/thumbnails/a?width=5") for key in keys]

    assert [200, 404] == [answer.status_code for answer in answers]


@pytest.mark.parametrize("path", [f"{API}/previews/thumbnails/{KELP}", f"{SLOT}/picture"])
async def test_the_photo_of_now(service: Service, path: str) -> None:
    """A stable URL leads to one that never changes, tells by its ETag that it changed, and to a default picture for nobody's."""
    nothing = await service.send("GET", f"{path}?width=50")
    default = await service.send("GET", nothing.headers["Location"])
    await attach(service, LARGE)
    first = await service.send("GET", f"{path}?width=150&height=150&crop=true")
    same = await service.send("GET", f"{path}?width=150&height=150&crop=true", {"If-None-Match": first.headers["ETag"]})
    shown = await service.send("GET", first.headers["Location"])
    any_size = await service.send("GET", (await service.send("GET", f"{path}?width=70")).headers["Location"])
    whole = await service.send("GET", (await service.send("GET", path)).headers["Location"])
    await attach(service, TELLING)
    changed = await service.send("GET", f"{path}?width=150&height=150&crop=true", {"If-None-Match": first.headers["ETag"]})

    assert [302, 302, 304, 302] == [answer.status_code for answer in (nothing, first, same, changed)]
    assert ("image/png", "public, max-age=86400") == (default.headers["Content-Type"], default.headers["Cache-Control"])
    assert "immutable" in shown.headers["Cache-Control"]
    assert [(150, 150), (100, 50), (400, 200)] == [Image.open(BytesIO(one.content)).size for one in (shown, any_size, whole)]
    assert first.headers["Location"] != changed.headers["Location"]


async def test_who_is_not_known_has_the_default_picture(service: Service) -> None:
    """Pages full of people who are not known here get one cacheable picture, and no storm of errors."""
    response = await service.send("GET", f"{API}/previews/thumbnails/99999999-2222-4333-8444-555555555555")

    assert (302, True) == (response.status_code, "/avatars/static/" in response.headers["Location"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/avatars/1/50/{key}/wrong", 404),
        ("/avatars/1/51/{key}/wrong", 404),
        ("/avatars/1/50/nobodysKey/wrong", 404),
        ("/avatars/static/0/default.png", 404),
        ("/avatars/static/5000/default.png", 404),
        ("/avatars/static/x/default.png", 404),
        (f"/api/v1/objects/group/{GROUP}/slots/Nothing/picture", 404),
        (f"{SLOT}/picture?width=x", 400),
    ],
)
async def test_pictures_that_are_not(service: Service, path: str, status: int) -> None:
    """A name that is not that of the picture is 404, and so is a slot that there is not; native URLs answer as all of them do."""
    key = await attach(service, LARGE)
    response = await service.send("GET", path.replace("{key}", key))
    kind = "application/problem+json" if path.startswith("/api/v1/") else "application/json"

    assert (status, kind) == (response.status_code, response.headers["Content-Type"])


async def test_the_first_image_of_a_slot(serve: Serve) -> None:
    """In a slot that takes anything, the first image is its picture; where there is none, the default picture is."""
    service = await serve(slots=(Policy(kind="ticket", slot="Files", most=3),))
    await service.send("PUT", "/api/v1/objects/ticket/1", JSON, b"{}")
    slot = "/api/v1/objects/ticket/1/slots/Files"
    text, image = await service.photo(b"nothing but plain text"), await service.photo(LARGE)
    found = []
    for key in (text, image):
        await service.send("PUT", f"{slot}/attachments/{key}")
        found.append((await service.send("GET", f"{slot}/picture?width=50")).headers["Location"])
    shown = [await service.send("GET", location) for location in found]

    assert [200, 200] == [one.status_code for one in shown]
    assert [True, False] == ["/avatars/static/" in location for location in found]
    assert (50, 25) == Image.open(BytesIO(shown[1].content)).size


@pytest.mark.parametrize("community", ["foo", "01", "-1", "a%0d%0aSet-Cookie:%20b=c", "%00", "9" * 19])
async def test_no_community(service: Service, community: str) -> None:
    """The preview of a photo knows communities as the rest of the attachments API does."""
    response = await service.send("GET", f"/.api2/api/v1/communities/{community}/previews/thumbnails/{KELP}")

    assert (400, "community_key_invalid") == (response.status_code, response.json()["code"])
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("tenant", ["a%0d%0aSet-Cookie:%20b=c", "a%2fb", "%00", "", "a" * 300, "a%20b", "a%3fb"])
@pytest.mark.parametrize(
    "path",
    [
        f"{SLOT}/picture?communityKey={{tenant}}",
        "/.api2/binaries/nobodysKey/thumbnails/a?communityKey={tenant}",
        "/api/v1/objects/user?communityKey={tenant}",
    ],
)
async def test_no_tenant(service: Service, path: str, tenant: str) -> None:
    """What cannot be a tenant has nothing, and ends no field of an answer."""
    response = await service.send("GET", path.replace("{tenant}", tenant))

    assert 404 == response.status_code
    assert "Set-Cookie" not in response.headers
