"""
A real S3 server behind a proxy that makes trouble.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.fixtures import Bucket


@pytest.fixture
async def proxy(swift_place: Bucket) -> AsyncIterator[FaultyProxy]:
    """Return a proxy in front of a real server."""
    async with FaultyProxy(swift_place.account.endpoint) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: FaultyProxy, swift_place: Bucket) -> Bucket:
    """Return the bucket as it is seen through the proxy."""
    return Bucket(account=replace(swift_place.account, endpoint=proxy.endpoint), name=swift_place.name)
