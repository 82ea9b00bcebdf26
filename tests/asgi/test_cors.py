"""
What pages of other origins may send and see.
"""

from __future__ import annotations

import pytest

from tests.asgi.spoken import read_fields, written_fields
from tests.protocols.access.accounts import ACCOUNTS, TOKENS
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL
from tests.protocols.service import COMPLETE, HALF_SENT, Serve, Service
from tests.protocols.tus_requests import VERSION, creation

PAGE = {"Origin": "https://page.example"}
METHODS = ["POST", "HEAD", "PATCH", "OPTIONS", "GET", "DELETE", "PUT"]
# Sent by clients of the dialects and by what watches them, and read by none.
OF_CLIENTS = {
    "origin",
    "x-request-id",
    "x-requested-with",
    "x-csrf-token",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
}
OF_CLIENTS |= {"cache-control", "repr-digest", "content-digest", "want-repr-digest", "want-content-digest", "content-encoding"}
OF_CLIENTS |= {"upload-name", "upload-checksum", "upload-concat", "upload-incomplete", "upload-complete", "upload-length"}
# No page may set them (Fetch, section 2.2.2, forbidden request-headers), or only a proxy does.
OF_BROWSERS = {"content-length", "cookie", "expect", "host", "sec-fetch-site", "transfer-encoding"}
OF_PROXIES = {name for name in read_fields() if name.startswith("x-forwarded-")} | {"forwarded", "via", "x-real-ip"}
SENT = sorted((read_fields() | OF_CLIENTS) - OF_BROWSERS - OF_PROXIES)
# A page sees these anyway (Fetch, section 2.2.2, CORS-safelisted response-header names).
SAFE = {"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Last-Modified", "Pragma"}
# For the browser, or a server in front, and for no script.
NOT_FOR_PAGES = {"Content-Security-Policy", "X-Accel-Redirect", "X-Content-Type-Options"}
SEEN = sorted(written_fields() - SAFE - NOT_FOR_PAGES)


def _preflight(method: str, *names: str) -> dict[str, str]:
    asked = {"Access-Control-Request-Method": method}
    return PAGE | asked | ({"Access-Control-Request-Headers": ", ".join(names).lower()} if names else {})


@pytest.mark.parametrize("path", ["/files", "/files/0123456789", COMMUNITY_URL, ENTRY_URL])
@pytest.mark.parametrize("method", METHODS)
async def test_preflight_of_methods(service: Service, method: str, path: str) -> None:
    """A page may use every method that a protocol has."""
    response = await service.send("OPTIONS", path, _preflight(method))

    assert response.status_code in (200, 204)
    assert method in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_the_dialects_are_read() -> None:
    """What the dialects read and write is found in their source, whichever way they do it."""
    assert {"if-match", "holdfast-attach-to", "upload-checksum", "upload-offset", "x-symphony-host"} <= set(SENT)
    assert {"Content-Disposition", "ETag", "Tus-Version", "Upload-Limit", "WWW-Authenticate"} <= set(SEEN)


@pytest.mark.parametrize("name", SENT)
async def test_preflight_of_fields(service: Service, name: str) -> None:
    """A page may send every field that a client of a protocol sends."""
    response = await service.send("OPTIONS", "/files", _preflight("PATCH", name))

    assert response.status_code in (200, 204)
    assert name in response.headers["Access-Control-Allow-Headers"].lower().split(", ")


async def test_preflight_needs_no_version(service: Service) -> None:
    """A preflight, which cannot have Tus-Resumable, is remembered for a day."""
    response = await service.send("OPTIONS", "/files", _preflight("POST", *SENT))

    assert (200, "86400") == (response.status_code, response.headers["Access-Control-Max-Age"])


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "GET", "POST"])
async def test_fields_that_a_page_sees(service: Service, method: str) -> None:
    """A page sees every field that a response of a protocol has, refusals included."""
    key = await service.keep(COMPLETE if method == "GET" else HALF_SENT)
    response = await service.send(method, "/files" if method == "POST" else f"/files/{key}", PAGE | VERSION)
    seen = {name.strip() for name in response.headers["Access-Control-Expose-Headers"].split(",")}

    assert set() == set(SEEN) - seen
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_other_origins(serve: Serve) -> None:
    """Where origins are named, their pages are let in, others are not, and caches are told of the difference."""
    service = await serve(cors_origins="https://page.example, https://other.example")
    known = await service.send("POST", "/files", creation(20) | PAGE)
    stranger = await service.send("POST", "/files", creation(20) | {"Origin": "https://evil.example"})
    preflight = await service.send("OPTIONS", "/files", _preflight("POST") | {"Origin": "https://evil.example"})

    assert known.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert known.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in known.headers["Vary"]
    assert (None, None) == tuple(r.headers.get("Access-Control-Allow-Origin") for r in (stranger, preflight))


async def test_unknown_field(serve: Serve) -> None:
    """A field that nobody knows, and a method, are no errors: the answer lists what may be sent, with what a setting adds."""
    service = await serve(cors_fields="X-Mine, X-Ours")
    asked = {"Access-Control-Request-Private-Network": "true"} | _preflight("PURGE", "X-Mine", "X-Nobodys", "Upload-Offset")
    response = await service.send("OPTIONS", "/files", asked)
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")

    assert (200, "*") == (response.status_code, response.headers["Access-Control-Allow-Origin"])
    assert {"X-Mine", "X-Ours", "Upload-Offset"} <= set(allowed)
    assert "x-nobodys" not in [name.lower() for name in allowed]
    assert "PURGE" not in response.headers["Access-Control-Allow-Methods"]


async def test_credentials(serve: Serve) -> None:
    """Pages of named origins may send cookies and change something by them; of all origins, and of others, none may."""
    token = TOKENS["owner"]
    everybody, named = await serve(**ACCOUNTS), await serve(**ACCOUNTS, cors_origins=PAGE["Origin"])
    cookie = {"Cookie": f"iglooauth={token}", "Sec-Fetch-Site": "cross-site"}
    stranger = {"Origin": "https://evil.example"}
    answers = [
        await service.send("POST", "/files", creation(20) | cookie | origin)
        for service, origin in ((named, PAGE), (named, stranger), (everybody, PAGE))
    ]
    preflights = [
        await service.send("OPTIONS", "/files", _preflight("POST") | origin)
        for service, origin in ((named, PAGE), (named, stranger), (everybody, PAGE))
    ]

    assert [201, 401, 401] == [answer.status_code for answer in answers]
    assert ["true", None, None] == [answer.headers.get("Access-Control-Allow-Credentials") for answer in preflights]
    assert [PAGE["Origin"], None, "*"] == [answer.headers.get("Access-Control-Allow-Origin") for answer in answers]
    assert [PAGE["Origin"], None, "*"] == [answer.headers.get("Access-Control-Allow-Origin") for answer in preflights]
    assert all("Origin" in answer.headers["Vary"] for answer in (*answers, *preflights))
    assert "Access-Control-Allow-Credentials" not in answers[2].headers


async def test_own_pages_behind_a_proxy(serve: Serve) -> None:
    """Our own pages may send cookies under the name that a trusted proxy, or the public URL, gives us."""
    asked = creation(20) | {"Cookie": f"iglooauth={TOKENS['owner']}", "Origin": "https://files.example"}
    proxied = {"X-Forwarded-Host": "files.example", "X-Forwarded-Proto": "https"}
    plain, public = await serve(**ACCOUNTS), await serve(**ACCOUNTS, public_url="https://files.example/up")
    answers = [
        await plain.send("POST", "/files", asked | proxied),
        await public.send("POST", "/files", asked),
        await plain.send("POST", "/files", asked),
    ]

    assert [201, 201, 401] == [answer.status_code for answer in answers]


async def test_no_page(service: Service) -> None:
    """A client that is no page is served as ever."""
    response = await service.send("POST", "/files", creation(20))

    assert (201, None) == (response.status_code, response.headers.get("Access-Control-Allow-Origin"))
    assert "Origin" in response.headers["Vary"]  # a cache must not give this answer to a page


async def test_options_of_a_client(service: Service) -> None:
    """OPTIONS that is no preflight is the protocol's own, though a page sends it."""
    response = await service.send("OPTIONS", "/files", PAGE)

    assert (204, "1.0.0") == (response.status_code, response.headers["Tus-Version"])
