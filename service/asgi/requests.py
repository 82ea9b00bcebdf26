"""Reads the head of a request from an ASGI scope."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

from starlette.datastructures import QueryParams
from starlette.types import Scope

from holdfast.service.asgi.proxies import Proxies
from holdfast.service.protocols.http.fields import parse_integer
from holdfast.service.protocols.http.wire import ProtocolError, Request
from holdfast.storage.records import Key, Tenant

KiB = 1024
MAX_HEAD = 32 * KiB
MAX_FIELDS = 128
MAX_COMMUNITY_DIGITS = 18

# RFC 9110, section 7.2: Host = uri-host [ ":" port ], by RFC 3986, section 3.2.2: IP-literal / IPv4address / reg-name.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?")


def read_request(
    scope: Scope,
    *,
    tenant: Tenant,
    key: Key | None,
    proxies: Proxies,
    limits: tuple[int, float],
    tenant_named: bool = True,
) -> Request:
    """Return the head of the request in *scope*."""
    fields: dict[str, str] = {}
    # `refuse_head` refuses more fields than this; reading them would be wasted.
    for raw_name, raw_value in scope["headers"][:MAX_FIELDS]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        # RFC 9110, section 5.3: fields of one name are one list.
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    base = proxies.base(scope, fields)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        fields=fields,
        content_length=_content_length(fields),
        origin=base.origin,
        prefix=base.prefix,
        relative=proxies.relative,
        peer=scope["client"][0] if scope.get("client") else "",
        tenant=tenant,
        tenant_named=tenant_named,
        key=key,
        now=time.time(),
        limits=limits,
    )


def refuse_head(scope: Scope) -> None:
    """
    Refuse a head that is too large or malformed.

    :raises ProtocolError: 400, 414, 431 or 501.
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
        raise ProtocolError(400, "host_invalid", "send exactly one Host: a name or an address, and optionally a port")
    # RFC 9112, section 6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD
    # respond with 501".
    if not is_coding_known(headers):
        raise ProtocolError(501, "transfer_coding_unknown", "the server supports no transfer coding but chunked")


def is_coding_known(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether the content has no transfer coding or is chunked."""
    return all(value.strip(b" \t").lower() == b"chunked" for name, value in headers if name == b"transfer-encoding")


def key_of(scope: Scope) -> str | None:
    """Return the key in the URL, without a slash at its end; None if the URL has none."""
    key: str | None = scope["path_params"].get("key")
    return None if key is None else key.removesuffix("/")


def queried_tenant(scope: Scope) -> Tenant | None:
    """Return the tenant that ``communityKey`` in the query names; None if it is missing."""
    community = QueryParams(scope["query_string"]).get("communityKey")
    return None if community is None else Tenant(community)


def community_of(text: str) -> Tenant | None:
    """Return the tenant that a community key names; None if *text* is not a community key."""
    is_key = text.isascii() and text.isdecimal() and len(text) <= MAX_COMMUNITY_DIGITS and str(int(text)) == text
    return Tenant(text) if is_key else None


def community_key_invalid() -> ProtocolError:
    """Return the error for a malformed community key."""
    return ProtocolError(400, "community_key_invalid", "communityKey has to be a non-negative integer")


def _content_length(fields: Mapping[str, str]) -> int | None:
    # RFC 9112, section 6.3: with neither field a request has no content.  The server already refused requests with both.
    if "transfer-encoding" in fields:
        return None
    value = fields.get("content-length")
    return 0 if value is None else parse_integer(value)
