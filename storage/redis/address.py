"""
The address of a Redis as a URL: one server, the primary that Sentinels name, or the nodes of a Cluster.

    redis://[user:password@]host[:port][/db]            rediss:// with TLS, unix:///path
    redis+sentinel://[user:password@]host[:port],…/service[/db]
    redis+cluster://[user:password@]host[:port],…

``rediss+sentinel`` and ``rediss+cluster`` use TLS.  Options of connections follow as a query, under redis-py's names, as in
``?ssl_ca_certs=/etc/ca.pem``; `sentinel_username` and `sentinel_password` are for the Sentinels themselves.

Every mistake in a URL is reported here: redis-py would ignore some, and fail for others at the first command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.exceptions import RedisError

PORT = 6379
SENTINEL_PORT = 26379

PLACE = frozenset({"host", "port", "path", "connection_class"})
OPTIONS = frozenset(
    {
        *("username", "password", "db", "client_name"),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval"),
    }
)
OF_TLS = frozenset(
    {
        *("ssl_ca_certs", "ssl_ca_data", "ssl_certfile", "ssl_keyfile"),
        *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
    }
)
NOT_OF_CLUSTERS = frozenset({"ssl_ca_path", "ssl_password"})
OF_SENTINELS = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A parsed URL: the *kind* of servers, hosts with ports, and redis-py's *options* for connections."""

    kind: str
    hosts: Sequence[tuple[str, int]]
    options: dict[str, Any]
    service: str = ""


def parse_address(url: str) -> Address:
    """
    Parse the URL of a Redis.

    :raises ValueError: the URL is malformed; the message never repeats a password.
    """
    scheme, separator, rest = url.partition("://")
    base, plus, kind = scheme.partition("+")
    if not separator or base not in ("redis", "rediss", "unix") or (plus and kind not in ("sentinel", "cluster")):
        raise ValueError("this is not a URL of a Redis: use redis://HOST:6379/0, redis+sentinel://… or redis+cluster://…")
    if not plus:
        parts = urlsplit(url)
        _port(parts)
        database = "" if base == "unix" else parts.path.strip("/")
        return Address(kind="single", hosts=(), options=_known(dict(parse_url(url)), database, "single"))
    if base == "unix":
        raise ValueError("Sentinels and Clusters have no unix socket: use redis+sentinel:// or redis+cluster://")
    place, _, tail = rest.partition("/")
    place, question, query = place.partition("?")
    account, at, hosts = place.rpartition("@")
    port = SENTINEL_PORT if kind == "sentinel" else PORT
    found = [_host(text, port) for text in hosts.split(",")]
    path, _, more = tail.partition("?")
    service, _, database = path.partition("/")
    if (kind == "sentinel") != bool(service):
        raise ValueError("a URL of Sentinels must name a service, and one of a Cluster must not")
    alone = f"{base}://{account}{at}host/{database}?{query if question else more}"
    _port(urlsplit(alone))
    options = dict(parse_url(alone))
    del options["host"]
    return Address(kind=kind, hosts=found, options=_known(options, database, kind), service=service)


def _known(options: dict[str, Any], database: str, kind: str) -> dict[str, Any]:
    """Return *options*, if connections to this *kind* of server take them, and *database* is a number or empty."""
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"a database of Redis is a number, not {database!r}")
    of_kind = {"sentinel": OF_SENTINELS | NOT_OF_CLUSTERS, "single": NOT_OF_CLUSTERS, "cluster": frozenset()}[kind]
    secure = options.get("connection_class") is SSLConnection
    for name in options:
        if name not in PLACE | OPTIONS | OF_TLS | of_kind:
            raise ValueError(f"a connection to this kind of Redis has no option {name!r}")
        if name.startswith("ssl_") and not secure:
            raise ValueError(f"{name} is for TLS: begin the URL with rediss")
    given = {name: value for name, value in options.items() if name not in OF_SENTINELS}
    try:
        given.pop("connection_class", Connection)(**given)
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(f"redis-py refuses an option of the URL: {error}") from error
    return options


def _host(text: str, port: int) -> tuple[str, int]:
    found = urlsplit(f"//{text}")
    if not found.hostname:
        raise ValueError("a Redis address lacks a host")
    return found.hostname, _port(found) or port


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        # The text may be half a password, so the message does not quote it.
        raise ValueError("a port of Redis is a number up to 65535; write / ? # in a password as %2F %3F %23") from None
