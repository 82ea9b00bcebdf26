"""
Selects status, fields and bytes of the response to a GET or HEAD of complete content.

RFC 9110, sections 13 (conditional requests) and 14 (range requests); RFC 6266 and RFC 8187 for the file name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from holdfast.service.core.content.sniffing import canonical
from holdfast.service.protocols.http.fields import imf_fixdate, parse_integer
from holdfast.service.protocols.http.wire import Fields, Response, condition_of
from holdfast.storage.records import UploadRecord

# RFC 9110, section 14.1.2: int-range = first-pos "-" [ last-pos ]; suffix-range = "-" suffix-length
# Section 14.1: "range unit names are case-insensitive".
_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)

# Types that a browser may show inline; none can contain a script.  Others are downloaded.
INLINE = frozenset(
    {
        "application/ogg",
        "audio/aac",
        "audio/flac",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/webm",
        "audio/x-m4a",
        "audio/x-wav",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/ogg",
        "video/quicktime",
        "video/webm",
    }
)
# Content-Security-Policy of users' content, by type.  A browser wraps audio, video or an image in a page and applies the policy
# to that page, so it has to allow the page's style and the content itself, which has another origin in a "sandbox".
MEDIA_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"
IMAGE_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
# A browser might run other types as an active page of this origin.
SANDBOX = "sandbox; default-src 'none'"
NOT_MODIFIED = 304
NOTHING = ("Content-Length", "0")
DEFAULT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A response whose content is bytes *start* to *stop* (exclusive)."""

    status: int
    fields: Fields
    start: int = 0
    stop: int = 0


def select(record: UploadRecord, method: str, fields: Mapping[str, str], now: float = math.inf) -> Selection:
    """Return the response to a GET or HEAD of a complete upload at the Unix time *now*."""
    # RFC 9110, section 8.8.2.1: "An origin server with a clock (as defined in Section 5.6.7) MUST NOT generate a Last-Modified
    # date that is later than the server's time of message origination (Date)."  Another process's clock may be ahead.
    etag, modified, length = etag_of(record), min(record.created_at, now), record.offset
    validators: Fields = (
        ("ETag", f'"{etag}"'),
        ("Last-Modified", imf_fixdate(modified)),
        ("Accept-Ranges", "bytes"),
        # The content never changes, but access to it can.
        ("Cache-Control", "private, no-cache"),
    )
    status = _precondition(fields, etag, modified)
    if status is not None:
        # Section 8.6: in a 304, Content-Length would be the length of the content that it does not send.
        return Selection(status=status, fields=validators if status == NOT_MODIFIED else (*validators, NOTHING))
    described = (*validators, *_description(record))
    # Section 14.2: "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
    # range handling is not defined. For this specification, GET is the only method for which range handling is defined."
    wanted = fields.get("range") if method == "GET" and _if_range(fields, etag) else None
    span = _parse_range(wanted, length) if wanted is not None else None
    if span is None:
        return Selection(status=200, fields=(*described, ("Content-Length", str(length))), stop=length)
    start, stop = span
    if start >= stop:
        return Selection(status=416, fields=(*validators, ("Content-Range", f"bytes */{length}"), NOTHING))
    content_range = ("Content-Range", f"bytes {start}-{stop - 1}/{length}")
    partial = (*described, content_range, ("Content-Length", str(stop - start)))
    return Selection(status=206, fields=partial, start=start, stop=stop)


def content_fields(record: UploadRecord) -> tuple[str, str]:
    """Return Content-Disposition and Content-Type of a download."""
    kind = record.content_type or DEFAULT_TYPE
    # The server does not inspect encoded content, which may also be very large once decoded.
    inline = record.content_encoding is None and canonical(kind) in INLINE
    return content_disposition(record.name, inline=inline), kind


def redirect(url: str) -> Response:
    """Return a temporary redirect to the content at *url*."""
    # RFC 9110, section 15.4.8: 307 keeps the method; clients repeat their Range there.
    return Response(status=307, fields=(("Location", url), ("Cache-Control", "private, no-store"), NOTHING))


def accel_redirect(selection: Selection, fields: Fields, path: str) -> Response:
    """Return the response that makes nginx in front of the server send its file at *path*."""
    # nginx sets the length and selects the range itself.
    kept = [field for field in selection.fields if field[0] not in ("Content-Length", "Content-Range")]
    return Response(status=200, fields=(*kept, *fields, ("X-Accel-Redirect", path)))


def etag_of(record: UploadRecord) -> str:
    """Return a strong entity tag without quotes: a key is never reused, and complete content never changes."""
    return f"{record.key}-{record.offset:x}"


def _precondition(fields: Mapping[str, str], etag: str, modified: float) -> int | None:
    """Return 304 or 412 by the order of section 13.2.2; None to send the content."""
    condition = condition_of(fields, strict=False)
    if condition.if_match is not None:
        if not condition.matches(etag):
            return 412
    else:
        unmodified_since = _date(fields.get("if-unmodified-since"))
        if unmodified_since is not None and int(modified) > unmodified_since:
            return 412
    if condition.if_none_match is not None:
        return NOT_MODIFIED if condition.knows(etag) else None
    modified_since = _date(fields.get("if-modified-since"))
    if modified_since is not None and int(modified) <= modified_since:
        return NOT_MODIFIED
    return None


def _if_range(fields: Mapping[str, str], etag: str) -> bool:
    # Section 13.1.5: the entity tag has to match strongly.  Last-Modified is a weak validator here, so a date never matches.
    wanted = fields.get("if-range")
    return wanted is None or wanted.strip(" \t") == f'"{etag}"'


def _date(value: str | None) -> float | None:
    # Section 13.1.3: "A recipient MUST ignore the field if the received value is not a valid HTTP-date".
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
        # Section 5.6.7: all dates are in UTC; the asctime form has no time zone.
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _parse_range(value: str, length: int) -> tuple[int, int] | None:
    """Return start and stop of a single range, empty if it cannot be satisfied; None to ignore the field."""
    # Multiple ranges are ignored, as section 14.2 allows: "A server MAY ignore the Range header field."
    match = _RANGE.fullmatch(value)
    if match is None or not length:
        return None
    first, last, suffix = (parse_integer(text) if text else None for text in match.groups())
    if suffix is not None:
        return max(length - suffix, 0), length if suffix else 0
    if first is None or (last is not None and last < first):
        return None
    return first, min(length, length if last is None else last + 1)


def _description(record: UploadRecord) -> Fields:
    disposition, kind = content_fields(record)
    encoding = () if record.content_encoding is None else (("Content-Encoding", record.content_encoding),)
    return (
        ("Content-Type", kind),
        *encoding,
        ("Content-Disposition", disposition),
        # User content must not become active content of this origin.
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", security_policy(kind)),
    )


def security_policy(content_type: str) -> str:
    """Return the Content-Security-Policy for content of a user."""
    kind = canonical(content_type)
    # WHATWG MIME Sniffing, section 4.6: "An XML MIME type is any MIME type whose subtype ends in "+xml"", and XML is scriptable.
    if "xml" in kind or kind.startswith("image/svg"):
        return SANDBOX
    if kind.startswith(("audio/", "video/")) or kind == "application/ogg":
        return MEDIA_POLICY
    return IMAGE_POLICY if kind.startswith("image/") else SANDBOX


def content_disposition(name: str | None, *, inline: bool) -> str:
    """Return a Content-Disposition with *name* in ASCII, and also in UTF-8 if it has other characters."""
    disposition = "inline" if inline else "attachment"
    if not name:
        return disposition
    # RFC 6266, appendix D: no percent signs or backslashes in the quoted form, because user agents treat them differently.
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    # RFC 8187, section 3.2.1: attr-char
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return f'{disposition}; filename="{plain}"{extended}'
