"""
Base64 text, decoded as it arrives, with or without the beginning of a data: URL.

Strategy: white space is deleted, then whole groups of four characters are decoded at once, by the strict decoder of `binascii`,
which refuses what is not in the alphabet.  What the decoder does not look at is decided here: which alphabet it is, where padding
may stand, and the bits that are left over.  Of up to three characters too few for a group only the last ones are kept.

What is wrong is found in the order of the text, so that it does not matter how the text was cut.
"""

from __future__ import annotations

import binascii
import re

from holdfast.service.protocols.http.fields import MAX_MEDIA_TYPE, parse_media_type
from holdfast.service.protocols.http.wire import ProtocolError

_WHITE_SPACE = b"\t\n\f\r "
# RFC 4648, section 4, table 1, without the pad
_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*+")
# The characters that tell the alphabets apart (RFC 4648, section 5): 62 and 63 are "+" and "/", or "-" and "_".
_TELLING = re.compile(rb"[-+/_]")
# From the URL-safe alphabet to the standard one; what is only in the standard one becomes a character of neither.
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")
_GROUP = 4

_SCHEME = b"data:"
# RFC 2397, section 3: dataurl := "data:" [ mediatype ] [ ";base64" ] "," data
_MARK = b";base64"
_MAX_PREFIX = len(_SCHEME) + MAX_MEDIA_TYPE + len(_MARK) + len(b",")


class Base64Text:
    """
    Decodes one text, at most *limit* bytes of content.  After an error it is of no more use.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._beginning: bytes | None = b""  # what may still become the prefix of a data: URL; None when that is decided
        self._rest = b""  # characters of a group that is not full
        self._pads = 0
        self._url_safe: bool | None = None  # None until a character tells
        self.decoded = 0
        """How many bytes of content came out."""
        self.data_type: str | None = None
        """The media type that a data: URL declares, as it was sent, with its parameters."""

    def feed(self, characters: bytes) -> bytes:
        """
        Return the content of *characters*, which go on where the last ones ended.

        :raises ProtocolError: invalid_base64; image_too_large, when there is more content than the limit.
        """
        if self._beginning is not None:
            characters = self._begin(self._beginning + characters)
        return self._decode(characters)

    def end(self) -> bytes:
        """
        Return the last bytes of content, now that no more characters will come.

        :raises ProtocolError: as `feed`.
        """
        beginning, self._beginning = self._beginning, None
        if beginning:
            if beginning[: len(_SCHEME)].lower() == _SCHEME:
                raise _invalid("a data: URL has a comma before its content")
            # So short that it could have become a data: URL; "data" by itself is base64.
            return self._decode(beginning) + self.end()
        if not self._rest:
            return b""
        # RFC 4648, section 3.2: whoever uses base64 may say that padding is not needed; where it stands it has to be right.
        padded = self._rest + b"=" * (_GROUP - len(self._rest))
        if len(self._rest) == 1 or self._pads not in (0, _GROUP - len(self._rest)):
            raise _invalid("the base64 text ends within a group")
        content = binascii.a2b_base64(padded, strict_mode=True)
        # RFC 4648, section 3.5: "decoders MAY choose to reject an encoding if the pad bits have not been set to zero"
        if binascii.b2a_base64(content, newline=False) != padded:
            raise _invalid("the base64 text ends in bits that belong to no byte")
        return self._count(content)

    def _begin(self, beginning: bytes) -> bytes:
        """Return the characters behind the prefix of a data: URL, if there is one."""
        beginning = beginning.lstrip(_WHITE_SPACE)
        # RFC 3986, section 3.1: schemes are case-insensitive.
        scheme = beginning[: len(_SCHEME)].lower()
        if scheme == _SCHEME:
            comma = beginning.find(b",", 0, _MAX_PREFIX)
            if comma >= 0:
                self.data_type = _parse_prefix(beginning[len(_SCHEME) : comma])
                self._beginning = None
                return beginning[comma + 1 :]
            if len(beginning) >= _MAX_PREFIX:
                raise _invalid("the beginning of the data: URL is too long")
        elif not _SCHEME.startswith(scheme):
            self._beginning = None
            return beginning
        self._beginning = beginning
        return b""

    def _decode(self, characters: bytes) -> bytes:
        """Return the content of the groups that are full, and keep the rest."""
        characters = characters.translate(None, _WHITE_SPACE)
        pad = characters.find(b"=")
        if pad >= 0:
            characters, pads = characters[:pad], characters[pad:]
        else:
            pads = b""
        if characters and self._pads:
            raise _invalid("the base64 text goes on behind its padding")
        text = self._rest + self._standard(characters)
        full = len(text) - len(text) % _GROUP
        try:
            content = self._count(binascii.a2b_base64(text[:full], strict_mode=True))
        except binascii.Error:
            content, full = b"", 0
        self._rest = text[full:]
        if not _is_alphabet(self._rest):
            # The limit comes first where it was passed before the character that is wrong.
            right = _run(self._rest)
            self._count(binascii.a2b_base64(self._rest[: right - right % _GROUP], strict_mode=True))
            raise _invalid("there is a character that is not base64, or of another alphabet than those before it")
        if pads:
            self._pad(pads)
        return content

    def _standard(self, characters: bytes) -> bytes:
        """Return *characters* in the standard alphabet."""
        if self._url_safe is None:
            telling = _TELLING.search(characters)
            if telling is None:
                return characters
            self._url_safe = telling[0] in b"-_"
        return characters.translate(_FROM_URL_SAFE) if self._url_safe else characters

    def _pad(self, pads: bytes) -> None:
        """Take what begins with a pad."""
        # RFC 4648, section 4: a last group of two characters has two pads, one of three has one, and there are no others.
        self._pads += len(pads)
        if pads.strip(b"=") or len(self._rest) + self._pads > _GROUP or len(self._rest) <= 1:
            raise _invalid("the padding of the base64 text is wrong, or not its end")

    def _count(self, content: bytes) -> bytes:
        self.decoded += len(content)
        if self.decoded > self._limit:
            raise ProtocolError(400, "image_too_large", f"the image has more than {self._limit} bytes")
        return content


def _parse_prefix(prefix: bytes) -> str | None:
    """Return the media type of the prefix of a data: URL, which stands between scheme and comma; None if it names none."""
    # RFC 2045, section 6.1, where the word comes from, compares it without case.
    if prefix[-len(_MARK) :].lower() != _MARK:
        raise _invalid("the data: URL is not in base64")
    declared = prefix[: -len(_MARK)].decode("latin-1")
    if not declared or declared.startswith(";"):
        # RFC 2397, section 2: "text/plain" can be omitted, even before parameters.  That is no statement about an image.
        named, declared = None, f"text/plain{declared}"
    else:
        named = declared
    # RFC 2397, section 3: a parameter's value has no quotes, "since the quote mark is itself not a valid urlchar".
    if '"' in declared or parse_media_type(declared) is None:
        raise _invalid("what the data: URL declares is no media type")
    return named


def _run(text: bytes) -> int:
    """Return how many characters of the standard alphabet *text* begins with."""
    match = _ALPHABET.match(text)
    return match.end() if match else 0


def _is_alphabet(text: bytes) -> bool:
    return _run(text) == len(text)


def _invalid(sentence: str) -> ProtocolError:
    return ProtocolError(400, "invalid_base64", sentence)
