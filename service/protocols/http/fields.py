"""Parsers of field values.  Strategy: match the whole value against the rule of the specification."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import unquote_to_bytes

import http_sf

from holdfast.service.core.content.sniffing import canonical

# RFC 9110, section 5.6.2: token = 1*tchar
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9110, section 5.6.4: quoted-string, ASCII only
_QUOTED = r'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"'
# RFC 9110, sections 8.3.1 and 5.6.6: media-type = type "/" subtype parameters; a comma would begin another type for browsers.
_MEDIA_TYPE = re.compile(rf"{_TCHARS}/{_TCHARS}(?:[ \t]*;[ \t]*{_TCHARS}=(?:{_TCHARS}|{_QUOTED}))*")
# RFC 6266, section 4.1: filename-parm, in its plain form and (RFC 8187, section 3.2.1) in its extended one
_FILE_NAME = re.compile(rf";[ \t]*filename[ \t]*=[ \t]*(?:({_TCHARS})|({_QUOTED}))", re.IGNORECASE)
_EXTENDED_NAME = re.compile(
    r";[ \t]*filename\*[ \t]*=[ \t]*(UTF-8|ISO-8859-1)'[0-9A-Za-z-]*'([0-9A-Za-z!#$&+.^_`|~%-]*)", re.IGNORECASE
)
# RFC 9110, sections 8.4 and 5.6.1: Content-Encoding = #content-coding, a token each; a list may have empty elements.
_CODINGS = re.compile(rf"[ \t]*(?:{_TCHARS})?[ \t]*(?:,[ \t]*(?:{_TCHARS})?[ \t]*)*")
_INTEGER = re.compile(r"[0-9]+")
# RFC 9110, section 14.4: Content-Range = range-unit SP ( range-resp / unsatisfied-range ), in the attachments API's strict form:
# "case-sensitive with no spaces"
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]+)-([0-9]+)|\*)/([0-9]+|\*)")

MAX_DISPOSITION = 4096  # bytes; a name of 255 characters takes up to 3060 in its extended form
MAX_MEDIA_TYPE = 255  # bytes; RFC 4288, section 4.2 allows 127 for each of type and subtype
MAX_ENCODING = 64  # bytes; more than three codings need
# Larger than any file.  Larger numbers are read as this one, so that a client cannot make the server parse a megabyte of digits.
HUGE = 10**20


def parse_integer(value: str) -> int | None:
    """Return a non-negative integer, at most `HUGE`; None if *value* is not one."""
    if not _INTEGER.fullmatch(value):
        return None
    digits = value.lstrip("0") or "0"
    return HUGE if len(digits) > len(str(HUGE)) - 1 else int(digits)


def parse_media_type(value: str) -> str | None:
    """Return *value* if it is a media type of at most `MAX_MEDIA_TYPE` bytes, else None."""
    return value if len(value) <= MAX_MEDIA_TYPE and _MEDIA_TYPE.fullmatch(value) else None


def parse_encoding(value: str) -> str | None:
    """Return the codings of a Content-Encoding in lower case and in order, "" for none; None if it is malformed or too long."""
    if len(value) > MAX_ENCODING or not _CODINGS.fullmatch(value):
        return None
    # RFC 9110, section 8.4.1: "All content codings are case-insensitive"; and 8.4: "Note that the coding named "identity" is
    # reserved for its special role in Accept-Encoding and thus SHOULD NOT be included."
    codings = (coding.strip(" \t").lower() for coding in value.split(","))
    return ", ".join(coding for coding in codings if coding not in ("", "identity"))


def parse_file_name(value: str) -> str | None:
    """Return the file name of a Content-Disposition; None if it has no valid one."""
    if len(value) > MAX_DISPOSITION:
        return None
    # RFC 6266, section 4.3: "recipients SHOULD pick filename* and ignore filename".
    extended = _EXTENDED_NAME.search(value)
    if extended is not None:
        return unquote_to_bytes(extended[2]).decode(extended[1], "replace")
    plain = _FILE_NAME.search(value)
    if plain is None:
        return None
    name: str = plain[1] or re.sub(r"\\(.)", r"\1", plain[2][1:-1])
    return name


def media_type_is(fields: Mapping[str, str], wanted: str) -> bool:
    """Say whether the Content-Type is *wanted*, ignoring parameters."""
    return canonical(fields.get("content-type", "")) == wanted


def imf_fixdate(seconds: float) -> str:
    """Return a Unix time as an IMF-fixdate (RFC 9110, section 5.6.7)."""
    return _imf_fixdate(int(seconds))


@functools.lru_cache(maxsize=64)
def _imf_fixdate(seconds: int) -> str:
    # Many responses within a second contain the same time.
    return formatdate(seconds, usegmt=True)


# Structured fields (RFC 9651).  draft-ietf-httpbis-resumable-upload: a field of another type, or one that cannot be parsed, is
# treated as if it were not there.


def _parse_item(fields: Mapping[str, str], name: str) -> object:
    value = fields.get(name)
    if value is None:
        return None
    try:
        parsed = http_sf.parse(value.encode("latin-1"), tltype="item")
    except ValueError:  # from the parser, or from a character outside Latin-1
        return None
    return parsed[0] if isinstance(parsed, tuple) else None  # parameters are legal, and ignored


def sf_integer(fields: Mapping[str, str], name: str) -> int | None:
    """Return a non-negative structured-field integer; None if it is missing or invalid."""
    item = _parse_item(fields, name)
    return item if isinstance(item, int) and not isinstance(item, bool) and item >= 0 else None


def sf_boolean(fields: Mapping[str, str], name: str) -> bool | None:
    """Return a structured-field boolean; None if it is missing or invalid."""
    item = _parse_item(fields, name)
    return item if isinstance(item, bool) else None


def sf_dictionary(members: Mapping[str, int]) -> str:
    """Return integers as a structured-field dictionary."""
    return http_sf.ser(dict(members))


# Content-Range


@dataclass(frozen=True, slots=True)
class ContentRange:
    """A parsed Content-Range: first and last byte, both None for a status query; *length* is None if unknown."""

    first: int | None
    last: int | None
    length: int | None


def parse_content_range(value: str) -> ContentRange | None:
    """Return the range; None if its syntax is invalid, or not FIRST <= LAST < LENGTH."""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return None
    first, last, length = (None if text in (None, "*") else parse_integer(text) for text in match.groups())
    if first is not None and last is not None and (first > last or (length is not None and last >= length)):
        return None
    return ContentRange(first, last, length)


# Upload-Metadata (tus 1.0, extension Creation): "consist of one or more comma-separated key-value pairs.  The key and value MUST
# be separated by a space.  The key MUST NOT contain spaces and commas and MUST NOT be empty.  The key SHOULD be ASCII encoded
# and the value MUST be Base64 encoded.  All keys MUST be unique.  The value MAY be empty.  In these cases, the space, which would
# normally separate the key and the value, MAY be left out."

_METADATA_PAIR = re.compile(r"([\x21-\x2b\x2d-\x7e]+)(?: ([0-9A-Za-z+/]*={0,2}))?")


class MetadataSyntaxError(ValueError):
    """The value breaks the grammar of Upload-Metadata."""


def parse_metadata(value: str) -> dict[str, bytes]:
    """
    Return the pairs of an Upload-Metadata value; an empty value has none.

    :raises MetadataSyntaxError: a key is empty or repeated, or a value is not strict base64.
    """
    pairs: dict[str, bytes] = {}
    if not value.strip(" \t"):
        return pairs
    for pair in value.split(","):
        match = _METADATA_PAIR.fullmatch(pair.strip(" \t") if not pair.endswith(" ") else pair.lstrip(" \t"))
        if match is None:
            raise MetadataSyntaxError("Upload-Metadata has to be a list of KEY BASE64, separated by commas")
        key, encoded = match[1], match[2] or ""
        if key in pairs:
            raise MetadataSyntaxError(f"Upload-Metadata has the key {key} twice")
        try:
            pairs[key] = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise MetadataSyntaxError(f"the value of {key} in Upload-Metadata is not base64") from error
    return pairs
