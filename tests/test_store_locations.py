"""
Where the stores are, as everybody may know it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.service.settings import Settings
from holdfast.service.store_locations import StoreLocations


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://kelp:secret@redis.example/3?ssl_ca_certs=/etc/ca.pem", "rediss://redis.example/3"),
        ("redis+sentinel://:secret@a:1,b:2/mymaster?sentinel_password=sec@ret", "redis+sentinel://a:1,b:2/mymaster"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("sqlite:/var/lib/facts", "sqlite:/var/lib/facts"),
        ("memory:", "memory:"),
    ],
)
def test_records(url: str, place: str) -> None:
    """The place of records is their URL, without what opens it."""
    assert place == StoreLocations.of(Settings(metadata_url=url)).records


@pytest.mark.parametrize(
    ("url", "endpoint", "place"),
    [
        ("s3://kelp/photos", "", "s3://kelp/photos"),
        ("s3://kelp", "https://me:secret@s3.example", "s3://kelp at https://s3.example"),
        ("file:/srv/kelp", "", "file:/srv/kelp"),
        ("memory:", "", "memory:"),
    ],
)
def test_content(url: str, endpoint: str, place: str) -> None:
    """The place of content is its URL, and that of the server."""
    assert place == StoreLocations.of(Settings(bytes_url=url, s3_endpoint_url=endpoint)).content


def test_embedded_stores(tmp_path: Path) -> None:
    """Those without a path are in the folder of data."""
    places = StoreLocations.of(Settings(data_dir=str(tmp_path)))

    assert f"sqlite:{tmp_path}/holdfast.sqlite" == places.records
    assert f"file:{tmp_path}" == places.content
