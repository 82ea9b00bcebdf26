"""
Images that people really have, on the way of a profile photo: created, sent, associated, and seen as a thumbnail.
"""

from __future__ import annotations

import json
import mimetypes
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.protocols.access.accounts import KELP
from tests.protocols.service import Serve, key_of

API = "/.api2/api/v1/communities/1/attachments"
CASES = Path(__file__).parents[2] / "images" / "cases"
JSON = {"Content-Type": "application/json"}
REFUSED = {
    "png-idat-badcrc.png": 422,
    "png-colour-type-7.png": 422,
    "jpg-unknown-marker-jpg0.jpg": 422,
    "heic-as-jpeg.jpg": 415,
    "webp-as-jpeg.jpg": 415,
}
# Nothing has no length, so it cannot even be announced.
NAMES = sorted(path.name for path in CASES.iterdir() if path.stat().st_size)


@pytest.mark.parametrize("name", NAMES)
async def test_profile_photo(serve: Serve, name: str) -> None:
    """What decoders show becomes a photo, whatever its name says; what they do not is refused in words of ours."""
    service = await serve()
    await service.send("PUT", f"/api/v1/objects/user/{KELP}", JSON, b"{}")
    content = (CASES / name).read_bytes()
    kind = mimetypes.guess_type(name)[0] or ""
    document = {"name": name, "contentType": kind, "contentLength": len(content)}
    created = await service.send("POST", API, JSON, json.dumps(document).encode())
    key = key_of(created)
    span = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}", "Content-Type": kind}
    sent = await service.send("PATCH", created.headers["Location"], span, content)
    last = sent
    if sent.status_code == 200:
        last = await service.send("POST", f"{API}/{key}/association/{KELP}?type=ProfilePhoto")
    shown = await service.send("GET", f"/.api2/binaries/{key}/thumbnails/{key}?width=50")

    assert 201 == created.status_code
    if name in REFUSED:
        assert REFUSED[name] == last.status_code
        assert " at 0x" not in last.text
        assert "message" in last.json()
    else:
        assert (200, 200, 200) == (sent.status_code, last.status_code, shown.status_code), last.text
        assert 50 >= Image.open(BytesIO(shown.content)).width
