"""
From an ASGI scope to the head of a request.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import time
from collections.abc import Mapping

from starlette.types import Scope

from service.protocols.fields import parse_integer
from service.protocols.wire import ProtocolError, Request
from storage.records import Key, Tenant

KiB = 1024
MAX_HEAD = 32 * KiB
MAX_FIELDS = 128

# RFC 9110, section 7.2: Host = uri-host [ ":" port ], by RFC 3986, section 3.2.2: IP-literal / IPv4address / reg-name.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?")
# The same without what nobody puts there, for URLs.
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
# RFC 7239, section 4: forwarded-pair = token "=" value
_FORWARDED_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"([^"]*)"|([^";,\s]*))\s*')

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(value: str) -> tuple[Network, ...]:
    """
    Return the networks of a setting with commas between.
    """
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())


def read_request(
    scope: Scope,
    *,
    tenant: Tenant,
    key: Key | None,
    trusted: tuple[Network, ...],
    limits: tuple[int, float],
    tenant_named: bool = True,
) -> Request:
    """
    Return the head of the request in *scope*.
    """
    fields: dict[str, str] = {}
    # What is beyond the bound will be refused; until then it must not cost anything.
    for raw_name, raw_value in scope["headers"][:MAX_FIELDS]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        # RFC 9110, section 5.3: fields of one name are one list.
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        fields=fields,
        content_length=_content_length(fields),
        origin=_origin(scope, fields, trusted),
        tenant=tenant,
        tenant_named=tenant_named,
        key=key,
        now=time.time(),
        limits=limits,
    )


def refuse_head(scope: Scope) -> None:
    """
    Refuse a head that no client of ours would send.

    :raises ProtocolError: it is too large, or cannot be understood.
    """
    headers = scope["headers"]
    if len(headers) > MAX_FIELDS or sum(len(name) + len(value) for name, value in headers) > MAX_HEAD:
        raise ProtocolError(431, "head_too_large", f"fields are limited to {MAX_FIELDS} and to {MAX_HEAD} bytes together")
    if len(scope["raw_path"]) > MAX_HEAD:
        raise ProtocolError(414, "path_too_long", f"paths are limited to {MAX_HEAD} bytes")
    # RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    # lacks a Host header field and to any request message that contains more than one Host header field line or a Host header
    # field with an invalid field value."
    hosts = [value.strip(b" \t") for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and scope["http_version"] == "1.1") or not all(map(_HOST.fullmatch, hosts)):
        raise ProtocolError(400, "host_invalid", "a request has one Host, of a name or an address and perhaps a port")
    # RFC 9112, section 6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD
    # respond with 501".
    if any(name == b"transfer-encoding" and value.strip(b" \t").lower() != b"chunked" for name, value in headers):
        raise ProtocolError(501, "transfer_coding_unknown", "the only transfer coding is chunked")


def _content_length(fields: Mapping[str, str]) -> int | None:
    # RFC 9112, section 6.3: with neither field a request has no content.  The server has refused requests with both.
    if "transfer-encoding" in fields:
        return None
    value = fields.get("content-length")
    return 0 if value is None else parse_integer(value)


def _origin(scope: Scope, fields: Mapping[str, str], trusted: tuple[Network, ...]) -> str:
    """Return scheme and authority as the client wrote them; empty, for a path-absolute Location, when they make no sense."""
    scheme: str = scope["scheme"]
    authority = fields.get("host", "")
    if _is_trusted(scope, trusted):
        forwarded = _forwarded(fields)
        scheme = forwarded.get("proto", scheme).lower()
        authority = forwarded.get("host", authority)
    if scheme not in ("http", "https") or not _AUTHORITY.fullmatch(authority):
        return ""
    return f"{scheme}://{authority}"


def _is_trusted(scope: Scope, trusted: tuple[Network, ...]) -> bool:
    client = scope.get("client")
    return _is_within(client[0], trusted) if client and trusted else False


@functools.lru_cache(maxsize=1024)
def _is_within(host: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _forwarded(fields: Mapping[str, str]) -> dict[str, str]:
    """Return proto and host as the proxy nearest to the client saw them."""
    standard = fields.get("forwarded")
    if standard is not None:
        pairs = (_FORWARDED_PAIR.fullmatch(pair) for pair in standard.split(",")[0].split(";"))
        return {str(match[1]).lower(): match[2] or match[3] or "" for match in pairs if match}
    told = {name: fields.get(f"x-forwarded-{name}", "").split(",")[0].strip() for name in ("proto", "host")}
    port = fields.get("x-forwarded-port", "").split(",")[0].strip()
    if told["host"] and port.isdecimal() and ":" not in told["host"] and port not in ("80", "443"):
        told["host"] += f":{port}"
    return {name: value for name, value in told.items() if value}
