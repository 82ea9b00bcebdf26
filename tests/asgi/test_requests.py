"""
From a scope to a request: where the client is, and how large a head may be.
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from holdfast.service.asgi.proxies import Proxies, parse_networks
from holdfast.service.asgi.requests import MAX_FIELDS, MAX_HEAD, read_request, refuse_head
from holdfast.service.protocols.http.wire import ProtocolError, Request
from holdfast.storage.records import Tenant
from tests.asgi.wire import scope

LOOPBACK = "127.0.0.1,::1"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}


def _read(fields: dict[str, str] | None = None, trusted: str = LOOPBACK, **changed: object) -> Request:
    proxies = Proxies(parse_networks(trusted))
    return read_request(scope("POST", "/files", fields, **changed), tenant=Tenant("1"), key=None, proxies=proxies, limits=(0, 0))


ORIGINS: dict[str, tuple[dict[str, str], str]] = {
    "Host": ({}, "http://holdfast.test"),
    "X-Forwarded-Proto": ({"X-Forwarded-Proto": "https"}, "https://holdfast.test"),
    "X-Forwarded-Proto in capitals": ({"X-Forwarded-Proto": "HTTPS"}, "https://holdfast.test"),
    "X-Forwarded-Host": ({"X-Forwarded-Host": "up.example"}, "http://up.example"),
    "X-Forwarded-Host with a port": ({"X-Forwarded-Host": "up.example:81"}, "http://up.example:81"),
    "X-Forwarded-Port": (HTTPS | {"X-Forwarded-Port": "8443"}, "https://up.example:8443"),
    "X-Forwarded-Port of the scheme": (HTTPS | {"X-Forwarded-Port": "443"}, "https://up.example"),
    "X-Forwarded-Port that is none": (HTTPS | {"X-Forwarded-Port": "443;x"}, "https://up.example"),
    "several proxies": (
        {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "up.example, inner"},
        "https://up.example",
    ),
    "Forwarded": ({"Forwarded": "proto=https;host=up.example"}, "https://up.example"),
    "Forwarded in capitals": ({"Forwarded": "Proto=HTTPS;HOST=up.example"}, "https://up.example"),
    "Forwarded with quotes and spaces": (
        {"Forwarded": 'for="[::1]:80"; host="up.example:81"; proto=https'},
        "https://up.example:81",
    ),
    "Forwarded of several proxies": ({"Forwarded": "host=up.example, host=inner;proto=https"}, "http://up.example"),
    "Forwarded goes before X-Forwarded-*": (HTTPS | {"Forwarded": "host=other.example"}, "http://other.example"),
    "Forwarded that makes no sense": ({"Forwarded": ";;==,"}, "http://holdfast.test"),
    "an IPv6 address": ({"Host": "[::1]:8080"}, "http://[::1]:8080"),
}
HOSTILE = [
    "",
    "up.example/path",
    "up.example?x",
    "user@up.example",
    "up.example:port",
    "up.example:123456",
    "up example",
    'up".example',
    "up.example\r\nX: y",
    "<script>",
    "\u00fcp.example",
    "[::1",
    "a b,c",
    "//up.example",
    "up.example#",
]


@pytest.mark.parametrize(("fields", "origin"), ORIGINS.values(), ids=ORIGINS.keys())
def test_origin_behind_a_trusted_proxy(fields: dict[str, str], origin: str) -> None:
    """The origin is what the client sees, as a trusted proxy tells it."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in ({"Host": "holdfast.test"} | fields).items()]

    assert origin == _read(headers=pairs).origin


@pytest.mark.parametrize(("fields", "origin"), ORIGINS.values(), ids=ORIGINS.keys())
@pytest.mark.parametrize("client", [("192.0.2.1", 50_000), ("2001:db8::1", 50_000), ("", 0), None])
def test_nobody_else_is_believed(fields: dict[str, str], origin: str, client: tuple[str, int] | None) -> None:
    """What somebody else says of proxies is ignored."""
    del origin
    proxied = {name: value for name, value in fields.items() if name != "Host"}

    assert _read(proxied, client=client).origin == "http://holdfast.test"


@pytest.mark.parametrize(
    ("trusted", "client", "believed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::1", False),
        ("::1", "::1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        (" 10.0.0.0/8 , 192.0.2.1 ", "192.0.2.1", True),
        ("2001:db8::/32", "2001:db8:1::2", True),
        ("", "127.0.0.1", False),
        ("127.0.0.1", "not an address", False),
    ],
)
def test_trusted_proxies(trusted: str, client: str, believed: bool) -> None:
    """Addresses and networks of the setting are believed, and no others."""
    request = _read(HTTPS, trusted, client=(client, 50_000))

    assert believed is (request.origin == "https://up.example")


@pytest.mark.parametrize(("client", "prefix"), [("127.0.0.1", "/up"), ("192.0.2.1", "")])
def test_prefix(client: str, prefix: str) -> None:
    """What a trusted proxy cuts off in front of paths is known, so that URLs in answers have it again."""
    assert prefix == _read({"X-Forwarded-Prefix": "/up"}, client=(client, 50_000)).prefix


@pytest.mark.parametrize("host", HOSTILE)
@pytest.mark.parametrize("name", ["host", "x-forwarded-host"])
def test_hostile_host(name: str, host: str) -> None:
    """A host that makes no sense is not repeated; Location is path-absolute then, or of the other host."""
    pairs = {"host": "holdfast.test", name: host}
    headers = [(field.encode(), value.encode()) for field, value in pairs.items()]
    origin = _read(headers=headers).origin

    assert origin in ("", "http://holdfast.test")
    assert name != "host" or origin == ""


@pytest.mark.parametrize("proto", ["javascript", "ftp", "", "http:", "https://"])
def test_hostile_scheme(proto: str) -> None:
    """A scheme that is not HTTP's is not repeated."""
    assert _read({"X-Forwarded-Proto": proto}).origin in ("", "http://holdfast.test")


def test_repeated_fields() -> None:
    """Fields of one name are one list, so that a repeated number is no number any more."""
    request = _read(headers=[(b"upload-offset", b"1"), (b"x", b""), (b"upload-offset", b"2")])

    assert ("1, 2", "") == (request.fields["upload-offset"], request.fields["x"])


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({}, 0),
        ({"Content-Length": "0"}, 0),
        ({"Content-Length": "12"}, 12),
        ({"Transfer-Encoding": "chunked"}, None),
        ({"Transfer-Encoding": "chunked", "Content-Length": "12"}, None),
    ],
    ids=["neither", "nothing", "a length", "chunked", "both"],
)
def test_content_length(fields: dict[str, str], length: int | None) -> None:
    """The length of the content is what its fields say: none, a number, or that the end will tell."""
    assert length == _read(fields).content_length


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({f"x-{number}": "" for number in range(MAX_FIELDS - 1)}, False),
        ({f"x-{number}": "" for number in range(MAX_FIELDS)}, True),
        ({"x": "a" * (MAX_HEAD - 100)}, False),
        ({"x": "a" * MAX_HEAD}, True),
    ],
    ids=["as many as allowed", "too many", "as large as allowed", "too large"],
)
def test_large_heads(fields: dict[str, str], refused: bool) -> None:
    """A head has a bound, in fields and in bytes."""
    status = None
    try:
        refuse_head(scope("GET", "/", fields))
    except ProtocolError as error:
        status = error.status

    assert (431 if refused else None) == status


def test_long_path() -> None:
    """A path has a bound."""
    with pytest.raises(ProtocolError) as caught:
        refuse_head(scope("GET", "/" + "a" * MAX_HEAD))

    assert (414, "path_too_long") == (caught.value.status, caught.value.code)


def test_repeated_fields_cost_little() -> None:
    """The largest head that gets through the server is read, or refused, in the time of its bytes, not of their square."""
    headers = [(b"a", b"")] * 131_072
    started = time.process_time()
    with suppress(ProtocolError):
        _read(headers=headers)
    elapsed = time.process_time() - started

    assert elapsed < 0.5
