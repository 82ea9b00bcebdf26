"""
A JSON document that carries one image as base64, read as it arrives: what comes out is the image.

Strategy: `JsonMembers` walks through everything but the image's own text; that text is taken in slices as long as they come,
freed from JSON's escapes, and decoded by `Base64Text`.  Between two blocks nothing is kept but an escape that was cut, characters
of a group that is not full, and one bounded token.

The text takes the quick way as long as nothing is wrong with it.  Only when something is, is it looked at closely, so that the
refusal is the same wherever the document was cut.
"""

from __future__ import annotations

import re

from holdfast.service.protocols.http.json_members import JsonMembers, invalid_document
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_text import Base64Text

# RFC 8259, section 7: char = unescaped / escape ( %x22 / %x5C / %x2F / %x62 / %x66 / %x6E / %x72 / %x74 / %x75 4HEXDIG ).  Above
# ASCII it may be anything: it is refused as base64, so nobody needs to know whether it is UTF-8.
_LEGAL = re.compile(rb'(?:[^\x00-\x1f"\\]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+')
# "Any character may be escaped": six bytes for one.
_BY_NUMBER = re.compile(rb"\\u00([0-7][0-9A-Fa-f])")
# An escape whose end may still come
_CUT = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_MAX_CUT = len(rb"\u002")
_CONTROLS = bytes(range(0x20))
# Escapes that stand for a character of base64, or for white space between such.
_ESCAPES = {rb"\/": b"/", rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t", rb"\f": b"\f"}


class Base64Document:
    """
    Reads one document whose member *name* is an image of at most *limit* bytes; the document itself has at most *longest* bytes.

    After an error it is of no more use.
    """

    def __init__(self, name: str, *, limit: int, longest: int) -> None:
        self._name = name
        self._left = self._longest = longest
        self._members = JsonMembers(name)
        self._text = Base64Text(limit)
        self._cut = b""  # the beginning of an escape in the image's text

    @property
    def data_type(self) -> str | None:
        """The media type that a data: URL declares, as it was sent; None without one.  It is known when content comes out."""
        return self._text.data_type

    def feed(self, block: memoryview | bytes) -> bytes:
        """
        Return the content of the image that *block* brings; it may be empty.

        :raises ProtocolError: the document breaks a rule; whoever has got content from it has to throw that away.
        """
        fits = bytes(block[: self._left])
        self._left -= len(fits)
        content: list[bytes] = []
        at = 0
        while at < len(fits):
            at = self._read_text(fits, at, content) if self._members.in_text else self._members.walk(fits, at)
        if len(block) > len(fits):
            raise ProtocolError(400, "document_too_large", f"the document has more than {self._longest} bytes")
        return b"".join(content)

    def end(self) -> None:
        """
        Take note that nothing more will come: the document is whole, and has an image.

        :raises ProtocolError: it is not, or has none.
        """
        self._members.end()

    def _read_text(self, block: bytes, at: int, content: list[bytes]) -> int:
        """Decode the image's text from *at* on, and return where the block or the text ends."""
        begin = at - len(self._cut)
        raw = self._cut + block[at:]
        quote = raw.find(b'"')
        if quote >= 0:
            end = quote
        else:
            cut = _CUT.search(raw, max(0, len(raw) - _MAX_CUT))
            end = cut.start() if cut else len(raw)
        segment = raw[:end]
        characters = _unescape(segment)
        # A quote that is escaped leaves its backslash behind, so it is never taken for the end.
        if b"\\" in characters or len(segment.translate(None, _CONTROLS)) < len(segment):
            self._refuse(raw)
        content.append(self._text.feed(characters))
        if quote < 0:
            self._cut = raw[end:]
            return len(block)
        self._cut = b""
        content.append(self._text.end())
        if not self._text.decoded:
            raise ProtocolError(400, f"{self._name}_empty", f"{self._name} is empty")
        self._members.text_ended()
        return begin + quote + 1

    def _refuse(self, raw: bytes) -> None:
        """Raise what is wrong first in *raw*, of which something is."""
        legal = _LEGAL.match(raw)
        characters = _unescape(legal[0]) if legal else b""
        self._text.feed(characters)
        if b"\\" in characters:
            raise ProtocolError(400, "invalid_base64", f"{self._name} escapes a character that is not base64")
        raise invalid_document(f"{self._name} is not a JSON string")


def _unescape(segment: bytes) -> bytes:
    """
    Return *segment* with characters instead of escapes; a backslash stays where it escapes what cannot be in base64, or nothing.

    It does not matter that whole slices are replaced, one escape after the other: where a backslash is escaped, or is no escape,
    nothing that is put behind it makes it an escape of the next kind, and so it stays.
    """
    if b"\\" not in segment:
        return segment
    for escape, character in _ESCAPES.items():
        segment = segment.replace(escape, character)
    return _BY_NUMBER.sub(lambda match: bytes.fromhex(match[1].decode()), segment) if rb"\u" in segment else segment
