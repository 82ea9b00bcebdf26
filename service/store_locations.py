"""The locations of the stores, without secrets, for logs and messages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from holdfast.service.settings import Settings

# Schemes whose URLs contain no secrets.
PATHS = ("sqlite", "file", "memory", "s3")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLocations:
    """The locations of records and content: URLs without credentials and options."""

    records: str
    content: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the locations that *settings* name."""
        records, content = settings.metadata_url, settings.bytes_url
        kind, _, path = records.partition(":")
        if kind == "sqlite":
            records = f"sqlite:{os.path.abspath(path or os.path.join(settings.data_dir, 'holdfast.sqlite'))}"
        kind, _, path = content.partition(":")
        if kind == "file":
            content = f"file:{os.path.abspath(path or settings.data_dir)}"
        elif kind == "s3" and settings.s3_endpoint_url:
            content = f"{content} at {public_url(settings.s3_endpoint_url)}"
        return cls(records=public_url(records), content=public_url(content))


def public_url(url: str) -> str:
    """Return *url* without credentials."""
    scheme, separator, rest = url.partition("://" if "://" in url else ":")
    if scheme in PATHS:
        return url
    # Passwords may be before the host and in the query.
    return f"{scheme}{separator}{rest.partition('?')[0].rpartition('@')[2]}"
