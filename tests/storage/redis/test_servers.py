"""
URLs of Redis servers.
"""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from storage.redis.servers import parse_address

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
    ],
)
def test_what_is_no_address(url: str) -> None:
    """What cannot be understood is refused at once, and not when it is first needed."""
    with pytest.raises(ValueError):  # noqa: PT011  # some are refused by libraries in their words
        parse_address(url)
