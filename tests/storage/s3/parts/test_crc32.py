"""
Sums of parts are the sum of the whole.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.s3.parts.crc32 import combine
from tests.storage.backends import cuts

MiB = 1024 * 1024


@given(st.lists(st.binary(max_size=100), max_size=6))
def test_any_parts(parts: list[bytes]) -> None:
    """However content was cut, its sum is found from those of its parts; nothing has the sum 0."""
    assert zlib.crc32(b"".join(parts)) == combine((zlib.crc32(part), len(part)) for part in parts)


def test_cut_at_every_place() -> None:
    """Wherever content is cut, its sum is the same."""
    content = b"kelp\x00\xff\n\x00\x00"
    for parts in cuts(content):
        assert zlib.crc32(content) == combine((zlib.crc32(part), len(part)) for part in parts), parts


@pytest.mark.parametrize("size", [1 * MiB - 1, 5 * MiB, 5 * MiB + 1])
def test_large_parts(size: int) -> None:
    """Parts may have any size."""
    content = bytes(range(256)) * (size // 256 + 1)
    parts = [content[:size], content[:size], b"end"]

    assert zlib.crc32(b"".join(parts)) == combine((zlib.crc32(part), len(part)) for part in parts)
