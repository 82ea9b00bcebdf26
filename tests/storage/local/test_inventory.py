"""
What only the inventory of the local byte store has: pages.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.local import inventory
from holdfast.storage.local.inventory import LocalInventory
from holdfast.storage.local.store import LocalByteStore
from tests.storage.backends import appended, new_upload


async def test_more_than_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that do not fit into one page are found on those behind it."""
    monkeypatch.setattr(inventory, "PAGE", 2)
    store = LocalByteStore(str(tmp_path), Durability.NONE, threads=1)
    found = LocalInventory(store)
    keys = {(await appended(store, new_upload(), b"hold")).key for _ in range(5)}

    assert keys == {stored.key async for stored in found.stored()}
    await found.close()
    await store.close()
