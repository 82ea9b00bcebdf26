"""
JSON documents with an image in base64, in every form that clients send.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.fields import MAX_MEDIA_TYPE
from holdfast.service.protocols.one_shot.base64_image import MAX_STRING
from tests.protocols.one_shot.images import read

LONGEST_TYPE = b"a/" + b"b" * (MAX_MEDIA_TYPE - 2)

DOCUMENTS: dict[str, tuple[bytes, bytes, str | None]] = {
    "a byte order mark": (b'\xef\xbb\xbf {"image":"YWJj"}', b"abc", None),
    "one member": (b'{"image":"YWJj"}', b"abc", None),
    "white space around everything": (b'\r\n\t { "image" : "YWJj" } \r\n\t ', b"abc", None),
    "first of some": (b'{"image":"YWJj","a":1}', b"abc", None),
    "last of some": (b'{"a":1,"image":"YWJj"}', b"abc", None),
    "among every type": (
        b'{"s":"x","n":-1.5e+3,"t":true,"image":"YWJj","f":false,"z":null,"o":{"a":[]},"l":[{},2]}',
        b"abc",
        None,
    ),
    "deeper ones are others": (b'{"a":{"image":1},"image":"YWJj","b":[{"image":null}]}', b"abc", None),
    "its name as a string is no name": (b'{"a":"image","image":"YWJj"}', b"abc", None),
    "a name like it": (b'{"Image":1,"image":"YWJj","images":2," image":3}', b"abc", None),
    "its name escaped": (rb'{"im\u0061g\u0065":"YWJj"}', b"abc", None),
    "a lone surrogate in a skipped string": (rb'{"a":"\ud800","image":"YWJj","b\uDC00":0}', b"abc", None),
    "UTF-8 in a skipped string": ('{"é€😀":"é€😀","image":"YWJj"}'.encode(), b"abc", None),
    "quotes and backslashes in a skipped string": (rb'{"a\"":"\\\"image\":\\","image":"YWJj"}', b"abc", None),
    "an escaped solidus": (rb'{"image":"\/\/\/\/"}', b"\xff\xff\xff", None),
    "a solidus by number": (rb'{"image":"\u002F\u002f//"}', b"\xff\xff\xff", None),
    "a plus by number": (rb'{"image":"\u002B\u002b++"}', b"\xfb\xef\xbe", None),
    "everything by number": (rb'{"image":"\u0059\u0051\u003D\u003d"}', b"a", None),
    "solidus, then u": (rb'{"image":"\/u00\/u00"}', base64.b64decode("/u00/u00"), None),
    "escaped white space": (rb'{"image":"\nY\rW\tJ\f\u000aj \u0020\n"}', b"abc", None),
    "white space in the padding": (rb'{"image":"YQ\n=\n=\n"}', b"a", None),
    "one byte, padded": (b'{"image":"YQ=="}', b"a", None),
    "one byte, not padded": (b'{"image":"YQ"}', b"a", None),
    "two bytes, padded": (b'{"image":"YWI="}', b"ab", None),
    "two bytes, not padded": (b'{"image":"YWI"}', b"ab", None),
    "URL-safe": (b'{"image":"-_-_YQ"}', b"\xfb\xff\xbfa", None),
    "as large as may be": (b'{"image":"YWJjYWJjYWJj"}', b"abcabcabc", None),
    "a data: URL": (b'{"image":"data:image/png;base64,YWJj"}', b"abc", "image/png"),
    "an escaped data: URL": (rb'{"image":"\u0064ata:image\/png;base64\u002cYWJj"}', b"abc", "image/png"),
    "a data: URL with parameters": (b'{"image":"data:image/png;a=b;base64,YWJj"}', b"abc", "image/png;a=b"),
    "a data: URL in capitals": (b'{"image":" DATA:IMAGE/PNG;BASE64,YWJj"}', b"abc", "IMAGE/PNG"),
    "a data: URL without a type": (b'{"image":"data:;base64,YWJj"}', b"abc", None),
    "a beginning like a data: URL": (b'{"image":"data"}', base64.b64decode("data"), None),
}

NO_DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "invalid_document"),
    "white space": (b" \n", "invalid_document"),
    "half a byte order mark": (b'\xef\xbb{"image":"YWJj"}', "invalid_document"),
    "a byte order mark with a space in it": (b'\xef \xbb\xbf{"image":"YWJj"}', "invalid_document"),
    "a byte order mark behind a space": (b' \xef\xbb\xbf{"image":"YWJj"}', "invalid_document"),
    "two byte order marks": (b'\xef\xbb\xbf\xef\xbb\xbf{"image":"YWJj"}', "invalid_document"),
    "UTF-16": ('{"image":"YWJj"}'.encode("utf-16-le"), "invalid_document"),
    "an array": (b'["image","YWJj"]', "invalid_document"),
    "a string": (b'"YWJj"', "invalid_document"),
    "base64 alone": (b"YWJj", "invalid_document"),
    "no members": (b"{}", "image_required"),
    "other members": (b'{"picture":"YWJj"}', "image_required"),
    "only deeper": (b'{"a":{"image":"YWJj"}}', "image_required"),
    "only in an array": (b'{"a":[{"image":"YWJj"}]}', "image_required"),
    "null": (b'{"image":null}', "image_null"),
    "empty": (b'{"image":""}', "image_empty"),
    "only white space": (rb'{"image":" \n"}', "image_empty"),
    "a data: URL of nothing": (b'{"image":"data:image/png;base64,"}', "image_empty"),
    "a number": (b'{"image":1}', "image_not_string"),
    "a boolean": (b'{"image":true}', "image_not_string"),
    "an object as image": (b'{"image":{}}', "image_not_string"),
    "an array as image": (b'{"image":["YWJj"]}', "image_not_string"),
    "no value at all": (b'{"image":nul}', "invalid_document"),
    "twice": (b'{"image":"YWJj","image":"YWJj"}', "repeated_value"),
    "twice, once escaped": (rb'{"image":"YWJj","\u0069mage":1}', "repeated_value"),
    "something behind it": (b'{"image":"YWJj"}x', "invalid_document"),
    "a second document": (b'{"image":"YWJj"}{}', "invalid_document"),
    "a comma too many": (b'{"image":"YWJj",}', "invalid_document"),
    "no colon": (b'{"image" "YWJj"}', "invalid_document"),
    "another quote": (b"{'image':'YWJj'}", "invalid_document"),
    "invalid UTF-8 in a string": (b'{"a":"\xc3(","image":"YWJj"}', "invalid_document"),
    "a surrogate in UTF-8": (b'{"a":"\xed\xa0\x80","image":"YWJj"}', "invalid_document"),
    "invalid UTF-8 in a name": (b'{"\xff":1,"image":"YWJj"}', "invalid_document"),
    "a line break": (b'{"image":"YW\nJj"}', "invalid_document"),
    "a line break in a data: URL": (b'{"image":"data:ima\nge/png;base64,YWJj"}', "invalid_document"),
    "an escape that is none": (rb'{"image":"YW\xJj"}', "invalid_document"),
    "a number that is none": (rb'{"image":"YW\u00"}', "invalid_document"),
    "a number with another letter": (rb'{"image":"YW\u00g1"}', "invalid_document"),
    "a backslash": (rb'{"image":"YW\\Jj"}', "invalid_base64"),
    "a backslash at the end": (rb'{"image":"YWJj\\"}', "invalid_base64"),
    "a backslash before an escape": (rb'{"image":"YWJ\\nj"}', "invalid_base64"),
    "a backslash before a solidus": (rb'{"image":"YWJ\\/"}', "invalid_base64"),
    "a backslash before a number": (rb'{"image":"YWJ\\u002B"}', "invalid_base64"),
    "a backslash by number": (rb'{"image":"YWJ\u005Cn"}', "invalid_base64"),
    "a quote": (rb'{"image":"YW\"Jj"}', "invalid_base64"),
    "a quote in a data: URL": (rb'{"image":"data:a/b;c=\"d\";base64,YWJj"}', "invalid_base64"),
    "a character beyond ASCII by number": (rb'{"image":"YW\u0141Jj"}', "invalid_base64"),
    "a character beyond ASCII": ('{"image":"YWé"}'.encode(), "invalid_base64"),
    "NUL by number": (rb'{"image":"YW\u0000"}', "invalid_base64"),
    "a beginning of a data: URL": (b'{"image":"dat"}', "invalid_base64"),
    "half a group": (b'{"image":"YWJjY"}', "invalid_base64"),
    "a byte too much": (b'{"image":"YWJjYWJjYWJjYQ"}', "image_too_large"),
}


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

TEXTS: dict[str, tuple[bytes, bytes, str | None]] = {
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
    "no data:, but nearly": (b"datadata", base64.b64decode("datadata"), None),
    "as large as may be": (b"AAAAAAAAAAAAAAAA", bytes(12), None),
}

NO_TEXTS: dict[str, tuple[bytes, str]] = {
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
    "wrong, then a group too much": (b"A" * 19 + b"!AAAA", "invalid_base64"),
}


def _with(text: bytes) -> bytes:
    return json.dumps({"image": text.decode("latin-1")}).encode()


@pytest.mark.parametrize(("document", "content", "data_type"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_document(document: bytes, content: bytes, data_type: str | None) -> None:
    """The image comes out; a document that ends too early is none."""
    whole = document.rstrip()

    assert (content, data_type) == read(document, 9)
    assert {"invalid_document"} == {read(whole[:end], 9) for end in range(len(whole))}


@pytest.mark.parametrize(("document", "code"), NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_no_document(document: bytes, code: str) -> None:
    """What is wrong has its code."""
    assert code == read(document, 9)


@pytest.mark.parametrize(("content", "text"), VECTORS.items())
def test_vectors(content: bytes, text: bytes) -> None:
    """The specification's own examples are read, with and without their padding."""
    expected = (content, None) if content else "image_empty"

    assert expected == read(_with(text), 12) == read(_with(text.rstrip(b"=")), 12)


@pytest.mark.parametrize(("text", "content", "data_type"), TEXTS.values(), ids=TEXTS)
def test_text(text: bytes, content: bytes, data_type: str | None) -> None:
    """The content comes out, whether the string is short or long."""
    assert (content, data_type) == read(_with(text), 12) == read(_with(b" " * MAX_STRING + text), 12)


@pytest.mark.parametrize(("text", "code"), NO_TEXTS.values(), ids=NO_TEXTS)
def test_no_text(text: bytes, code: str) -> None:
    """What is wrong has its code, whether the string is short or long."""
    assert code == read(_with(text), 12) == read(_with(b" " * MAX_STRING + text), 12)


def test_every_character() -> None:
    """Every byte is a character of an alphabet, white space, padding or refused."""
    for number in range(256):
        character = bytes([number])
        outcome = read(_with(b"AA" + character + b"A"), 12)
        if re.fullmatch(rb"[A-Za-z0-9+/_-]", character):
            expected = base64.b64decode(b"AA" + character + b"A", b"-_" if character in b"-_" else None)

            assert (expected, None) == outcome
        elif character in b"\t\n\f\r ":
            assert (bytes(2), None) == outcome
        else:
            assert "invalid_base64" == outcome, character


def test_name() -> None:
    """The member may have another name, and so have the refusals."""
    assert (b"abc", None) == read(b'{"image":"eHl6","picture":"YWJj"}', 12, "picture")
    for document, code in (
        (b"{}", "picture_required"),
        (b'{"picture":null}', "picture_null"),
        (b'{"picture":""}', "picture_empty"),
        (b'{"picture":0}', "picture_not_string"),
    ):
        assert code == read(document, 12, "picture")


LONG = b'"' + b"YWJj" * MAX_STRING + b'"'


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b'{"image":' + LONG + b',"image":' + LONG + b"}", "repeated_value"),
        (b'{"image":"YWJj","a":' + LONG + b"}", "invalid_document"),
        (b'{"image":' + LONG + b',"a":' + LONG + b"}", "invalid_document"),
        (b'{"a":' + LONG + b"}", "image_required"),
        (b'{"a":{"image":' + LONG + b"}}", "image_required"),
        (b'{"image":[' + LONG + b"]}", "image_not_string"),
        (b"[" + LONG + b"]", "invalid_document"),
        (LONG, "invalid_document"),
        (b'{"image":' + LONG[:-1], "invalid_document"),
        (b'{"image":' + LONG[:-1] + b'\n"}', "invalid_document"),
        (b'{"image":' + LONG[:-1] + b'\xff"}', "invalid_base64"),
        (b'{"image":"' + b"\\u0141" * MAX_STRING + b'"}', "invalid_base64"),
    ],
)
def test_long(document: bytes, code: str) -> None:
    """A long string is the image, or it is refused."""
    assert code == read(document, MAX_STRING * 3)


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


@given(st.lists(st.sampled_from([*"AQgw+/-_=", " ", "\n", "!", "AAAA", "data:"])))
def test_any_text(characters: list[str]) -> None:
    """Whatever comes, it is what the strict decoder of the library says."""
    text = "".join(characters).encode()
    expected = _oracle(text)
    content = (expected, None) if expected else "image_empty"

    assert ("invalid_base64" if expected is None else content) == read(_with(text), 1000)


@st.composite
def _documents(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return an image, and a document with it: alphabets, padding, white space, escapes and other members as they fall."""
    image = draw(st.binary(min_size=1, max_size=300))
    encoded = base64.urlsafe_b64encode(image) if draw(st.booleans()) else base64.b64encode(image)
    characters = list((encoded if draw(st.booleans()) else encoded.rstrip(b"=")).decode())
    for place in draw(st.lists(st.integers(0, len(characters)), max_size=5)):
        characters.insert(place, draw(st.sampled_from([" ", r"\n", r"\r\n", r"\t", r"\u000A"])))
    for place in draw(st.lists(st.integers(0, len(characters) - 1), max_size=20, unique=True)):
        character = characters[place]
        if len(character) == 1:
            number = f"{ord(character):04X}"
            characters[place] = r"\u" + (number.lower() if draw(st.booleans()) else number)
    text = "".join(characters)
    if draw(st.booleans()):
        text = text.replace("/", r"\/")
    keys = st.text(max_size=5).filter(lambda key: key != "image")
    values = st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists, max_leaves=5
    )
    members = [
        f"{json.dumps(key, ensure_ascii=draw(st.booleans()))}:{json.dumps(value)}"
        for key, value in draw(st.dictionaries(keys, values, max_size=3)).items()
    ]
    members.insert(draw(st.integers(0, len(members))), f'"image":"{text}"')
    return image, ("{" + ",".join(members) + "}").encode()


@given(_documents())
def test_any_image(image_and_document: tuple[bytes, bytes]) -> None:
    """Every image comes out as it went in, as the library reads it."""
    image, document = image_and_document
    text = "".join(json.loads(document)["image"].split())

    assert image == base64.b64decode(text.replace("-", "+").replace("_", "/").rstrip("=") + "==")
    assert (image, None) == read(document, 300)
    assert "image_too_large" == read(document, len(image) - 1)
