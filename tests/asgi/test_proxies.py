"""
What proxies tell of a request: the URL that the client used, and whether it is on this machine.
"""

from __future__ import annotations

import pytest

from holdfast.service.asgi.proxies import MAX_PREFIX, Base, Proxies, parse_base, parse_networks
from tests.asgi.wire import scope

LOOPBACK = parse_networks("127.0.0.1,::1")

LOCAL: dict[str, tuple[str, dict[str, str], bool]] = {
    "this machine": ("127.0.0.1", {}, True),
    "this machine by IPv6": ("::1", {}, True),
    "this machine by IPv4 in IPv6": ("::ffff:127.0.0.1", {}, True),
    "a socket without an address": ("", {}, True),
    "another machine": ("192.0.2.1", {}, False),
    "another machine that says it is this one": ("192.0.2.1", {"x-forwarded-for": "127.0.0.1"}, False),
    "this machine by a proxy": ("127.0.0.1", {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}, True),
    "this machine by a proxy, with ports": ("127.0.0.1", {"forwarded": 'for="[::1]:4711", for=127.0.0.2:1'}, True),
    "another machine by a proxy": ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, False),
    "another machine by two proxies": ("127.0.0.1", {"x-forwarded-for": "192.0.2.1, 127.0.0.1"}, False),
    "another machine that lied to a proxy": ("127.0.0.1", {"x-forwarded-for": "127.0.0.1, 192.0.2.1"}, False),
    "another machine that lied in another field": (
        "127.0.0.1",
        {"forwarded": "for=127.0.0.1", "x-forwarded-for": "192.0.2.1"},
        False,
    ),
    "another machine in X-Real-IP": ("127.0.0.1", {"x-real-ip": "192.0.2.1"}, False),
    "another machine in X-Real-IP only": ("127.0.0.1", {"x-forwarded-for": "127.0.0.1", "x-real-ip": "192.0.2.1"}, False),
    "this machine in X-Real-IP": ("127.0.0.1", {"x-real-ip": "127.0.0.1"}, True),
    "two addresses in one element": ("127.0.0.1", {"forwarded": "for=192.0.2.1;for=127.0.0.1"}, False),
    "a name": ("127.0.0.1", {"forwarded": "for=_hidden"}, False),
    "a proxy that tells its scheme only": ("127.0.0.1", {"x-forwarded-proto": "https"}, False),
    "a proxy that tells its name only": ("127.0.0.1", {"via": "1.1 cache"}, False),
    "a proxy that tells nothing in many words": ("127.0.0.1", {"x-forwarded-for": "", "forwarded": ";,"}, False),
    "a proxy behind a socket": ("", {"x-forwarded-for": "127.0.0.1"}, False),
}
PREFIXES: dict[str, str] = {
    "/up": "/up",
    "/up/": "/up",
    "/": "",
    "": "",
    "/a/b.c-d_e~f": "/a/b.c-d_e~f",
    "/outer, /inner": "/outer/inner",
    "/" + "a" * (MAX_PREFIX - 1): "/" + "a" * (MAX_PREFIX - 1),
    # What is no path of ours is not repeated.
    "/" + "a" * MAX_PREFIX: "",
    "up": "",
    "//evil.example": "",
    "/a//b": "",
    "/..": "",
    "/a/../b": "",
    "/a/.": "",
    "/a?b": "",
    "/a#b": "",
    "/a b": "",
    "/a\r\nX: y": "",
    "/\\evil.example": "",
    "/%2e%2e": "",
    "https://evil.example": "",
    "/\u00fc": "",
}


@pytest.mark.parametrize(("peer", "fields", "is_local"), LOCAL.values(), ids=LOCAL.keys())
def test_local(peer: str, fields: dict[str, str], is_local: bool) -> None:
    """A request is of this machine when everybody on its way says so whom there is a reason to believe."""
    assert is_local is Proxies(LOOPBACK).is_local(peer, fields)


def test_local_without_trust() -> None:
    """Where no proxy is believed, what any tells is that there is one."""
    assert not Proxies(()).is_local("127.0.0.1", {"x-forwarded-for": "127.0.0.1"})


@pytest.mark.parametrize(("told", "prefix"), PREFIXES.items())
def test_prefix(told: str, prefix: str) -> None:
    """A trusted proxy tells which path it cut off; anybody else, and anything that is no path, is ignored."""
    fields = {"host": "holdfast.test", "x-forwarded-prefix": told}

    assert Base("http://holdfast.test", prefix) == Proxies(LOOPBACK).base(scope("GET", "/"), fields)
    assert Base("http://holdfast.test") == Proxies(LOOPBACK).base(scope("GET", "/", client=("192.0.2.1", 1)), fields)


def test_public_url() -> None:
    """The public URL of the settings goes before everything that a request says."""
    proxies = Proxies(LOOPBACK, parse_base("https://files.example:8443/up/"))
    fields = {"host": "holdfast.test", "x-forwarded-prefix": "/other", "x-forwarded-host": "other.example"}

    assert Base("https://files.example:8443", "/up") == proxies.base(scope("GET", "/"), fields)


@pytest.mark.parametrize(
    "url",
    ["files.example", "ftp://files.example", "https://", "https://a b", "https://u@files.example", "https://files.example/?a",
     "https://files.example/a/../b", "https://files.example//b", "//files.example", "https://files.example/ü"],
)  # fmt: skip
def test_no_public_url(url: str) -> None:
    """What cannot be the beginning of all URLs is refused."""
    with pytest.raises(ValueError, match="has to be http"):
        parse_base(url)
