"""Detects the type of images from their first bytes."""

from __future__ import annotations

import codecs

# WHATWG MIME Sniffing Standard, section 6.1: image type pattern matching.
SIGNATURES: dict[bytes, str] = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
SNIFFED_BYTES = max(len(signature) for signature in SIGNATURES)

# Bytes of a text that are examined.
TEXT_BYTES = 64 * 1024

# Names that clients use for registered types.
ALIASES: dict[str, str] = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}


def canonical(content_type: str) -> str:
    """Return the registered type, in lower case and without parameters."""
    essence = content_type.partition(";")[0].strip(" \t").lower()
    return ALIASES.get(essence, essence)


def is_utf8(start: bytes, *, whole: bool) -> bool:
    """Say whether content with these first bytes, or *whole* content, is UTF-8; a part may end within a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def sniff(start: bytes) -> str | None:
    """Return the image type of content with these first bytes, or None."""
    return next((kind for signature, kind in SIGNATURES.items() if start.startswith(signature)), None)
