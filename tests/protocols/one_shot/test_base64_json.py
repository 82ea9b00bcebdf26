"""
What is JSON around an image, what is not, and how much of it there may be.
"""

from __future__ import annotations

import base64
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.one_shot.base64_image import MAX_OTHERS
from tests.protocols.one_shot.images import read

JSON = [
    b"0", b"-0", b"10", b"1.0", b"-1.25e10", b"1E+2", b"1e-2", b"0e0", b"true", b"false", b"null", b'""', b'"a b"',
    rb'"\"\\\/\b\f\n\r\t\u0000\uABCD\uabcd"', rb'"\ud83d\ude00"', rb'"\ud800"', rb'"\udc00\ud800"', '"é€😀\u2028\x7f"'.encode(),
    b"[]", b"[ ]", b"{}", b"{ }", b"[1,2]", b"[[],{}]", b'{"a":1,"b":[2]}', b'{"a":1,"a":2}',
    b'{"":0}', b'{"wanted":null,"wanted":0}',
]  # fmt: skip

NO_JSON = [
    b"", b"01",
    b"-", b"+1", b".5", b"1.", b"1.e1", b"1e", b"1e+", b"--1", b"0x1", b"1_0", b"1 2", b"NaN", b"Infinity", b"-Infinity",
    b"True", b"nul", b"nulll", b"truefalse", b"undefined", b"'a'", b"\xd9\xa1",
    b'"\x00"', b'"\n"', b'"\x1f"', rb'"\a"', rb'"\u12"',
    rb'"\u 123"', rb'"\u+123"', rb'"\x41"', b'"\xff"', b'"\xc0\x80"', b'"\xe2\x82"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"',
    b'"\xc3"\xa9', b'"a""b"', b"[1,]", b"[,1]", b"[1 2]", b"[1:2]", b"[}", b"[1}", b"{]",
    b'{"a"}', b'{"a":}', b'{"a":1,}', b"{a:1}",
    b"{1:2}", b'{"a":1 "b":2}', b'{"a",1}', b'{,"a":1}', b'{"a"::1}', b"/* */1", b"1//", b"\xa01", b"\x0c1", b"\xef\xbb\xbf1",
]  # fmt: skip


@pytest.mark.parametrize("value", JSON)
def test_json(value: bytes) -> None:
    """The server ignores a value of any type beside the image, in objects and in arrays."""
    assert (b"abc", None) == read(b'{"a":' + value + b',"image":"YWJj"}', 12)
    assert (b"abc", None) == read(b'{"image":"YWJj" , "a" :[ ' + value + b' ,0,{"b":\n' + value + b"\t}\r]}", 12)


@pytest.mark.parametrize("value", NO_JSON)
def test_no_json(value: bytes) -> None:
    """What the grammar does not have is refused."""
    assert "invalid_document" == read(b'{"a":' + value + b',"image":"YWJj"}', 12)
    assert "invalid_document" == read(b'{"image":"YWJj","a":' + value + b"}", 12)


@pytest.mark.parametrize("others", [b"[],", b"0,", b'"",', b'{"":0},', b" ", b'"', b"\\", b'"\\"'])
@pytest.mark.parametrize("image_first", [True, False])
def test_others_are_bounded(others: bytes, image_first: bool) -> None:
    """A document of which the image is a small part is refused, and costs little memory."""
    many = b'"a":[' + others * (3_000_000 // len(others)) + b"0]"
    document = b"{" + (b'"image":"YWJj",' + many if image_first else many + b',"image":"YWJj"') + b"}"
    tracemalloc.start()
    code = read(document, 12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert code == "document_too_large"
    assert peak < 10 * MAX_OTHERS


@pytest.mark.parametrize("text", [b"YWJj", b"YW-_", b"\xff", rb"\u0141", rb"\u002B", rb"\n"])
def test_memory(text: bytes) -> None:
    """Reading a document costs at most four times its own size, whatever the image consists of."""
    document = b'{"image":"' + text * (3_000_000 // len(text)) + '","name":"😀"}'.encode()
    tracemalloc.start()
    read(document, 10_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 * len(document)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth(opening: bytes, closing: bytes) -> None:
    """What is nested too deep is refused."""
    count = MAX_OTHERS // 8

    assert "invalid_document" == read(b'{"a":' + opening * count + b"0" + closing * count + b',"image":"YWJj"}', 12)


def _reject_constant(name: str) -> None:
    raise ValueError(name)


TOKENS = st.sampled_from(
    [*'{}[],: "', '"image"', '"a"', "null", "true", "-1.5e3", "01", "\n", "\\", "\\u002B", "YWJj", "=", "é", "\x00", "NaN"]
)


@given(st.lists(TOKENS, max_size=12))
def test_any_document(tokens: list[str]) -> None:
    """What is JSON to the library is JSON here, and nothing else; what is accepted is what the library reads."""
    document = "".join(tokens).encode()
    outcome = read(document, 1000)
    try:
        value = json.loads(document, parse_constant=_reject_constant)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        assert "invalid_document" == outcome
    elif "image" not in value:
        assert "image_required" == outcome
    if not isinstance(outcome, str):
        assert outcome[0] == base64.b64decode(value["image"] + "==")
