"""What proxies in front of the service report: the URL that the client requested, and the client's address."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starlette.types import Scope

# RFC 3986, section 3.2, without user information, which no client sends.
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
# RFC 7239, section 4: forwarded-pair = token "=" value
_FORWARDED_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"([^"]*)"|([^";,\s]*))\s*')
# Segments of unreserved characters: none can end a field, begin an authority or be "..".
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[0-9A-Za-z._~-]+)*")
# RFC 7239, section 6: node = nodename [ ":" node-port ]
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)")

MAX_PREFIX = 256  # bytes
FORWARDED = ("forwarded", "via", "x-real-ip")
X_FORWARDED = "x-forwarded-"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Base:
    """Where the client finds the service: a URL is *origin*, *prefix* and path; an unknown origin is empty."""

    origin: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that the service trusts, or the one URL that clients use whatever proxies report."""

    trusted: tuple[Network, ...]
    public: Base | None = None
    relative: bool = False
    """Whether Location is path-absolute, without an origin."""

    def base(self, scope: Scope, fields: Mapping[str, str]) -> Base:
        """Return where the client finds the service; the origin is empty if neither proxy nor client sent a valid one."""
        if self.public is not None:
            return self.public
        scheme: str = scope["scheme"]
        authority, prefix = fields.get("host", ""), ""
        if self.believes(scope["client"][0] if scope.get("client") else ""):
            forwarded = _forwarded(fields)
            scheme = forwarded.get("proto", scheme).lower()
            authority = forwarded.get("host", authority)
            prefix = _prefix(fields["x-forwarded-prefix"]) if "x-forwarded-prefix" in fields else ""
        if scheme not in ("http", "https") or not _AUTHORITY.fullmatch(authority):
            return Base("", prefix)
        return Base(f"{scheme}://{authority}", prefix)

    def believes(self, peer: str) -> bool:
        """Say whether the address *peer* is a trusted proxy."""
        return bool(self.trusted) and _is_within(peer, self.trusted)

    def is_local(self, peer: str, fields: Mapping[str, str]) -> bool:
        """
        Say whether a request comes from this machine: from *peer*, the address at the other end of the connection (empty or a
        name: unknown), through the proxies that *fields* name.

        A client can add addresses to these fields but remove none, so all of them have to be addresses of this machine.
        """
        if _is_loopback(peer) is False:
            return False
        if not any(name in FORWARDED or name.startswith(X_FORWARDED) for name in fields):
            return True
        nodes = [*_nodes(fields)]
        return self.believes(peer) and bool(nodes) and all(_is_loopback(node) for node in nodes)


def parse_networks(value: str) -> tuple[Network, ...]:
    """Return the networks in a comma-separated list."""
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())


def parse_base(url: str) -> Base | None:
    """
    Return the parts of a public base URL; None if it is empty.

    :raises ValueError: it is not a valid base URL.
    """
    if not url:
        return None
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    prefix = f"{slash}{path}".rstrip("/")
    if scheme not in ("http", "https") or not _AUTHORITY.fullmatch(authority) or prefix != _prefix(prefix):
        raise ValueError("has to be http:// or https://, a host, and optionally a path of letters, digits and . _ ~ -")
    return Base(f"{scheme}://{authority}", prefix)


@functools.lru_cache(maxsize=1024)
def _is_within(host: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


@functools.lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool | None:
    """Say whether *host* is a loopback address; None if it is not an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _forwarded(fields: Mapping[str, str]) -> dict[str, str]:
    """Return proto and host as the proxy nearest to the client saw them."""
    standard = fields.get("forwarded")
    if standard is not None:
        return _pairs(standard.split(",")[0])
    if "x-forwarded-proto" not in fields and "x-forwarded-host" not in fields:
        return {}
    seen = {name: fields.get(f"x-forwarded-{name}", "").split(",")[0].strip() for name in ("proto", "host")}
    port = fields.get("x-forwarded-port", "").split(",")[0].strip()
    if seen["host"] and port.isdecimal() and ":" not in seen["host"] and port not in ("80", "443"):
        seen["host"] += f":{port}"
    return {name: value for name, value in seen.items() if value}


def _pairs(element: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in filter(None, map(_FORWARDED_PAIR.fullmatch, element.split(";"))):
        name, value = match[1].lower(), match[2] or match[3] or ""
        # RFC 7239, section 4: "Each parameter MUST NOT occur more than once per field-value."
        found[name] = "" if name in found else value
    return found


def _prefix(value: str) -> str:
    """Return the prefix of the path; each proxy that strips a part appends that part to the list."""
    prefix = "".join(part.strip(" \t").rstrip("/") for part in value.split(","))
    return prefix if len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) else ""


def _nodes(fields: Mapping[str, str]) -> Iterator[str]:
    """Yield each address that proxies report as the client's; other values are yielded unchanged."""
    nodes = [_pairs(element).get("for", "") for element in fields.get("forwarded", "").split(",") if element.strip()]
    for name in ("x-forwarded-for", "x-real-ip"):
        nodes += fields[name].split(",") if name in fields else []
    for node in nodes:
        match = _NODE.fullmatch(node.strip(" \t"))
        yield node if match is None else match[1] or match[2] or match[3]
