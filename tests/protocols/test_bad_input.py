"""
Whatever a client sends that makes no sense: a refusal in the shape of its protocol, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest

from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, FORM, JSON, entry, form, part, span
from tests.protocols.exchange import Exchange
from tests.protocols.service import CANCELLED, COMPLETE, DEFERRED, EXPIRED, HALF, HALF_SENT, IMAGE, NOTHING, Given, Service

REST = IMAGE[HALF:]
MANY = {f"X-{number}": "x" for number in range(200)}
LARGE = {f"X-{number}": "x" * 4096 for number in range(12)}

# Numbers that are none, or that no upload can have.
NO_NUMBERS = {
    "negative": "-1",
    "not an integer": "abc",
    "a fraction": "1.5",
    "empty": "",
    "with a sign": "+5",
    "hexadecimal": "0x14",
    "in other digits": "\u0662\u0660",
    "twice": "20, 20",
    "infinite": "inf",
    "with a null": "2\x000",
}
HUGE_NUMBERS = {"huge": "1" + "0" * 30, "of 5,000 digits": "9" * 5000}
WRONG_NUMBERS = NO_NUMBERS | HUGE_NUMBERS

KEYS = {
    "that nobody was given": "0000000000",
    "too short": "abc",
    "too long": "0" * 11,
    "very long": "0" * 5000,
    "with a hyphen": "01234-6789",
    "with a dot": "0123456.89",
    "of dots, encoded": "%2e%2e",
    "that climbs": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "that climbs, half encoded": "..%2f..%2fetc%2fpasswd",
    "that climbs with backslashes": "..%5c..%5cetc",
    "that is absolute": "%2fetc%2fpasswd",
    "with a null": "012345678%00",
    "with a line break": "012345678%0a",
    "with a space": "%20123456789",
    "not in ASCII": "%C3%BC123456789",
    "in other digits": "%D9%A0123456789",
    "in full width": "%EF%BC%90123456789",
    "not in UTF-8": "%FF%FE345678",
}


def _tus(method: str, fields: Mapping[str, str], content: bytes | tuple[bytes, ...] = b"", given: Given = HALF_SENT) -> Exchange:
    path = "/files" if method == "POST" else "/files/{key}"
    return Exchange(method=method, path=path, given=given, fields=fields, content=content, status=400)


def _tus_cases() -> Iterator[tuple[str, Exchange]]:
    at, creation = tus_requests.at, tus_requests.creation
    for what, number in WRONG_NUMBERS.items():
        yield f"Upload-Length {what}", _tus("POST", creation(number))
        yield f"Upload-Length {what} of an append", _tus("PATCH", at(0, Upload_Length=number), IMAGE, DEFERRED)
        yield f"Upload-Offset {what}", _tus("PATCH", at(number), REST)
    yield "no length", _tus("POST", creation())
    yield "two lengths", _tus("POST", creation(20, Upload_Defer_Length="1"))
    yield "no offset", _tus("PATCH", tus_requests.APPEND, REST)
    for what, offset in {"ahead": HALF + 1, "behind": HALF - 1, "at the end": 20, "beyond the end": 21}.items():
        yield f"an offset {what}", _tus("PATCH", at(offset), REST)
    for what, metadata in {
        "that is not base64": "a ?",
        "with a key twice": "a YQ==,a YQ==",
        "without end": "a " + "YQYQ" * 9000,
    }.items():
        yield f"metadata {what}", _tus("POST", creation(20, Upload_Metadata=metadata))
    yield "content longer than announced", _tus("PATCH", at(HALF), REST + b"!")
    yield "chunked content longer than announced", _tus("PATCH", at(HALF), (REST, b"!"))
    yield "content of another type", _tus("PATCH", at(HALF) | {"Content-Type": "text/plain"}, REST)
    yield "more for a complete upload", _tus("PATCH", at(20), b"!", COMPLETE)
    for what, given in {"expired": EXPIRED, "cancelled": CANCELLED, "unknown": NOTHING}.items():
        yield f"an {what} upload", _tus("PATCH", at(HALF), REST, given)
    for what, fields in {"many": MANY, "large": LARGE}.items():
        for method in ("POST", "HEAD", "PATCH", "DELETE", "GET"):
            given = COMPLETE if method == "GET" else HALF_SENT
            yield f"{what} fields with {method}", _tus(method, at(HALF, Upload_Length="20") | fields, given=given)


def _draft_cases() -> Iterator[tuple[str, Exchange]]:
    append, creation = draft_requests.append, draft_requests.creation
    for what, number in WRONG_NUMBERS.items():
        yield f"Upload-Offset {what}", _tus("PATCH", append(number), REST)
    for what, offset in {"ahead": HALF + 1, "behind": HALF - 1, "at the end": 20, "beyond the end": 21}.items():
        yield f"an offset {what}", _tus("PATCH", append(offset, "?1"), REST)
    yield "an Upload-Length over every limit", _tus("POST", creation("?0", Upload_Length="9" * 15))
    yield "an Upload-Length that contradicts the content", _tus("POST", creation("?1", Upload_Length="21"), IMAGE)
    yield "another Upload-Length", _tus("PATCH", append(HALF, Upload_Length="21"), REST)
    yield "no Upload-Complete", _tus("PATCH", append(HALF) | {"Upload-Complete": ""}, REST)
    yield "an Upload-Complete that is none", _tus("POST", creation("maybe"), IMAGE)
    yield "content that ends too early", _tus("PATCH", append(HALF, "?1"), REST[:-1])
    yield "content of another type", _tus("PATCH", append(HALF) | {"Content-Type": "text/plain"}, REST)
    yield "a question with Upload-Offset", _tus("HEAD", {"Upload-Offset": "0"})
    yield "more for a complete upload", _tus("PATCH", append(20, "?1"), b"!", COMPLETE)
    for what, given in {"expired": EXPIRED, "cancelled": CANCELLED, "unknown": NOTHING}.items():
        yield f"an {what} upload", _tus("PATCH", append(HALF), REST, given)
    for what, fields in {"many": MANY, "large": LARGE}.items():
        for method in ("POST", "HEAD", "PATCH", "DELETE", "GET"):
            given = COMPLETE if method == "GET" else HALF_SENT
            told = {"PATCH": append(HALF), "POST": creation("?0")}.get(method, {})
            yield f"{what} fields with {method}", _tus(method, told | fields, given=given)


def _attachments(
    method: str, fields: Mapping[str, str], content: bytes | tuple[bytes, ...] = b"", given: Given = HALF_SENT
) -> Exchange:
    path = COMMUNITY_URL if method == "POST" else ENTRY_URL
    return Exchange(method=method, path=path, given=given, fields=fields, content=content, status=400)


def _attachments_cases() -> Iterator[tuple[str, Exchange]]:
    for what, number in WRONG_NUMBERS.items():
        yield f"ContentLength {what} in a form", _attachments("POST", FORM, form(contentLength=number))
        yield f"ContentLength {what} in JSON", _attachments("POST", JSON, entry(ContentLength=number))
        ranged = span(HALF, 19) | {"Content-Range": f"bytes {number}-19/20"}
        yield f"a first byte {what}", _attachments("PATCH", ranged, part(HALF, 19))
        yield f"a length {what}", _attachments("PATCH", span(HALF, 19, number), part(HALF, 19))
    for what, text in {"NaN": "NaN", "infinite": "1e999", "of 5,000 digits": "9" * 5000, "negative": "-" + "9" * 30}.items():
        document = b'{"ContentLength": %b, "ContentType": "image/png", "Name": "a"}' % text.encode()
        yield f"the JSON number {what}", _attachments("POST", JSON, document)
    for what, document in {
        "an array": b"[]",
        "a string": b'"a"',
        "a number": b"20",
        "null": b"null",
        "nothing": b"",
        "spaces": b"   ",
        "cut": entry()[:-1],
        "deep": b'{"a":' * 3000,
        "a deep array": b"[" * 16_000,
        "huge": entry(Name="a" * 100_000),
        "not UTF-8": b'{"Name": "\xff"}',
        "with pairs for a value": b'{"Name": {"a": "b"}, "ContentLength": 20, "ContentType": "image/png"}',
        "a form": form(),
    }.items():
        yield f"a document that is {what}", _attachments("POST", JSON, document)
    for what, document in {
        "not pairs": b"a",
        "not UTF-8": b"name=%ff",
        "cut": b"name=%f",
        "many": b"a=b&" * 3000,
        "empty": b"",
    }.items():
        yield f"a form that is {what}", _attachments("POST", FORM, document)
    for what, name in {
        "with a null": "a\x00b",
        "with a line break": "a\r\nb",
        "that is a path's end": "a/",
        "of dots": "..",
        "of 10,000 characters": "a" * 10_000,
        "of half a character": "\ud800",
        "of a type": 7,
    }.items():
        yield f"a name {what}", _attachments("POST", JSON, entry(Name=name))
    yield "no Content-Range", _attachments("PATCH", {"Content-Type": "image/png"}, REST)
    yield "chunked content", _attachments("PATCH", span(HALF, 19), (REST,))
    yield "a gap", _attachments("PATCH", span(HALF + 1, 19), part(HALF + 1, 19))
    yield "other bytes", _attachments("PATCH", span(0, 19), b"!" * 20)
    yield "a range beyond the length", _attachments("PATCH", span(HALF, 20), REST + b"!")
    yield "another length", _attachments("PATCH", span(HALF, 19, 21), REST)
    yield "content longer than announced", _attachments("PATCH", span(HALF, 18), REST)
    yield "content shorter than announced", _attachments("PATCH", span(HALF, 19), REST[:-1])
    yield "a question with content", _attachments("PATCH", {"Content-Range": "bytes */20"}, b"!")
    for what, given in {"expired": EXPIRED, "cancelled": CANCELLED, "unknown": NOTHING}.items():
        yield f"an {what} upload", _attachments("PATCH", span(HALF, 19), REST, given)
    for what, fields in {"many": MANY, "large": LARGE}.items():
        for method in ("POST", "HEAD", "PATCH", "DELETE", "GET"):
            yield f"{what} fields with {method}", _attachments(method, span(HALF, 19) | fields)


def _key_cases() -> Iterator[tuple[str, str, Exchange]]:
    for what, key in KEYS.items():
        for method in ("HEAD", "PATCH", "DELETE", "GET"):
            for dialect, path, fields in (
                ("tus", "/files/", tus_requests.at(HALF)),
                ("draft", "/files/", draft_requests.append(HALF) if method == "PATCH" else draft_requests.INTEROP),
                ("attachments", f"{COMMUNITY_URL}/uploads/", span(HALF, 19)),
            ):
                content = REST if method == "PATCH" else b""
                exchange = Exchange(method=method, path=path + key, fields=fields, content=content, status=404)
                yield dialect, f"{method} of a key {what}", exchange


CASES = [
    *(("tus", name, exchange) for name, exchange in _tus_cases()),
    *(("draft", name, exchange) for name, exchange in _draft_cases()),
    *(("attachments", name, exchange) for name, exchange in _attachments_cases()),
    *_key_cases(),
]
QUESTIONS = {
    "tus": ("/files/{key}", tus_requests.VERSION),
    "draft": ("/files/{key}", draft_requests.INTEROP),
    "attachments": (ENTRY_URL, {}),
}


def _has_shape(dialect: str, response: httpx.Response, method: str) -> bool:
    """Say whether a refusal has the shape of its protocol."""
    kind = response.headers.get("Content-Type", "")
    match dialect:
        case "tus":
            told = method == "HEAD" or ": " in response.text
            return response.headers.get("Tus-Resumable") == "1.0.0" and kind.startswith("text/plain") and told
        case "draft":
            told = method == "HEAD" or {"type", "title", "status", "detail"} <= response.json().keys()
            return kind == "application/problem+json" and told
        case _:
            told = method == "HEAD" or all(isinstance(response.json()[name], str) for name in ("code", "message"))
            return kind == "application/json" and told


@pytest.mark.parametrize(("dialect", "exchange"), [case[::2] for case in CASES], ids=[f"{case[0]}: {case[1]}" for case in CASES])
async def test_refused(service: Service, dialect: str, exchange: Exchange) -> None:
    """What makes no sense is refused with a 4xx in the shape of its protocol, and the upload is exactly as before."""
    key = await service.keep(exchange.given)
    path, fields = QUESTIONS[dialect]
    before = await service.record(key), await service.send("HEAD", path.replace("{key}", key), fields)
    response = await service.send(exchange.method, exchange.path.replace("{key}", key), exchange.fields, exchange.content)
    after = await service.record(key), await service.send("HEAD", path.replace("{key}", key), fields)

    assert 400 <= response.status_code < 500
    assert _has_shape(dialect, response, exchange.method)
    assert before[0] == after[0]
    assert _told(before[1]) == _told(after[1])


def _told(response: httpx.Response) -> tuple[int, dict[str, str]]:
    """Return what a response says, but for the seconds that have passed."""
    fields = {name: value for name, value in response.headers.items() if name != "upload-limit"}
    return response.status_code, fields


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize("fields", [MANY, LARGE], ids=["many", "large"])
@pytest.mark.parametrize("path", ["/files", ENTRY_URL, "/.api2/binaries/{key}/download/a"])
async def test_heads_have_a_bound(service: Service, path: str, method: str, fields: dict[str, str]) -> None:
    """Too many fields, or too large ones, are 431, whatever is asked for."""
    key = await service.keep(COMPLETE)
    response = await service.send(method, path.replace("{key}", key), fields)

    assert response.status_code == 431
