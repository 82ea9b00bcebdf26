"""
Little room, for the stores that keep something in files; and the doors to leases.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from tests.storage.backends import BYTE_STORES, LEASES, METADATA_STORES, usual
from tests.storage.leases.claimants import Claimant, Doors
from tests.storage.places import Place
from tests.storage.processes import Room, may_mount, small_disk

# A limit on the size of files may be set by everybody; a small disk is tried as well wherever mounting is permitted.
ROOMS = ("limit", "disk") if may_mount() else ("limit",)


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Return every kind of little room, in the folder ``data`` of the test."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return Room(under=small_disk(folder), limit=0) if request.param == "disk" else Room(under=(), limit=700_001)


@pytest.fixture(params=usual(LEASES))
async def doors(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Doors]:
    """Return two doors of the usual kinds of leases."""
    doors = LEASES[request.param](place)
    yield doors
    for leases in {id(leases): leases for leases in doors}.values():
        await leases.close()


@pytest.fixture
def claimants(doors: Doors) -> Sequence[Claimant]:
    """Return four who want the same lease, by either door in turn."""
    return [Claimant(doors[number % 2]) for number in range(4)]


@pytest.fixture(params=usual(METADATA_STORES))
async def metadata(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[MetadataStore]:
    """Return a metadata store of the usual kinds."""
    store = METADATA_STORES[request.param](place)
    yield store
    await store.close()


@pytest.fixture(params=usual(BYTE_STORES))
async def store(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[ByteStore]:
    """Return a store of the usual kinds."""
    store = BYTE_STORES[request.param](place)
    yield store
    await store.close()
