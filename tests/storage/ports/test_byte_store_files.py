"""
What every `holdfast.storage.ports.ByteStore` promises of content that is a file.
"""

from __future__ import annotations

import os

import pytest

from holdfast.storage.errors import NotFound
from holdfast.storage.ports.content import ByteStore
from tests.storage.backends import appended, changed, new_upload

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

CONTENT = bytes(range(256)) * 5 * 1024


async def test_a_file_begins_with_the_content(store: ByteStore) -> None:
    """Where complete content is a file, that can be read, also after it was deleted meanwhile; it is closed afterwards."""
    record = await appended(store, new_upload(), CONTENT)
    await store.complete(record)
    async with store.file(record) as descriptor:
        await store.delete(record)
        content = CONTENT if descriptor is None else os.pread(descriptor, len(CONTENT), 0)
    if descriptor is not None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)

    assert CONTENT == content


async def test_no_file_of_nothing(store: ByteStore) -> None:
    """Where complete content would be a file, one that is missing is missed."""
    try:
        async with store.file(changed(new_upload(), offset=4)) as descriptor:
            found = descriptor is not None
    except NotFound:
        found = False

    assert not found
