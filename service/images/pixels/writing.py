"""
Encodes pictures as files, without blocking other threads.
"""

from __future__ import annotations

import os
import tempfile
from typing import BinaryIO

from PIL import Image


def written(picture: Image.Image, kind: str, **options: bool | int) -> bytes:
    """
    Return *picture* as a file of *kind*, one of Pillow's names, with Pillow's options for it.

    Into a BytesIO, Pillow encodes a whole JPEG without releasing the interpreter, which blocks the event loop for up to half a
    second.  Into a file of the system it encodes beside other threads.
    """
    with _file() as file:
        picture.save(file, kind, **options)
        file.seek(0)
        return file.read()


def _file() -> BinaryIO:
    """Return an empty file, without a disk if the system can (Linux)."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("picture"), "w+b")
    return tempfile.TemporaryFile()
