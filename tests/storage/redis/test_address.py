"""
URLs of Redis servers.
"""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from holdfast.storage.redis.address import parse_address

A, B = ("a", 1), ("b", 2)


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "options", "service"),
    [
        ("redis://a:1/3", "single", [], {"host": "a", "port": 1, "db": 3}, ""),
        ("rediss://:p%40ss@a", "single", [], {"host": "a", "password": "p@ss", "connection_class": SSLConnection}, ""),
        ("unix:///run/redis.sock", "single", [], {"path": "/run/redis.sock", "connection_class": UnixDomainSocketConnection}, ""),
        ("redis+cluster://a:1,b:2", "cluster", [A, B], {}, ""),
        ("redis+cluster://a:1,b:2/", "cluster", [A, B], {}, ""),
        ("redis+cluster://a,[::1]:2?socket_timeout=7", "cluster", [("a", 6379), ("::1", 2)], {"socket_timeout": 7.0}, ""),
        ("rediss+cluster://u:p@a:1", "cluster", [A], {"username": "u", "password": "p", "connection_class": SSLConnection}, ""),
        ("redis+sentinel://a:1,b:2/mymaster", "sentinel", [A, B], {}, "mymaster"),
        ("redis+sentinel://a,b:2/mymaster/3", "sentinel", [("a", 26379), B], {"db": 3}, "mymaster"),
        (
            "redis+sentinel://:p@a:1/s?sentinel_password=q",
            "sentinel",
            [A],
            {"password": "p", "sentinel_password": "q"},
            "s",
        ),
    ],
)
def test_addresses(url: str, kind: str, hosts: list[tuple[str, int]], options: dict[str, Any], service: str) -> None:
    """A URL says where the servers are, and how to speak with them."""
    address = parse_address(url)

    assert (kind, hosts, options, service) == (address.kind, list(address.hosts), address.options, address.service)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://a",
        "redis+nonsense://a",
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/",
        "redis+cluster://a:1/service",
        "redis+cluster://",
        "redis+cluster://a,,b",
        "redis+cluster://a:port",
        "redis+cluster://a:99999",
        "unix+cluster:///path",
        "redis://a?socket_timeout=soon",
        "redis://a?what=ever",
        "redis://a/abc",
        "redis://a/-1",
        "redis+sentinel://a/s/abc",
        "redis+sentinel://a/s?what=ever",
        "redis+cluster://a?what=ever",
        "redis://a?sentinel_password=p",
        "redis+cluster://a?sentinel_password=p",
        "redis://a?decode_responses=1",
        "redis://a?ssl_ca_certs=/etc/ca.pem",
        "rediss+cluster://a?ssl_ca_path=/etc/ca",
        "rediss://a?ssl_cert_reqs=nonsense",
    ],
)
def test_what_is_no_address(url: str) -> None:
    """What cannot be understood is refused at once, and not when it is first needed."""
    with pytest.raises(ValueError):  # noqa: PT011  # some are refused by libraries in their words
        parse_address(url)


@pytest.mark.parametrize("url", ["redis://:se/cret@a/0", "redis://kelp:se?cret@a", "redis+sentinel://:se#cret@a:1/s"])
def test_passwords_are_not_told(url: str) -> None:
    """A password that was not quoted makes a URL that cannot be understood, and stands in no message."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - as above
        parse_address(url)

    assert "cret" not in str(caught.value)
    assert "'se" not in str(caught.value)
