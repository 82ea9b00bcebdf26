"""
Downloads: conditions, ranges and file names, per RFC 9110, RFC 6266 and RFC 8187.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.protocols.http.fields import imf_fixdate
from holdfast.service.protocols.http.representation import (
    IMAGE_POLICY,
    MEDIA_POLICY,
    SANDBOX,
    content_disposition,
    etag_of,
    select,
)
from holdfast.storage.records import Key, State, Tenant, UploadRecord

CREATED = 784_111_777.5  # Sun, 06 Nov 1994 08:49:37 GMT, and a half
BEFORE, THEN, AFTER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
RECORD = UploadRecord(
    tenant=Tenant("1"), key=Key("0123456789"), created_at=CREATED, state=State.COMPLETE, offset=100, length=100, name="a.png"
)
EMPTY = UploadRecord(tenant=Tenant("1"), key=Key("0123456789"), created_at=CREATED, state=State.COMPLETE, length=0)
ETAG = f'"{etag_of(RECORD)}"'
WHOLE = (200, 0, 100)
NO_CONTENT = (0, 0)
VALIDATORS = {"ETag": ETAG, "Last-Modified": THEN, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}

RANGES = {
    "no Range": (None, WHOLE),
    "the first byte": ("bytes=0-0", (206, 0, 1)),
    "a unit in another case": ("ByteS=0-0", (206, 0, 1)),
    "the last byte": ("bytes=99-99", (206, 99, 100)),
    "a part in the middle": ("bytes=10-19", (206, 10, 20)),
    "everything": ("bytes=0-99", (206, 0, 100)),
    "from a byte on": ("bytes=90-", (206, 90, 100)),
    "last-pos beyond the end is the end": ("bytes=90-1000", (206, 90, 100)),
    "last-pos far beyond the end is the end": ("bytes=90-" + "9" * 5000, (206, 90, 100)),
    "a suffix": ("bytes=-10", (206, 90, 100)),
    "a suffix longer than the file is the file": ("bytes=-1000", (206, 0, 100)),
    "a suffix far longer than the file is the file": ("bytes=-" + "9" * 5000, (206, 0, 100)),
    "first-pos at the length is 416": ("bytes=100-", (416, *NO_CONTENT)),
    "first-pos beyond the length is 416": ("bytes=1000-1001", (416, *NO_CONTENT)),
    "first-pos far beyond the length is 416": ("bytes=" + "9" * 5000 + "-", (416, *NO_CONTENT)),
    "a suffix of nothing is 416": ("bytes=-0", (416, *NO_CONTENT)),
    "spaces around the range": ("bytes= 0-0 ", (206, 0, 1)),
    "last-pos before first-pos is ignored": ("bytes=5-4", WHOLE),
    "another unit is ignored": ("items=0-4", WHOLE),
    "no unit is ignored": ("0-4", WHOLE),
    "no range is ignored": ("bytes=", WHOLE),
    "a hyphen is ignored": ("bytes=-", WHOLE),
    "a space within is ignored": ("bytes=0 -4", WHOLE),
    "a sign is ignored": ("bytes=+0-4", WHOLE),
    "digits of other scripts are ignored": ("bytes=\u0660-\u0664", WHOLE),
    "several ranges are ignored": ("bytes=0-0,-1", WHOLE),
    "many ranges are ignored": ("bytes=" + ",".join(["0-0"] * 500), WHOLE),
}

CONDITIONS: dict[str, tuple[dict[str, str], int]] = {
    "If-Match: *": ({"if-match": "*"}, 200),
    "If-Match of the entity tag": ({"if-match": ETAG}, 200),
    "If-Match of a list with it": ({"if-match": f'"x", {ETAG} ,"y,"'}, 200),
    "If-Match of another": ({"if-match": '"x"'}, 412),
    "If-Match compares strongly": ({"if-match": f"W/{ETAG}"}, 412),
    "If-Match of a part of it": ({"if-match": ETAG[:-2] + '"'}, 412),
    "If-Match of nothing": ({"if-match": ""}, 412),
    "If-None-Match: *": ({"if-none-match": "*"}, 304),
    "If-None-Match of the entity tag": ({"if-none-match": ETAG}, 304),
    "If-None-Match compares weakly": ({"if-none-match": f"W/{ETAG}"}, 304),
    "If-None-Match of a list with it": ({"if-none-match": f'"x",W/{ETAG}'}, 304),
    "If-None-Match of another": ({"if-none-match": '"x"'}, 200),
    "If-Modified-Since before": ({"if-modified-since": BEFORE}, 200),
    "If-Modified-Since then": ({"if-modified-since": THEN}, 304),
    "If-Modified-Since after": ({"if-modified-since": AFTER}, 304),
    "If-Modified-Since in RFC 850's form": ({"if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
    "If-Modified-Since in asctime's form": ({"if-modified-since": "Sun Nov  6 08:49:37 1994"}, 304),
    "If-Modified-Since that is no date is ignored": ({"if-modified-since": "yesterday"}, 200),
    "If-Modified-Since of an impossible date is ignored": ({"if-modified-since": "Sun, 99 Nov 1994 08:49:37 GMT"}, 200),
    "If-Modified-Since of an impossible year is ignored": ({"if-modified-since": "Sun, 06 Nov 99999 08:49:37 GMT"}, 200),
    "If-Unmodified-Since before": ({"if-unmodified-since": BEFORE}, 412),
    "If-Unmodified-Since then": ({"if-unmodified-since": THEN}, 200),
    "If-Unmodified-Since after": ({"if-unmodified-since": AFTER}, 200),
    "If-Unmodified-Since in asctime's form": ({"if-unmodified-since": "Sun Nov  6 08:49:37 1994"}, 200),
    "If-Unmodified-Since that is no date is ignored": ({"if-unmodified-since": "tomorrow"}, 200),
    "If-Match goes before If-Unmodified-Since": ({"if-match": ETAG, "if-unmodified-since": BEFORE}, 200),
    "If-None-Match goes before If-Modified-Since": ({"if-none-match": '"x"', "if-modified-since": AFTER}, 200),
    "If-Match goes before If-None-Match": ({"if-match": '"x"', "if-none-match": ETAG}, 412),
    "If-Unmodified-Since goes before If-None-Match": ({"if-unmodified-since": BEFORE, "if-none-match": ETAG}, 412),
    "304 wins over a range": ({"if-none-match": ETAG, "range": "bytes=0-0"}, 304),
    "412 wins over a range": ({"if-match": '"x"', "range": "bytes=0-0"}, 412),
    "304 wins over a range that cannot be satisfied": ({"if-none-match": ETAG, "range": "bytes=100-"}, 304),
    "If-Range of the entity tag": ({"if-range": ETAG, "range": "bytes=0-0"}, 206),
    "If-Range of another": ({"if-range": '"x"', "range": "bytes=0-0"}, 200),
    "If-Range of another wins over 416": ({"if-range": '"x"', "range": "bytes=100-"}, 200),
    "If-Range compares strongly": ({"if-range": f"W/{ETAG}", "range": "bytes=0-0"}, 200),
    "If-Range of a date is answered with the whole": ({"if-range": THEN, "range": "bytes=0-0"}, 200),
    "If-Range without Range is ignored": ({"if-range": ETAG}, 200),
}

NAMES = st.text(min_size=1, max_size=40) | st.text("\"\\%';,=/\r\n\x00 \x7fäß€\U0001f600a.", min_size=1, max_size=20)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand elsewhere."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("value", "wanted"), RANGES.values(), ids=RANGES.keys())
def test_ranges(value: str | None, wanted: tuple[int, int, int]) -> None:
    """A Range selects what RFC 9110, section 14 says."""
    selection = select(RECORD, "GET", {} if value is None else {"range": value})
    fields = dict(selection.fields)
    content_range = {206: f"bytes {selection.start}-{selection.stop - 1}/100", 416: "bytes */100", 200: None}[selection.status]

    assert wanted == (selection.status, selection.start, selection.stop)
    assert (content_range, str(wanted[2] - wanted[1])) == (fields.get("Content-Range"), fields["Content-Length"])
    assert VALIDATORS == {name: fields[name] for name in VALIDATORS}


@pytest.mark.parametrize(("fields", "status"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_conditions(fields: dict[str, str], status: int) -> None:
    """Conditions are judged as RFC 9110, section 13 says, in its order."""
    selection = select(RECORD, "GET", fields)

    assert status == selection.status
    assert (selection.stop > 0) is (status in (200, 206))


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("date", [THEN, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_dates_are_of_greenwich(date: str) -> None:
    """A date is in universal time in each of the three forms of RFC 9110, wherever this machine stands."""
    statuses = [select(RECORD, "GET", {name: date}).status for name in ("if-modified-since", "if-unmodified-since")]

    assert [304, 200] == statuses


@pytest.mark.parametrize("value", ["bytes=0-0", "bytes=100-", "bytes=-0"])
def test_head_ignores_ranges(value: str) -> None:
    """Range is defined for GET only."""
    assert select(RECORD, "HEAD", {"range": value}).status == 200


@pytest.mark.parametrize("value", [None, "bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"])
def test_nothing_has_no_ranges(value: str | None) -> None:
    """A file of no bytes is answered whole."""
    selection = select(EMPTY, "GET", {} if value is None else {"range": value})

    assert (200, 0, 0) == (selection.status, selection.start, selection.stop)


@given(st.integers(0, 200), st.integers(0, 200))
def test_every_range(first: int, last: int) -> None:
    """Whatever the range, the bytes are those that it names and that are there."""
    selection = select(RECORD, "GET", {"range": f"bytes={first}-{last}"})
    named = set(range(first, last + 1)) & set(range(100)) if first <= last else set(range(100))

    assert named == set(range(selection.start, selection.stop))


@given(st.dictionaries(st.sampled_from(["range", "if-range", "if-match", "if-none-match"]), st.text()))
def test_any_fields(fields: dict[str, str]) -> None:
    """No text in a field is an error."""
    selection = select(RECORD, "GET", fields)

    assert selection.status in (200, 206, 304, 412, 416)


@given(st.sampled_from(["if-modified-since", "if-unmodified-since"]), st.text() | st.text("SunNov 06:1994,GMT+-", max_size=40))
def test_any_dates(name: str, value: str) -> None:
    """No text in the place of a date is an error."""
    assert select(RECORD, "GET", {name: value}).status in (200, 304, 412)


@given(NAMES)
def test_file_names_are_kept_apart(name: str) -> None:
    """No name leaves its place in Content-Disposition, and all of it comes back."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return  # half a character is no name; `holdfast.service.core.names` takes it out
    value = content_disposition(name, inline=False)
    plain, _, extended = value.removeprefix('attachment; filename="').partition("; filename*=UTF-8''")

    assert re.fullmatch(r'[^"\\%\x00-\x1f\x7f-\U0010ffff]*"', plain)
    assert re.fullmatch(r"([!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2})*", extended)
    assert name == (unquote(extended, errors="strict") if extended else plain[:-1])


@pytest.mark.parametrize("name", [None, ""])
@pytest.mark.parametrize(("inline", "value"), [(True, "inline"), (False, "attachment")])
def test_no_name(name: str | None, inline: bool, value: str) -> None:
    """Without a name there is only the disposition."""
    assert value == content_disposition(name, inline=inline)


@pytest.mark.parametrize(
    ("kind", "inline", "policy"),
    [
        ("image/png", True, IMAGE_POLICY),
        ("image/jpg", True, IMAGE_POLICY),
        ("IMAGE/GIF; q=1", True, IMAGE_POLICY),
        ("image/heic", False, IMAGE_POLICY),
        ("text/plain; charset=utf-8", True, SANDBOX),
        ("audio/wav", True, MEDIA_POLICY),
        ("audio/mp4", True, MEDIA_POLICY),
        ("video/mp4", True, MEDIA_POLICY),
        ("Video/QuickTime", True, MEDIA_POLICY),
        ("application/ogg", True, MEDIA_POLICY),
        ("video/x-unknown", False, MEDIA_POLICY),
        ("text/html", False, SANDBOX),
        ("image/svg+xml", False, SANDBOX),
        ("image/svg", False, SANDBOX),
        ("video/html+xml; a=b", False, SANDBOX),
        ("audio/XML", False, SANDBOX),
        ("application/xhtml+xml", False, SANDBOX),
        ("application/pdf", False, SANDBOX),
        ("application/xml", False, SANDBOX),
        ("text/javascript", False, SANDBOX),
        ("application/octet-stream", False, SANDBOX),
        (None, False, SANDBOX),
    ],
)
def test_user_content(kind: str | None, inline: bool, policy: str) -> None:
    """User content is shown in place only if it cannot carry a script; it is never sniffed, and loads nothing but itself."""
    record = UploadRecord(
        tenant=Tenant("1"), key=Key("0123456789"), created_at=1, state=State.COMPLETE, offset=1, content_type=kind, name="a"
    )
    fields = dict(select(record, "GET", {}).fields)

    assert inline is fields["Content-Disposition"].startswith("inline")
    assert (kind or "application/octet-stream") == fields["Content-Type"]
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert policy == fields["Content-Security-Policy"]


def test_policies() -> None:
    """A policy allows the content that it is of and no script, whatever its type is called."""
    assert "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'" == MEDIA_POLICY
    assert SANDBOX.startswith("sandbox; ")
    assert not any("script" in policy or "default-src 'none'" not in policy for policy in (MEDIA_POLICY, IMAGE_POLICY, SANDBOX))


def test_entity_tags_are_strong() -> None:
    """The entity tag is strong, and another for another upload."""
    other = UploadRecord(tenant=Tenant("1"), key=Key("9876543210"), created_at=1, offset=100)

    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', ETAG)
    assert etag_of(other) != etag_of(RECORD)


def test_last_modified_is_not_in_the_future() -> None:
    """What a clock ahead of ours stored was last modified now: `Last-Modified` is never later than `Date`."""
    ahead = dict(select(RECORD, "GET", {}, RECORD.created_at - 100).fields)
    past = dict(select(RECORD, "GET", {}, RECORD.created_at + 100).fields)

    assert imf_fixdate(RECORD.created_at - 100) == ahead["Last-Modified"]
    assert imf_fixdate(RECORD.created_at) == past["Last-Modified"]
