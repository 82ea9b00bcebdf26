"""Immutable URLs of pictures: the name is a hash of tenant, key, size and renderer."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from hmac import compare_digest
from urllib.parse import quote

from holdfast.storage.records import Key, Tenant

# Raise this when renditions are made differently: it changes all URLs.
RENDERER = "1"
ORIGINAL = "original"
DEFAULT_SIZE = 150


def avatar_url(tenant: Tenant, key: Key, size: str) -> str:
    """Return the path-absolute URL of an attachment as a square of *size* pixels, or in its `ORIGINAL` size."""
    return f"/avatars/{quote(tenant, safe='')}/{size}/{key}/{avatar_name(tenant, key, size)}"


def avatar_name(tenant: Tenant, key: Key, size: str) -> str:
    """
    Return the last segment of the URL: SHA-256 in base64url, 43 characters.

    Complete content never changes and a key is never reused, so tenant, key and size identify one picture.
    """
    digest = hashlib.sha256(f"{RENDERER}/{tenant}/{key}/{size}".encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def is_avatar_name(name: str, tenant: Tenant, key: Key, size: str) -> bool:
    """Say whether *name* is the name of this picture."""
    return compare_digest(name.encode(), avatar_name(tenant, key, size).encode())


def default_url(size: int) -> str:
    """Return the path-absolute URL of the default picture."""
    return f"/avatars/static/{size}/default.png"
