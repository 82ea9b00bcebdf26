"""
What tests of clients that break rules speak with.
"""

from __future__ import annotations

from tests.protocols import tus_requests
from tests.server.servers import Connection

CONTENT = bytes(range(256)) * 4


def chunks(content: bytes, size: int = 100, trailers: bytes = b"") -> bytes:
    """Return *content* in the chunked transfer coding."""
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


def patch(path: str, *lines: bytes, offset: int = 0) -> bytes:
    """Return the head of a PATCH with *lines* besides its own."""
    fields = [f"{name}: {value}".encode() for name, value in tus_requests.at(offset).items()]
    return b"\r\n".join([b"PATCH %b HTTP/1.1" % path.encode(), b"Host: holdfast.test", *fields, *lines, b"", b""])


async def rest_or_reset(connection: Connection) -> bytes:
    """Return what comes until the server closes, which may be in the middle of what we send."""
    try:
        return await connection.rest()
    except ConnectionError:
        return b""
