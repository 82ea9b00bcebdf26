"""
The grammar of fields, on whatever a client may send.
"""

from __future__ import annotations

import base64
import re

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.fields import (
    HUGE,
    ContentRange,
    MetadataSyntaxError,
    imf_fixdate,
    media_type_is,
    parse_content_range,
    parse_integer,
    parse_media_type,
    parse_metadata,
    sf_boolean,
    sf_dictionary,
    sf_integer,
)

TEXT = st.text() | st.text(st.characters(max_codepoint=255)) | st.text("0123456789-+/*=?;, \tbytes\x00", max_size=30)
NUMBERS = st.integers(min_value=0, max_value=HUGE - 1)
METADATA_KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1)
SF_LIMIT = 999_999_999_999_999


@given(NUMBERS, st.integers(0, 20))
def test_integers_are_read(number: int, zeros: int) -> None:
    """A non-negative integer is read as what it is, with leading zeros too."""
    assert number == parse_integer("0" * zeros + str(number))


@given(TEXT)
def test_integers_are_nothing_else(text: str) -> None:
    """Text that is not all ASCII digits is no integer, and no text is an error."""
    assert (re.fullmatch("[0-9]+", text) is not None) is (parse_integer(text) is not None)


@pytest.mark.parametrize("digits", [21, 30, 5_000, 100_000])
def test_long_integers_are_huge(digits: int) -> None:
    """A number of any length is read without calculating with it."""
    assert parse_integer("9" * digits) == HUGE


@given(NUMBERS)
def test_integers_that_are_cut(number: int) -> None:
    """An integer that is cut is another integer, or none at all."""
    text = str(number)
    for end in range(len(text)):
        cut = parse_integer(text[:end])

        assert (int(text[:end]) if end else None) == cut


@given(NUMBERS, NUMBERS, st.none() | NUMBERS)
def test_content_ranges_are_read(first: int, last: int, length: int | None) -> None:
    """A range is read as what it is if it makes sense: first, last and length in their order."""
    value = f"bytes {first}-{last}/{'*' if length is None else length}"
    makes_sense = first <= last and (length is None or last < length)

    assert (ContentRange(first, last, length) if makes_sense else None) == parse_content_range(value)


@given(st.none() | NUMBERS)
def test_questions_are_read(length: int | None) -> None:
    """A question about the status is a range without bytes."""
    assert ContentRange(None, None, length) == parse_content_range(f"bytes */{'*' if length is None else length}")


@given(TEXT)
def test_content_ranges_are_nothing_else(text: str) -> None:
    """No text is an error, and only ranges are ranges."""
    accepted = parse_content_range(text)

    assert accepted is None or re.fullmatch(r"bytes ([0-9]+-[0-9]+|\*)/([0-9]+|\*)", text) is not None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_content_ranges_that_are_cut(first: int, more: int, rest: int) -> None:
    """A range that is cut anywhere is no range, or the same bytes of a shorter length that they fit into."""
    value = f"bytes {first}-{first + more}/{first + more + rest}"
    for end in range(len(value)):
        cut = parse_content_range(value[:end])

        assert cut is None or (cut.first, cut.last) == (first, first + more)


@given(st.dictionaries(METADATA_KEYS, st.binary()))
def test_metadata_is_read(pairs: dict[str, bytes]) -> None:
    """Keys with base64 values are read as what they are."""
    value = ",".join(f"{key} {base64.b64encode(data).decode()}" for key, data in pairs.items())

    assert pairs == parse_metadata(value)


@given(TEXT | st.text("ab=, YQ/+-_\t\x00ä", max_size=20))
def test_metadata_is_nothing_else(text: str) -> None:
    """Text is metadata or a syntax error, and what is accepted can be written again with the same meaning."""
    try:
        pairs = parse_metadata(text)
    except MetadataSyntaxError:
        return
    value = ",".join(f"{key} {base64.b64encode(data).decode()}" for key, data in pairs.items())

    assert pairs == parse_metadata(value)
    assert all(re.fullmatch(r"[\x21-\x2b\x2d-\x7e]+", key) for key in pairs)


@given(st.dictionaries(METADATA_KEYS, st.binary(max_size=8), max_size=3))
def test_metadata_that_is_cut(pairs: dict[str, bytes]) -> None:
    """Metadata that is cut anywhere has no pair that was not begun, and every pair but the last is whole."""
    value = ",".join(f"{key} {base64.b64encode(data).decode()}" for key, data in pairs.items())
    whole = list(pairs.items())
    for end in range(len(value)):
        try:
            cut = list(parse_metadata(value[:end]).items())
        except MetadataSyntaxError:
            continue
        if cut:
            last, (key, data) = len(cut) - 1, cut[-1]

            assert whole[:last] == cut[:last]
            assert (True, True) == (whole[last][0].startswith(key), whole[last][1].startswith(data))


@pytest.mark.parametrize("value", ["", " ", "   "])
def test_empty_metadata(value: str) -> None:
    """An empty value has no pairs: some client sends one when it has nothing to say."""
    assert parse_metadata(value) == {}


@given(TEXT)
def test_media_types(text: str) -> None:
    """A media type has a type and a subtype, and no text is an error."""
    accepted = parse_media_type(text)

    assert accepted in (None, text)
    assert accepted is None or re.match(r"[^/\s]+/[^/\s;]+", accepted) is not None


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("image/png", True),
        ("Image/PNG", True),
        ("application/vnd.a+json; charset=utf-8", True),
        ("image/png ;q=1", True),
        ("a/" + "b" * 253, True),
        ("a/" + "b" * 254, False),
        ("image", False),
        ("image/", False),
        ("/png", False),
        ("image/png/x", False),
        ("image/png\n", False),
        ("image/png;a=\x00", False),
        (" image/png", False),
        ("imäge/png", False),
    ],
)
def test_media_type_table(value: str, accepted: bool) -> None:
    """What a media type is, by examples."""
    assert accepted is (parse_media_type(value) is not None)


@given(TEXT)
def test_media_type_is(text: str) -> None:
    """A Content-Type of any text is compared without an error, and without regard for case and parameters."""
    assert media_type_is({"content-type": text}, "a/b") is (text.partition(";")[0].strip().lower() == "a/b")


@given(st.integers(0, SF_LIMIT))
def test_structured_integers_are_read(number: int) -> None:
    """A structured-field integer is read as what it is, its parameters ignored."""
    for value in (http_sf.ser(number), f"{number};a;b=1", f"  {number} ", f"{number:015}"):
        assert number == sf_integer({"x": value}, "x")


@given(st.booleans())
def test_structured_booleans_are_read(value: bool) -> None:
    """A structured-field boolean is read as what it is, its parameters ignored."""
    text = "?1" if value else "?0"

    assert [value] * 3 == [sf_boolean({"x": written}, "x") for written in (text, f"{text};a=?1", f" {text} ")]


@given(TEXT)
def test_structured_fields_of_another_type_are_not_there(text: str) -> None:
    """What is not an item of the wanted type is as if it were not there, and no text is an error."""
    number, truth = sf_integer({"x": text}, "x"), sf_boolean({"x": text}, "x")

    assert number is None or re.match(r" *[0-9]{1,15}[ ;]*", text) is not None
    assert truth is None or text.strip(" ").startswith("?1" if truth else "?0")


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "1.0",
        '"1"',
        "?1",
        "1, 1",
        "1" * 16,
        "+1",
        "",
        " ",
        "1;",
        "1 2",
        "(1)",
        ":AQ==:",
        "@1",
        "token",
        "1\x00",
        "\u0661",
        "1e2",
    ],
)
def test_wrong_integers(value: str) -> None:
    """What is no structured-field integer, or a negative one, is as if it were not there."""
    assert sf_integer({"x": value}, "x") is None


@pytest.mark.parametrize("value", ["1", "true", "?2", "?", "??1", "?1, ?1", "?1 ?0", '"?1"', "", "?1;", "?T"])
def test_wrong_booleans(value: str) -> None:
    """What is no structured-field boolean is as if it were not there."""
    assert sf_boolean({"x": value}, "x") is None


@given(st.integers(0, SF_LIMIT))
def test_structured_integers_that_are_cut(number: int) -> None:
    """A structured-field integer with a parameter that is cut is the same number, or fewer of its digits, or none."""
    text = str(number)
    value = text + ";a=1"
    for end in range(len(value)):
        cut = sf_integer({"x": value[:end]}, "x")

        assert cut is None or cut == int(value[: min(end, len(text))])


@given(st.dictionaries(st.from_regex(r"[a-z*][a-z0-9_.*-]{0,10}", fullmatch=True), st.integers(0, SF_LIMIT), min_size=1))
def test_dictionaries_are_written(members: dict[str, int]) -> None:
    """Members are written as RFC 9651 has them, in their order."""
    parsed = http_sf.parse(sf_dictionary(members).encode(), tltype="dictionary")

    assert isinstance(parsed, dict)
    assert [(name, (value, {})) for name, value in members.items()] == list(parsed.items())


@pytest.mark.parametrize(
    ("seconds", "date"), [(0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784111777.9, "Sun, 06 Nov 1994 08:49:37 GMT")]
)
def test_dates(seconds: float, date: str) -> None:
    """Times are told as RFC 9110 prefers them."""
    assert date == imf_fixdate(seconds)
