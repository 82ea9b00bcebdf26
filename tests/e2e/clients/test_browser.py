"""
What a real browser makes of attachments that are opened in a tab.
"""

from __future__ import annotations

import io
import json
import math
import struct
import wave
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from servers.holdfast import Holdfast
from tests.e2e.clients.browser import Browser
from tests.e2e.conftest import Serve
from tests.pictures import PNG


@pytest.fixture
def browser(folder: Path) -> Iterator[Browser]:
    """Return a browser whose tab is empty."""
    with Browser(folder / "browser") as browser:
        yield browser


def sound() -> bytes:
    """Return a tenth of a second of a tone, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(at / 3))) for at in range(800)))
    return file.getvalue()


def upload(server: Holdfast, content: bytes, kind: str) -> str:
    """Return the URL of a complete upload."""
    fields = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": f"filetype {b64encode(kind.encode()).decode()}",
        "Content-Type": "application/offset+octet-stream",
    }
    created = httpx.post(f"{server.url}/files", headers=fields, content=content)

    assert (201, str(len(content))) == (created.status_code, created.headers["Upload-Offset"])
    return str(created.headers["Location"])


def test_opened_in_a_tab(serve: Serve, browser: Browser) -> None:
    """A sound plays, a picture is drawn, and a text has its letters."""
    server = serve()
    tone, picture = upload(server, sound(), "audio/wav"), upload(server, PNG, "image/png")
    text, latin = upload(server, "Tang, Größe 5 ≤ 6".encode(), "text/plain"), upload(server, b"Gr\xf6\xdfe", "text/plain")

    browser.open(tone)
    player = browser.until(
        "(() => { const it = document.querySelector('video'); return it && it.duration > 0 && it.duration })()"
    )
    refused = browser.evaluate("document.querySelector('video').error")
    browser.open(picture)
    size = browser.until("document.contentType == 'image/png' && document.images[0].naturalWidth")
    browser.open(text)
    letters = browser.until("document.contentType == 'text/plain' && document.body.textContent")
    browser.open(latin)
    guessed = browser.until("document.body.textContent != 'Tang, Größe 5 ≤ 6' && document.body.textContent")

    assert (0.1, None) == (player, refused)
    assert size > 0
    assert ("Tang, Größe 5 ≤ 6", "Größe") == (letters, guessed)


def test_page_of_another_origin(serve: Serve, browser: Browser, folder: Path) -> None:
    """A page uploads to another origin with every field of a tracer and a cookie, and sees where the upload is."""
    page = serve()
    service = serve(folder / "other", cors_origins=page.url, cors_fields="X-Mine")
    fields = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "4",
        "Content-Type": "application/offset+octet-stream",
        "traceparent": "00-0-0-01",
        "baggage": "a=b",
        "sentry-trace": "1",
        "X-CSRF-Token": "a",
        "Cache-Control": "no-cache",
        "X-Mine": "a",
        "X-Requested-With": "XMLHttpRequest",
    }
    browser.open(f"{page.url}/openapi.json")
    browser.until(f"location.origin == '{page.url}' && document.readyState == 'complete'")
    options = f"{{method: 'POST', credentials: 'include', body: 'kelp', headers: {json.dumps(fields)}}}"
    seen = "answer => [answer.status, answer.headers.get('Location'), answer.headers.get('Upload-Offset')]"
    answer = browser.evaluate(f"fetch('{service.url}/files', {options}).then({seen}, String)")
    unknown = browser.evaluate(f"fetch('{service.url}/files', {options.replace('X-Mine', 'X-Unknown')}).then({seen}, String)")

    assert isinstance(answer, list), answer
    assert (201, "4") == (answer[0], answer[2])
    assert answer[1].startswith(f"{service.url}/files/")
    assert unknown == "TypeError: Failed to fetch"
