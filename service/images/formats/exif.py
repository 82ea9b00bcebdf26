"""
Reads the orientation from EXIF, the only part of it that pixels need.
"""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
SHORT = 3
UPRIGHT = 1
ORIENTATIONS = range(1, 9)


def orientation(exif: bytes) -> int:
    """
    Return the orientation of EXIF (a TIFF without pixels), 1 to 8; 1 if it is missing or broken.

    Programs often damage EXIF, which is no reason to refuse a picture.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (first,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, first)
        for entry in range(count):
            tag, kind, values, value = struct.unpack_from(order + "HHIH", exif, first + 2 + 12 * entry)
            if (tag, kind, values) == (ORIENTATION, SHORT, 1):
                return value if value in ORIENTATIONS else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
