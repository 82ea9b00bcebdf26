"""
Decides what content is, from its declaration and its first bytes, and whether a slot takes that.

A declaration counts unless the content plainly contradicts it.  Without a meaningful declaration the content alone decides.
Types without a signature are believed.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection

from holdfast.service.core.content.sniffing import canonical, is_utf8, sniff

START_BYTES = 512
"""The first bytes of content that are examined."""

# What clients send when they do not know; WHATWG MIME Sniffing, section 7 names the first three.
UNDECLARED = frozenset({"", "unknown/unknown", "application/unknown", "*/*", "application/octet-stream", "binary/octet-stream"})
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif"})

PDF, ZIP, OLE, TEXT = "application/pdf", "application/zip", "application/x-ole-storage", "text/plain"
# WHATWG MIME Sniffing, section 6; offset, signature, type.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", PDF),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBPVP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
)
# ISO/IEC 14496-12, section 4.3: the major brand of a file that begins with "ftyp".
BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}
MP4 = "video/mp4"
OFFICE = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
OLD_OFFICE = {".doc": "application/msword", ".xls": "application/vnd.ms-excel", ".ppt": "application/vnd.ms-powerpoint"}
# Types that share one form: their first bytes do not distinguish them.
FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({MP4, "audio/mp4", "video/quicktime", "video/x-m4v", "audio/x-m4a", "audio/m4a", "video/3gpp", "video/3gpp2"}),
    frozenset({"image/heic", "image/heif", "image/avif", "image/heic-sequence", "image/heif-sequence"}),
    frozenset({"video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska", "video/matroska", "audio/matroska"}),
    frozenset({"application/ogg", "audio/ogg", "video/ogg", "audio/opus", "audio/vorbis"}),
    frozenset({"audio/mpeg", "audio/mp3", "audio/flac", "audio/x-flac", "audio/aac"}),  # all may begin with ID3
    frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    frozenset({"video/x-msvideo", "video/avi", "video/msvideo"}),
    frozenset({"application/gzip", "application/x-gzip", "application/x-tgz", "application/x-compressed-tar"}),
    frozenset({"application/vnd.rar", "application/x-rar-compressed", "application/x-rar"}),
)
# What a ZIP or an OLE file can be declared as, by the beginning of the type.
IN_ZIP = (
    "application/vnd.openxmlformats-", "application/vnd.oasis.opendocument.", "application/vnd.ms-", "application/java-archive",
    "application/vnd.android.package-archive", "application/x-zip", "application/zip",
)  # fmt: skip
IN_OLE = ("application/msword", "application/vnd.ms-", "application/vnd.visio", OLE)
# Types whose content always has a known signature.
ALWAYS_SIGNED = IMAGES | {PDF, "image/webp", "image/tiff", "image/avif", "image/heic", "image/heif", MP4, "application/gzip", ZIP}
SIGNED_OFFICE = frozenset({*OFFICE.values(), *OLD_OFFICE.values()})


def is_undeclared(content_type: str | None) -> bool:
    """Say whether a declaration says nothing about the content: none, ``application/octet-stream``, ``image/*`` and the like."""
    return content_type is None or (kind := canonical(content_type)) in UNDECLARED or kind.endswith("/*")


def takes(types: Collection[str], kind: str) -> bool:
    """Say whether *kind* is one of *types*, which may be wildcards such as ``video/*``."""
    return kind in types or f"{kind.partition('/')[0]}/*" in types or "*/*" in types


def is_of_images(types: Collection[str] | None) -> bool:
    """Say whether *types* allow only images that this service decodes."""
    return types is not None and frozenset(types) <= IMAGES


def found(start: bytes) -> str | None:
    """Return the type of the signature at the beginning of content, or None."""
    image = sniff(start)
    if image is not None:
        return image
    if start[4:8] == b"ftyp":
        return BRANDS.get(start[8:12], MP4)
    return next((kind for at, signature, kind in SIGNATURES if start.startswith(signature, at)), None)


def contradicts(declared: str, start: bytes) -> bool:
    """Say whether content with these first bytes plainly contradicts what was *declared*."""
    kind, seen = canonical(declared), found(start)
    if seen is None:
        is_binary = b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff"))
        return kind in ALWAYS_SIGNED or kind in SIGNED_OFFICE or (kind.startswith("text/") and is_binary)
    if kind == seen or any(kind in family and seen in family for family in FAMILIES):
        return False
    if seen == ZIP:
        return not (kind.startswith(IN_ZIP) or kind.endswith("+zip")) and _has_form(kind)
    if seen == OLE:
        return not kind.startswith(IN_OLE) and _has_form(kind)
    return _has_form(kind)


def accepted(declared: str | None, name: str | None, start: bytes, types: Collection[str]) -> str | None:
    """
    Return the type of content, if *types* allow it; else None.

    A declared image type may differ from the detected one: programs rename images, and detection is reliable.
    """
    if declared is not None and not is_undeclared(declared) and not takes(IMAGES, canonical(declared)):
        kind = canonical(declared)
        return kind if takes(types, kind) and not contradicts(kind, start) else None
    seen = next((kind for kind in _possible(name, start) if takes(types, kind)), None)
    return seen if declared is None or is_undeclared(declared) or seen in IMAGES else None


def _has_form(kind: str) -> bool:
    """Say whether content of this type has a known form; content of other types is believed to be what it is declared as."""
    return kind in ALWAYS_SIGNED or kind in SIGNED_OFFICE or kind.startswith("text/") or any(kind in every for every in FAMILIES)


def _possible(name: str | None, start: bytes) -> list[str]:
    """Return the types that undeclared content may have, the likeliest first; the file name decides where the bytes do not."""
    seen = found(start)
    by_name = mimetypes.guess_type(name or "")[0] or ""
    ending = (name or "")[-5:].lower()
    if seen == ZIP:
        inside = [by_name] if by_name and not contradicts(by_name, start) and _has_form(by_name) else []
        if b"[Content_Types].xml" in start:
            inside += [kind for end, kind in OFFICE.items() if ending == end] or list(OFFICE.values())
        return [*inside, ZIP]
    if seen == OLE:
        return [*([kind for end, kind in OLD_OFFICE.items() if ending.endswith(end)] or OLD_OFFICE.values()), OLE]
    if seen is not None:
        return [seen, *next((sorted(family) for family in FAMILIES if seen in family), [])]
    if start and b"\0" not in start and is_utf8(start, whole=len(start) < START_BYTES):
        return [by_name, TEXT] if by_name.startswith("text/") else [TEXT]
    return []
