"""
The URLs of pictures that never change: their name tells what they are of, in which size, and how they are made.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from hmac import compare_digest
from urllib.parse import quote

from holdfast.storage.records import Key, Tenant

# Another way to make renditions makes other pictures, under other names.
RENDERER = "1"
ORIGINAL = "original"
DEFAULT_SIZE = 150


def avatar_url(tenant: Tenant, key: Key, size: str) -> str:
    """
    Return the URL, path-absolute, of an attachment as a square of *size* pixels, or in its `ORIGINAL` size.
    """
    return f"/avatars/{quote(tenant, safe='')}/{size}/{key}/{avatar_name(tenant, key, size)}"


def avatar_name(tenant: Tenant, key: Key, size: str) -> str:
    """
    Return the last segment of the URL: SHA-256 in base64url, 43 characters.

    The content of a key never changes and no key is used again, so tenant, key and size name one picture for ever.
    """
    digest = hashlib.sha256(f"{RENDERER}/{tenant}/{key}/{size}".encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def is_avatar_name(name: str, tenant: Tenant, key: Key, size: str) -> bool:
    """
    Say whether *name* is that of this picture.
    """
    return compare_digest(name.encode(), avatar_name(tenant, key, size).encode())


def default_url(size: int) -> str:
    """
    Return the URL of the picture of those who have none.
    """
    return f"/avatars/static/{size}/default.png"
