"""
How tests speak the attachments API.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.protocols.service import IMAGE, LENGTH

COMMUNITY_URL = "/.api2/api/v1/communities/1/attachments"
ENTRY_URL = COMMUNITY_URL + "/uploads/{key}"

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

ENTRY = {"ContentLength": LENGTH, "ContentType": "image/png", "Name": "photo.png"}


def entry(**changed: Any) -> bytes:  # noqa: ANN401 - a JSON value
    """
    Return a JSON document that creates an entry; a value that is ... is left out.
    """
    return json.dumps({name: value for name, value in (ENTRY | changed).items() if value is not ...}).encode()


def form(**changed: Any) -> bytes:  # noqa: ANN401 - what urlencode takes
    """
    Return the form that the known client sends; a value that is ... is left out.
    """
    values = {"name": "photo.png", "contentType": "image/png", "contentLength": LENGTH} | changed
    return urlencode({name: value for name, value in values.items() if value is not ...}).encode()


def span(first: int, last: int, length: int | str = LENGTH, kind: str = "image/png") -> dict[str, str]:
    """
    Return the fields of a PATCH with the bytes from *first* to *last*, both included.
    """
    return {"Content-Range": f"bytes {first}-{last}/{length}", "Content-Type": kind}


def part(first: int, last: int) -> bytes:
    """
    Return the content that belongs to `span`.
    """
    return IMAGE[first : last + 1]
