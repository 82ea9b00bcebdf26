"""
Images in JSON documents, as tests read them.
"""

from __future__ import annotations

from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_image import read_image


def read(document: bytes, limit: int, name: str = "image") -> tuple[bytes, str | None] | str:
    """
    Return content and declared type, or the code of the refusal.
    """
    try:
        image, declared = read_image(document, name, limit)
    except ProtocolError as error:
        return error.code if error.status == 400 else f"{error.status}"
    return bytes(image), declared
