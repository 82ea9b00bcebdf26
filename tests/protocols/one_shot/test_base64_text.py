"""
Base64 text in every form that clients send, whole and cut at every place.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.fields import MAX_MEDIA_TYPE
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_text import Base64Text

LIMIT = 12
LONGEST_TYPE = b"a/" + b"b" * (MAX_MEDIA_TYPE - 2)

# RFC 4648, section 10: test vectors
VECTORS = {
    b"": b"",
    b"f": b"Zg==",
    b"fo": b"Zm8=",
    b"foo": b"Zm9v",
    b"foob": b"Zm9vYg==",
    b"fooba": b"Zm9vYmE=",
    b"foobar": b"Zm9vYmFy",
}

ACCEPTED: dict[str, tuple[bytes, bytes, str | None]] = {
    "all white space": (b" \t\r\nZg\f== \n", b"f", None),
    "lines": (b"Zm9v\r\nYmFy\r\n", b"foobar", None),
    "standard": (b"++//", b"\xfb\xef\xff", None),
    "URL-safe": (b"--__", b"\xfb\xef\xff", None),
    "no telling character": (b"AAAA", b"\0\0\0", None),
    "data:": (b"data:image/jpeg;base64,Zg==", b"f", "image/jpeg"),
    "data: behind white space": (b" \n\tdata:image/jpeg;base64, Zg==", b"f", "image/jpeg"),
    "data: in capitals": (b"dAtA:image/jpeg;bAsE64,Zg", b"f", "image/jpeg"),
    "data: with parameters": (b"data:image/jpeg; q=1;name=%22a%2Cb%22;base64,Zg", b"f", "image/jpeg; q=1;name=%22a%2Cb%22"),
    "data: with a parameter of that name": (b"data:a/b;base64=1;base64,Zg", b"f", "a/b;base64=1"),
    "data: without a type": (b"data:;base64,Zg", b"f", None),
    "data: with parameters only": (b"data:;charset=utf-8;base64,Zg", b"f", None),
    "data: of the longest type": (b"data:" + LONGEST_TYPE + b";base64,Zg", b"f", LONGEST_TYPE.decode()),
    "data: of nothing": (b"data:a/b;base64,", b"", "a/b"),
    "no data:, but nearly": (b"datadata", base64.b64decode("datadata"), None),
    "as large as may be": (b"AAAAAAAAAAAAAAAA", bytes(LIMIT), None),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "one character": (b"Z", "invalid_base64"),
    "one character behind a group": (b"Zm9vZ", "invalid_base64"),
    "bits left over behind one byte": (b"Zh==", "invalid_base64"),
    "bits left over, without padding": (b"Zh", "invalid_base64"),
    "bits left over behind two bytes": (b"Zm9=", "invalid_base64"),
    "bits left over, URL-safe": (b"-_", "invalid_base64"),
    "one pad of two": (b"Zg=", "invalid_base64"),
    "three pads": (b"Zg===", "invalid_base64"),
    "two pads of one": (b"Zm8==", "invalid_base64"),
    "a pad behind a group": (b"Zm9v=", "invalid_base64"),
    "a pad behind one character": (b"Z===", "invalid_base64"),
    "only a pad": (b"=", "invalid_base64"),
    "a group of pads": (b"Zm9v====", "invalid_base64"),
    "something behind the padding": (b"Zg==Zg==", "invalid_base64"),
    "something within the padding": (b"Zg=Z=", "invalid_base64"),
    "both alphabets": (b"+-AA", "invalid_base64"),
    "both alphabets, far apart": (b"AA_AAAAA/AAA", "invalid_base64"),
    "a character of none": (b"AAA!", "invalid_base64"),
    "a vertical tab": (b"AA\vAA", "invalid_base64"),
    "a comma": (b"AAAA,AAAA", "invalid_base64"),
    "another scheme": (b"http:image/png;base64,Zg", "invalid_base64"),
    "white space in the scheme": (b"da ta:image/png;base64,Zg", "invalid_base64"),
    "data: without a comma": (b"data:image/png;base64", "invalid_base64"),
    "data: alone": (b"data:", "invalid_base64"),
    "data: not in base64": (b"data:image/png,Zg", "invalid_base64"),
    "data: in base64, but not at the end": (b"data:image/png;base64;a=b,Zg", "invalid_base64"),
    "data: of no media type": (b"data:image;base64,Zg", "invalid_base64"),
    "data: with a parameter that is none": (b"data:image/png;a;base64,Zg", "invalid_base64"),
    "data: with quotes": (b'data:image/png;a="b";base64,Zg', "invalid_base64"),
    "data: beyond ASCII": (b"data:image/\xe9;base64,Zg", "invalid_base64"),
    "data: of too long a type": (b"data:" + LONGEST_TYPE + b"b;base64,Zg", "invalid_base64"),
    "data: without an end": (b"data:" + b"a" * 1000, "invalid_base64"),
    "data: twice": (b"data:a/b;base64,data:a/b;base64,Zg", "invalid_base64"),
    "one byte too much": (b"A" * 16 + b"AA==", "image_too_large"),
    "a group too much": (b"A" * 20, "image_too_large"),
    "a group too much, then wrong": (b"A" * 20 + b"!", "image_too_large"),
    "a group too much, then the other alphabet": (b"+" * 20 + b"-", "image_too_large"),
    "wrong, then a group too much": (b"A" * 19 + b"!AAAA", "invalid_base64"),
}


def _read(text: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[bytes, str | None] | str:
    """Return content and declared type, or the code of the refusal."""
    decoder = Base64Text(limit)
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    try:
        content = b"".join(decoder.feed(text[start:stop]) for start, stop in pairwise(bounds)) + decoder.end()
    except ProtocolError as error:
        return error.code if error.status == 400 else f"{error.status}"
    return (content, decoder.data_type) if decoder.decoded == len(content) else "counted wrong"


def _cuts(text: bytes) -> list[list[int]]:
    """Return no cut, every single cut, every byte by itself, and every pair of cuts of what is short."""
    places = range(len(text) + 1)
    pairs = [[first, second] for first in places for second in places[first:]] if len(text) <= 60 else []
    return [[], *([place] for place in places), list(places), *pairs]


@pytest.mark.parametrize(("content", "text"), VECTORS.items())
def test_vectors(content: bytes, text: bytes) -> None:
    """The specification's own examples are read, with and without their padding."""
    for cuts in _cuts(text):
        assert (content, None) == _read(text, cuts)
        assert (content, None) == _read(text.rstrip(b"="), cuts)


@pytest.mark.parametrize(("text", "content", "data_type"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(text: bytes, content: bytes, data_type: str | None) -> None:
    """The content comes out, wherever the text was cut."""
    for cuts in _cuts(text):
        assert (content, data_type) == _read(text, cuts), cuts


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(text: bytes, code: str) -> None:
    """What is wrong first has its code, wherever the text was cut."""
    for cuts in _cuts(text):
        assert code == _read(text, cuts), cuts


def test_every_character() -> None:
    """Every byte is a character of an alphabet, white space, padding or refused."""
    for number in range(256):
        character = bytes([number])
        outcome = _read(b"AA" + character + b"A", [])
        if re.fullmatch(rb"[A-Za-z0-9+/_-]", character):
            expected = base64.b64decode(b"AA" + character + b"A", b"-_" if character in b"-_" else None)

            assert (expected, None) == outcome
        elif character in b"\t\n\f\r ":
            assert (bytes(2), None) == outcome
        else:
            assert "invalid_base64" == outcome, character


def _oracle(text: bytes) -> bytes | None:
    """Return what the library decodes, strictly, once white space, alphabet and padding are as it wants them."""
    text = bytes(byte for byte in text if byte not in b"\t\n\f\r ")
    if b"-" in text or b"_" in text:
        text = text.translate(bytes.maketrans(b"-_+/", b"+/!!"))
    if b"=" not in text:
        text += b"=" * (-len(text) % 4)
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content) == text else None


@given(st.lists(st.sampled_from([*"AQgw+/-_=", " ", "\n", "!", "AAAA", "data:"])), st.lists(st.integers(0, 60)))
def test_any_text(characters: list[str], cuts: list[int]) -> None:
    """Whatever comes, it is what the strict decoder of the library says, and cuts change nothing."""
    text = "".join(characters).encode()
    expected = _oracle(text)

    assert ("invalid_base64" if expected is None else (expected, None)) == _read(text, cuts, limit=1000)
    assert _read(text, []) == _read(text, cuts)
