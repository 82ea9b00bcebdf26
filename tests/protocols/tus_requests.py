"""
How tests speak tus.
"""

from __future__ import annotations

from base64 import b64encode

VERSION = {"Tus-Resumable": "1.0.0"}
CONTENT_TYPE = {"Content-Type": "application/offset+octet-stream"}
APPEND = VERSION | CONTENT_TYPE


def at(offset: int | str, **others: str) -> dict[str, str]:
    """
    Return the fields of a PATCH at *offset*; *others* have underscores for hyphens.
    """
    return APPEND | {"Upload-Offset": str(offset)} | {name.replace("_", "-"): value for name, value in others.items()}


def creation(length: int | str | None = None, **others: str) -> dict[str, str]:
    """
    Return the fields of a POST; without a *length* there is no Upload-Length.
    """
    told = {} if length is None else {"Upload-Length": str(length)}
    return VERSION | told | {name.replace("_", "-"): value for name, value in others.items()}


def metadata(**values: str) -> str:
    """
    Return an Upload-Metadata value.
    """
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())
