"""
Links: nobody gets more by one than whoever signed it has.
"""

from __future__ import annotations

import json

import pytest

from holdfast.storage.records import Intent, Key, SlotRef, Subject
from tests.pictures import PNG, TELLING
from tests.protocols.access.accounts import GROUP, KELP, WRACK, bearing, serve_accounts
from tests.protocols.service import COMMUNITY, COMPLETE, HALF_SENT, Serve, Service

JSON = {"Content-Type": "application/json"}
SLOT = f"/api/v1/objects/user/{KELP}/slots/ProfilePhoto"


async def sign(service: Service, who: str, key: str, purpose: str) -> tuple[int, str]:
    """Return the status and the link that somebody gets."""
    document = json.dumps({"purpose": purpose}).encode()
    answer = await service.send("POST", f"/api/v1/attachments/{key}/links", {**bearing(who), **JSON}, document)
    return answer.status_code, answer.json().get("link", "")


async def photo_of_kelp(service: Service) -> Key:
    """Return a photo with facts in it that is in the slot of its owner."""
    photo = await service.photo(TELLING, creator=Subject(KELP))
    assert (await service.send("PUT", f"{SLOT}/attachments/{photo}", bearing("owner"))).status_code == 200
    return photo


@pytest.mark.parametrize(("who", "shown"), [("owner", TELLING), ("admin", TELLING), ("member", PNG)])
async def test_what_a_view_link_shows(serve: Serve, who: str, shown: bytes) -> None:
    """What its maker sees: the original if it is theirs, else the pixels."""
    service = await serve_accounts(serve)
    photo = await photo_of_kelp(service)
    status, link = await sign(service, who, photo, "view")
    answers = [
        await service.send("GET", f"/files/{photo}?link={link}"),
        await service.send("GET", f"/.api2/binaries/{photo}/download/a.png?link={link}"),
    ]

    assert 201 == status
    assert [(200, shown)] * 2 == [(answer.status_code, answer.content) for answer in answers]


async def test_a_view_link_after_the_photo_left(serve: Serve) -> None:
    """Of what is in no slot any more others see nothing, by link or without one."""
    service = await serve_accounts(serve)
    photo = await photo_of_kelp(service)
    _, link = await sign(service, "member", photo, "view")
    await service.send("DELETE", SLOT, bearing("owner"))
    answers = [
        await service.send("GET", f"/files/{photo}?link={link}"),
        await service.send("GET", f"/.api2/binaries/{photo}/thumbnails/a.png?link={link}"),
        await service.send("GET", f"/api/v1/attachments/{photo}?link={link}"),
    ]

    assert [403] * 3 == [answer.status_code for answer in answers]


@pytest.mark.parametrize(("who", "status"), [("lists", 201), ("nobody's", 403), ("uploader", 403)])
async def test_who_signs_an_upload_link_may_fill_the_slot(serve: Serve, who: str, status: int) -> None:
    """Whoever may not change the slot that an upload is for gives nobody the right to do it."""
    service = await serve_accounts(serve)
    subject, signer = {"lists": ("lists", "entitled"), "nobody's": (WRACK, "member"), "uploader": (KELP, "uploader")}[who]
    kind, name, slot = ("user", KELP, "ProfilePhoto") if who == "uploader" else ("group", GROUP, "GroupAvatar")
    intent = Intent(slot=SlotRef(tenant=COMMUNITY, kind=kind, id=name, slot=slot))
    key = await service.keep({**HALF_SENT, "creator": Subject(subject), "intent": intent})

    assert status == (await sign(service, signer, key, "upload"))[0]


async def test_an_attach_link_is_for_its_own_upload(serve: Serve) -> None:
    """It puts its upload into a slot and takes it out; it does not rule the slot."""
    service = await serve_accounts(serve)
    mine, other = [await service.photo(creator=Subject(KELP)) for _ in range(2)]
    await service.send("PUT", f"{SLOT}/attachments/{other}", bearing("owner"))
    _, link = await sign(service, "owner", mine, "attach")
    association = f"/.api2/api/v1/communities/1/attachments/{other}/association/{KELP}?type=ProfilePhoto"
    answers = [
        await service.send("DELETE", f"{SLOT}/attachments/{other}?link={link}"),
        await service.send("DELETE", f"{association}&link={link}"),
        await service.send("DELETE", f"{SLOT}?link={link}"),
        await service.send("PUT", f"{SLOT}?link={link}", JSON, json.dumps({"order": [other]}).encode()),
        await service.send("POST", f"{SLOT}/undo?link={link}"),
        await service.send("PUT", f"{SLOT}/attachments/{mine}?link={link}"),
        await service.send("DELETE", f"{SLOT}/attachments/{mine}?link={link}"),
        await service.send("PUT", f"{SLOT}/attachments/{other}?link={link}"),
    ]

    assert [404, 404, 403, 403, 403, 200, 200, 404] == [answer.status_code for answer in answers]


@pytest.mark.parametrize("purpose", ["view", "upload", "attach"])
async def test_a_link_makes_no_links(serve: Serve, purpose: str) -> None:
    """Who has a link cannot make it last longer, or give it on as another one."""
    service = await serve_accounts(serve)
    key = await service.keep(HALF_SENT if purpose == "upload" else COMPLETE)
    record = await service.record(key)
    status, link = await sign(service, "admin", key, purpose)
    document = json.dumps({"purpose": purpose}).encode()
    answer = await service.send("POST", f"/api/v1/attachments/{key}/links?link={link}", JSON, document)

    assert (201, 403) == (status, answer.status_code)
    assert record == await service.record(key)
