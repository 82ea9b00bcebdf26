"""Finds the token of a request: in Authorization (RFC 6750), or in the cookie of the attachments API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from holdfast.service.accounts.errors import TokenRefused

COOKIE = "iglooauth"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# RFC 6750, section 2.1: credentials = "Bearer" 1*SP b64token
_BEARER = re.compile(r"bearer +([0-9A-Za-z._~+/-]+=*)", re.IGNORECASE)


def token_of(fields: Mapping[str, str], method: str, friends: frozenset[str] = frozenset()) -> str | None:
    """
    Return the token of a request, or None; *fields* have lower-case names.

    :param friends: origins whose pages may make a browser send the cookie
    :raises TokenRefused: Authorization holds something else, or a page of another site made a browser send the cookie.
    """
    authorization = fields.get("authorization")
    if authorization is not None:
        match = _BEARER.fullmatch(authorization)
        if match is None:
            raise TokenRefused("Authorization must be Bearer, followed by a token")
        return match[1]
    token = _cookie(fields.get("cookie", ""))
    if token is not None and method not in SAFE_METHODS and _is_cross_site(fields, friends):
        raise TokenRefused("a page of another site sent the cookie")
    return token


def _cookie(value: str) -> str | None:
    # RFC 6265, section 4.2.1: cookie-pair *( ";" SP cookie-pair ); the server joins fields of one name with a comma.
    for pair in re.split(r"[;,]", value):
        name, _, token = pair.strip(" \t").partition("=")
        if name == COOKIE and token:
            return token.strip('"')
    return None


def _is_cross_site(fields: Mapping[str, str], friends: frozenset[str]) -> bool:
    if fields.get("origin") in friends:
        return False
    if fields.get("sec-fetch-site") == "cross-site":
        return True
    origin = fields.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc.lower() != fields.get("host", "").lower()
    except ValueError:
        return True  # browsers send no such origin
