"""
What is JSON beside the wanted member, what is not, and how much of it there may be.
"""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.json_members import MAX_DEPTH, MAX_NAME, MAX_NUMBER, MAX_OTHERS, MAX_STRING, JsonMembers
from holdfast.service.protocols.http.wire import ProtocolError

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


def _read(document: bytes, cuts: list[int]) -> str:
    """Return the code of the refusal, or nothing; the wanted text has to be empty."""
    members = JsonMembers("wanted")
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(document)), len(document)]
    try:
        for start, stop in pairwise(bounds):
            at = start
            while at < stop:
                at = start + members.walk(document[start:stop], at - start)
                if members.in_text and at < stop:
                    assert document[at : at + 1] == b'"'
                    members.text_ended()
                    at += 1
        members.end()
    except ProtocolError as error:
        return error.code if error.status == 400 else f"{error.status}"
    return ""


def _with(value: bytes) -> bytes:
    return b'{"a":' + value + b',"wanted":""}'


def _every_cut(document: bytes) -> list[list[int]]:
    return [[], *([place] for place in range(len(document))), [*range(len(document))]]


@pytest.mark.parametrize("value", JSON)
def test_json(value: bytes) -> None:
    """A value of any type is passed over, in objects and in arrays, wherever the document was cut."""
    for document in (_with(value), b'{"wanted":"" , "a" :[ ' + value + b' ,0,{"b":\n' + value + b"\t}\r]}"):
        assert json.loads(document) is not None
        for cuts in _every_cut(document):
            assert "" == _read(document, cuts), cuts


@pytest.mark.parametrize("value", NO_JSON)
def test_no_json(value: bytes) -> None:
    """What the grammar does not have is refused, wherever the document was cut."""
    for document in (_with(value), b'{"wanted":"","a":' + value + b"}"):
        for cuts in _every_cut(document):
            assert "invalid_document" == _read(document, cuts), cuts


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth(opening: bytes, closing: bytes) -> None:
    """Objects and arrays stand in each other up to the bound; a million of them are refused at once."""
    for inside, expected in ((MAX_DEPTH - 1, ""), (MAX_DEPTH, "invalid_document")):
        document = _with(opening * inside + b"0" + closing * inside)
        for cuts in _every_cut(document):
            assert expected == _read(document, cuts)

    assert "invalid_document" == _read(_with(opening * 1_000_000), [])


@pytest.mark.parametrize(
    ("before", "unit", "behind", "longest"),
    [
        (b'{"a":"', b"x", b'","wanted":""}', MAX_STRING),
        (b'{"a":"', b"\\n", b'","wanted":""}', MAX_STRING),
        (b'{"', b"x", b'":1,"wanted":""}', MAX_NAME),
        (b'{"a":{"', b"\\n", b'":1},"wanted":""}', MAX_NAME),
        (b'{"a":', b"1", b',"wanted":""}', MAX_NUMBER),
    ],
)
def test_lengths(before: bytes, unit: bytes, behind: bytes, longest: int) -> None:
    """Names, strings and numbers are as long as their bound, and no longer."""
    count = longest // len(unit)
    for cuts in ([], [100], [*range(0, 20_000, 7)]):
        assert "" == _read(before + unit * count + behind, cuts)
        assert "invalid_document" == _read(before + unit * (count + 1) + behind, cuts)


def test_others_are_bounded() -> None:
    """Of everything together there is a bound too, also where the document goes on being wrong behind it."""
    room = MAX_OTHERS - len(b'{"wanted":"}')
    for excess, behind, expected in (
        (0, b"}", ""),
        (1, b"}", "document_too_large"),
        (1, b"!", "document_too_large"),
        (0, b"!", "invalid_document"),
    ):
        document = b'{"wanted":""' + b" " * (room + excess) + behind
        for cuts in ([], [1], [MAX_OTHERS], [MAX_OTHERS + 1], [MAX_OTHERS + 2]):
            assert expected == _read(document, cuts)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 0, 1]), st.lists(st.integers(0, 500)))
def test_what_the_library_writes(value: object, ascii_only: bool, indent: int | None, cuts: list[int]) -> None:
    """Whatever the library writes is passed over."""
    text = json.dumps({"a": value, "wanted": ""}, ensure_ascii=ascii_only, indent=indent)

    assert "" == _read(text.encode(), cuts)


def _reject_constant(name: str) -> None:
    raise ValueError(name)


@given(
    st.lists(st.sampled_from([*'{}[],:" \\01-.eu', '"a"', "null", "\n", "\x01", "é", "\ufeff"]), max_size=10),
    st.lists(st.integers(0, 30)),
)
def test_what_the_library_reads(tokens: list[str], cuts: list[int]) -> None:
    """What is JSON to the library is JSON here, and nothing else."""
    document = _with("".join(tokens).encode())
    try:
        value = json.loads(document.decode(), parse_constant=_reject_constant)
        expected = "" if "wanted" in value else "image_required"
    except ValueError:
        expected = "invalid_document"

    assert expected == _read(document, cuts)
