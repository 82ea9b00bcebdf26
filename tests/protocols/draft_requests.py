"""
How tests speak the IETF draft.
"""

from __future__ import annotations

INTEROP = {"Upload-Draft-Interop-Version": "9"}
MISMATCHING_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
INCONSISTENT_LENGTH = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


def creation(complete: str, **others: str) -> dict[str, str]:
    """
    Return the fields of a creation; *others* have underscores for hyphens.
    """
    return {"Upload-Complete": complete} | {name.replace("_", "-"): value for name, value in others.items()}


def append(offset: int | str, complete: str = "?0", **others: str) -> dict[str, str]:
    """
    Return the fields of an append.
    """
    own = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset), "Upload-Complete": complete}
    return own | {name.replace("_", "-"): value for name, value in others.items()}
