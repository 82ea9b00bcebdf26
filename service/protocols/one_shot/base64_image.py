"""
Reads an image as base64 from a JSON document, with `json` and `binascii`.

Strategy: a small document can create many objects (``[[],[],…]``), so `json` never parses a large one.  Long strings are cut out
first, and the rest has a small bound.  Only the image may be a long string.

A large document is read on a thread.  A call of `re`, `json` or `binascii` holds the interpreter until it returns, so each call
gets one slice at most, and the event loop runs between slices.
"""

from __future__ import annotations

import binascii
import itertools
import json
import re
import secrets
from collections.abc import Iterator
from typing import NoReturn

from holdfast.service.protocols.http.fields import MAX_MEDIA_TYPE, parse_media_type
from holdfast.service.protocols.http.wire import ProtocolError

KiB = 1024
# RFC 8259, section 9: "An implementation may set limits on the size of texts that it accepts", and on the length of strings.
MAX_STRING = 16 * KiB  # bytes in the document, quotes included
MAX_OTHERS = 64 * KiB + MAX_STRING  # bytes of the document without its long string

# The inside of a string (RFC 8259, section 7).
_INSIDE = re.compile(rb'[^"\\]*+(?:\\(?:[^u]|u[^"\\]{4})[^"\\]*+)*+', re.DOTALL)
SLICE = 128 * KiB  # a multiple of `_GROUP`; no call takes longer than a millisecond for it
# Replaces a long string; random, so that no client can send it.
_CUT = secrets.token_hex()

_WHITE_SPACE = b"\t\n\f\r "
# RFC 2397, section 3: dataurl := "data:" [ mediatype ] [ ";base64" ] "," data; RFC 3986, section 3.1: schemes have no
# case.
_DATA_URL = re.compile(rb"data:([^,]{0,%d});base64," % MAX_MEDIA_TYPE, re.IGNORECASE)
# From the URL-safe alphabet (RFC 4648, section 5) to the standard one; characters of the standard one only become invalid.
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")
_GROUP = 4  # characters, for three bytes
_QUOTE = ord('"')
_LONGEST_URL = MAX_MEDIA_TYPE + len("data:;base64,")


def read_image(document: bytes | bytearray, member: str, limit: int) -> tuple[bytearray, str | None]:
    """
    Return the image in *member* of the JSON object *document*, and the media type in its data: URL, if it has one.

    :raises ProtocolError: the document is invalid; the image is not base64, is empty, or has more than *limit* bytes.
    """
    pieces, text, declared = _find(document, member), b"", None
    while len(text) <= _LONGEST_URL and (piece := next(pieces, b"")):
        text = (text + piece).lstrip(_WHITE_SPACE)
    if url := _DATA_URL.match(text):
        declared, text = _media_type(url[1].decode("latin-1")), text[url.end() :]
    encoded = bytearray(text.translate(None, _WHITE_SPACE))
    for piece in pieces:
        encoded += piece.translate(None, _WHITE_SPACE)
    content = _decode(encoded, limit)
    if not content:
        raise ProtocolError(400, f"{member}_empty", f"{member} is empty")
    return content, declared


def _decode(text: bytearray, limit: int) -> bytearray:
    """
    Return what *text* encodes in either alphabet, with or without padding.

    :raises ProtocolError: it is not base64, or encodes more than *limit* bytes.
    """
    is_url_safe = b"-" in text or b"_" in text
    # RFC 4648, section 3.2: padding may be omitted; if present, it has to be correct.
    if not text.endswith(b"="):
        text += b"=" * (-len(text) % _GROUP)
    if -1 < text.find(b"=") < len(text) - 2:
        raise _invalid_base64("the image is not base64: padding stands before its end")
    content = bytearray()
    for at in range(0, len(text), SLICE):
        part = text[at : at + SLICE]
        try:
            content += binascii.a2b_base64(part.translate(_FROM_URL_SAFE) if is_url_safe else part, strict_mode=True)
        except binascii.Error as error:
            raise _invalid_base64(f"the image is not base64: {str(error).lower()}") from error
    # RFC 4648, section 3.5: "decoders MAY choose to reject an encoding if the pad bits have not been set to zero"
    last = binascii.b2a_base64(content[-(len(content) % 3 or 3) :], newline=False)
    if content and last != (text[-_GROUP:].translate(_FROM_URL_SAFE) if is_url_safe else text[-_GROUP:]):
        raise _invalid_base64("the image is not base64: its last bits are not zero")
    if len(content) > limit:
        raise ProtocolError(400, "image_too_large", f"the image has more than {limit} bytes")
    return content


def _find(document: bytes | bytearray, member: str) -> Iterator[bytes]:
    """Yield the string in *member* of the outermost object; non-ASCII characters, which are not base64, are replaced."""
    rest, long = _cut_out(document)
    try:
        members = _load(rest.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _invalid_document("the content is not JSON in UTF-8") from error
    # Objects become tuples of their members, so that repeated names are detected.
    if not isinstance(members, tuple):
        raise _invalid_document("the content is not a JSON object")
    values = [value for name, value in members if name == member]
    if not values:
        raise ProtocolError(400, f"{member}_required", f"{member} is missing")
    # RFC 8259, section 4: "When the names within an object are not unique, the behavior of software that receives such an
    # object is unpredictable."
    if len(values) > 1:
        raise ProtocolError(400, "repeated_value", f"the document has {member} twice")
    value = values[0]
    if value is None:
        raise ProtocolError(400, f"{member}_null", f"{member} is null")
    if not isinstance(value, str):
        raise ProtocolError(400, f"{member}_not_string", f"{member} has to be a string of base64")
    if long:
        if len(long) > 1 or value != _CUT:
            raise _invalid_document("a name or a string in the JSON is too long")
        for start, end in itertools.pairwise(long[0]):
            yield str(_load(f'"{document[start:end].decode("latin-1")}"')).encode("ascii", "replace")
    else:
        yield value.encode("ascii", "replace")


def _cut_out(document: bytes | bytearray) -> tuple[bytearray, list[list[int]]]:
    """Return the document with `_CUT` in the place of each long string, and where the slices of each of these begin and end."""
    view, rest, long, at, end = memoryview(document), bytearray(), list[list[int]](), 0, 0
    while (start := document.find(b'"', end)) > -1:
        slices = _slices(document, start + 1)
        end = slices[-1] + 1
        if end - start > MAX_STRING:
            rest += view[at:start]
            rest += b'"%s"' % _CUT.encode()
            long.append(slices)
            at = end
        if len(rest) + end - at > MAX_OTHERS:
            break
    rest += view[at : at + MAX_OTHERS + 1]
    if len(rest) > MAX_OTHERS:
        raise ProtocolError(400, "document_too_large", f"the document is limited to {MAX_OTHERS} bytes beside the image")
    return rest, long


def _slices(document: bytes | bytearray, at: int) -> list[int]:
    """Return where slices of the string begin whose first character is at *at*, and where it ends: at most with the document."""
    slices = [at]
    while at < len(document) and document[at] != _QUOTE:
        inside = _INSIDE.match(document, at, at + SLICE)
        at = inside.end() if inside and inside.end() > at else len(document)
        slices.append(at)
    return slices


def _load(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise _invalid_document("the content is not JSON") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _media_type(declared: str) -> str | None:
    """Return the media type of a data: URL; None if it names none."""
    # RFC 2397, section 2: "text/plain" can be omitted, even before parameters; that says nothing about an image.
    is_named = bool(declared) and not declared.startswith(";")
    # RFC 2397, section 3: a parameter's value has no quotes, "since the quote mark is itself not a valid urlchar".
    if '"' in declared or parse_media_type(declared if is_named else f"text/plain{declared}") is None:
        raise _invalid_base64("the data: URL has an invalid media type")
    return declared if is_named else None


def _invalid_base64(sentence: str) -> ProtocolError:
    return ProtocolError(400, "invalid_base64", sentence)


def _invalid_document(sentence: str) -> ProtocolError:
    return ProtocolError(400, "invalid_document", sentence)
