"""
JSON documents with an image in base64, whole and cut at every place.
"""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.json_members import MAX_OTHERS
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_document import Base64Document

LIMIT = 9
LONGEST = 200

ACCEPTED: dict[str, tuple[bytes, bytes, str | None]] = {
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

REFUSED: dict[str, tuple[bytes, str]] = {
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
    "a quote, then a line break": (b'{"image":"YW\\"J\nj"}', "invalid_base64"),
    "a character beyond ASCII by number": (rb'{"image":"YW\u0141Jj"}', "invalid_base64"),
    "a character beyond ASCII": ('{"image":"YWé"}'.encode(), "invalid_base64"),
    "invalid UTF-8": (b'{"image":"YW\xff"}', "invalid_base64"),
    "NUL by number": (rb'{"image":"YW\u0000"}', "invalid_base64"),
    "a beginning of a data: URL": (b'{"image":"dat"}', "invalid_base64"),
    "half a group": (b'{"image":"YWJjY"}', "invalid_base64"),
    "a byte too much": (b'{"image":"YWJjYWJjYWJjYQ"}', "image_too_large"),
    "too large before it is wrong": (b'{"image":"YWJjYWJjYWJjYWJj!!!!"}', "image_too_large"),
    "wrong before it is too large": (b'{"image":"YWJjYWJjYWJj!YWJjYWJj"}', "invalid_base64"),
    "too large before it is no JSON": (b'{"image":"YWJjYWJjYWJjYWJj\x00"}', "image_too_large"),
    "too large before the end is missing": (b'{"image":"YWJjYWJjYWJjYWJj', "image_too_large"),
    "too large a document": (b'{"image":"YWJj"}' + b" " * LONGEST, "document_too_large"),
    "no JSON before it is too large": (b'{"image":"YWJj"}}' + b" " * LONGEST, "invalid_document"),
}


def _read(
    document: bytes, cuts: list[int], *, limit: int = LIMIT, longest: int = LONGEST, name: str = "image"
) -> tuple[bytes, str | None] | str:
    """Return content and declared type, or the code of the refusal."""
    reader = Base64Document(name, limit=limit, longest=longest)
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(document)), len(document)]
    content = b""
    try:
        for start, stop in pairwise(bounds):
            # A view that is gone afterwards, as the blocks of the content are
            with memoryview(bytearray(document[start:stop])) as block:
                content += reader.feed(block)
        reader.end()
    except ProtocolError as error:
        return error.code if error.status == 400 else f"{error.status}"
    return content, reader.data_type


def _cuts(document: bytes) -> list[list[int]]:
    """Return no cut, every single cut, every byte by itself, and every pair of cuts of what is short."""
    places = range(len(document) + 1)
    pairs = [[first, second] for first in places for second in places[first:]] if len(document) <= 60 else []
    return [[], *([place] for place in places), list(places), *pairs]


@pytest.mark.parametrize(("document", "content", "data_type"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(document: bytes, content: bytes, data_type: str | None) -> None:
    """The image comes out, wherever the document was cut."""
    for cuts in _cuts(document):
        assert (content, data_type) == _read(document, cuts), cuts


@pytest.mark.parametrize(("document", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(document: bytes, code: str) -> None:
    """What is wrong first has its code, wherever the document was cut."""
    for cuts in _cuts(document):
        assert code == _read(document, cuts), cuts


@pytest.mark.parametrize(("document", "content", "data_type"), ACCEPTED.values(), ids=ACCEPTED)
def test_truncated(document: bytes, content: bytes, data_type: str | None) -> None:
    """A document that ends too early is none."""
    whole = document.rstrip()
    for end in range(len(whole)):
        assert "invalid_document" == _read(whole[:end], []), end


def test_name() -> None:
    """The member may have another name, and so have the refusals."""
    reader = Base64Document("picture", limit=LIMIT, longest=LONGEST)

    assert b"abc" == reader.feed(b'{"image":"eHl6","picture":"YWJj"}')

    for document, code in (
        (b"{}", "picture_required"),
        (b'{"picture":null}', "picture_null"),
        (b'{"picture":""}', "picture_empty"),
        (b'{"picture":0}', "picture_not_string"),
    ):
        assert code == _read(document, [], name="picture")


def test_content_comes_at_once() -> None:
    """Content comes out with the block that completes a group, and its type before it."""
    reader = Base64Document("image", limit=LIMIT, longest=LONGEST)

    assert b"" == reader.feed(b'{"image":"data:image/gif;base64,YWJ')
    assert "image/gif" == reader.data_type
    assert b"abc" == reader.feed(b"jYWI")
    assert b"" == reader.feed(rb"\u003")
    assert b"ab" == reader.feed(b'D"')
    assert b"" == reader.feed(b',"a":1}')
    reader.end()


def test_refused_before_the_rest_is_read() -> None:
    """An image that is too large is refused with the group that is too much."""
    reader = Base64Document("image", limit=LIMIT, longest=LONGEST)
    reader.feed(b'{"image":"YWJjYWJjYWJj')
    reader.feed(b"YQ")
    with pytest.raises(ProtocolError, match="more than 9 bytes"):
        reader.feed(b"JjYWJj")


@pytest.mark.parametrize("image_first", [True, False])
def test_others_are_bounded(image_first: bool) -> None:
    """What is beside the image has a bound of its own, which the image, up to its closing quote, does not count for."""
    room = MAX_OTHERS - len(b'{"image":"}')
    for excess, expected in ((0, (b"abc" * 30_000, None)), (1, "document_too_large")):
        white = b" " * (room + excess)
        document = b'{"image":"' + b"YWJj" * 30_000 + b'"}'
        document = document[:-1] + white + b"}" if image_first else b"{" + white + document[1:]
        for cuts in ([], [1000], [MAX_OTHERS], [MAX_OTHERS + 1]):
            assert expected == _read(document, cuts, limit=100_000, longest=500_000)


TOKENS = st.sampled_from(
    [*'{}[],: "', '"image"', '"a"', "null", "true", "-1.5e3", "01", "\n", "\\", "\\u002B", "YWJj", "=", "é", "\x00"]
)


@given(st.lists(TOKENS, max_size=12), st.lists(st.integers(0, 60)))
def test_any_document(tokens: list[str], cuts: list[int]) -> None:
    """Whatever comes, cuts change nothing, and what is accepted is what the library reads."""
    document = "".join(tokens).encode()
    whole = _read(document, [])

    assert whole == _read(document, cuts)
    if not isinstance(whole, str):
        assert whole[0] == base64.b64decode(json.loads(document)["image"] + "==")


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


@given(_documents(), st.lists(st.integers(0, 1000), max_size=30))
def test_any_image(image_and_document: tuple[bytes, bytes], cuts: list[int]) -> None:
    """Every image comes out as it went in, as the library reads it."""
    image, document = image_and_document
    text = "".join(json.loads(document)["image"].split())

    assert image == base64.b64decode(text.replace("-", "+").replace("_", "/").rstrip("=") + "==")
    assert (image, None) == _read(document, cuts, limit=300, longest=100_000)
    assert "image_too_large" == _read(document, cuts, limit=len(image) - 1, longest=100_000)
