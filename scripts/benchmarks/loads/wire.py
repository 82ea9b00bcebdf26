"""
The client: tus over one blocking socket, so that it is never what limits a server.

It shares the machine with the server, so it does as little as can be: it sends the same block again and again, out of the
processor's cache, and what it downloads it has the system throw away (``MSG_TRUNC``), counted but not copied.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0

SEND_BLOCK = 1 * MiB
TIMEOUT = 120 * SECONDS
END_OF_HEAD = b"\r\n\r\n"


class BenchError(Exception):
    """A measurement that cannot be made, or whose figure would be false; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a server takes uploads."""

    host: str
    port: int
    path: str
    certificate: str = ""
    """The file with the certificate that the server is to have; without one, nothing is encrypted."""

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """
        Return the endpoint that *url* names.

        :raises ValueError: it is not a plain HTTP URL.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url} is not an http:// URL")
        return cls(host=parts.hostname, port=parts.port or 80, path=parts.path or "/")


class Response:
    """One response as httptools parses it; its content is ignored."""

    def __init__(self, *, has_content: bool) -> None:
        self._has_content = has_content
        self._parser = httptools.HttpResponseParser(self)
        self.fields: dict[bytes, bytes] = {}
        self.status = 0
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        # A response to HEAD may name a length that does not follow.
        self.complete = not self._has_content

    def on_message_complete(self) -> None:
        self.complete = True


class Connection:
    """A keep-alive connection that speaks tus."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.certificate:
            context = ssl.create_default_context(cafile=endpoint.certificate)
            self._socket = context.wrap_socket(self._socket, server_hostname=endpoint.host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._socket.close()

    def create(self, length: int) -> str:
        """Begin an upload of *length* bytes and return its path."""
        self._socket.sendall(self._head("POST", self._endpoint.path, f"Upload-Length: {length}\r\nContent-Length: 0\r\n"))
        location = self._response("POST", 201).fields.get(b"location", b"").decode("latin-1")
        if not location:
            raise BenchError("the server answered 201 without a Location")
        return urlsplit(location).path

    def append(self, path: str, content: bytes) -> None:
        """Send small *content*, the whole of an upload, together with the head."""
        self._socket.sendall(self._append_head(path, len(content)) + content)
        self._expect_offset(self._response("PATCH", 204), len(content))

    def append_blocks(self, path: str, length: int, block: memoryview) -> None:
        """Send *length* bytes, the whole of an upload, by repeating *block*."""
        try:
            self._socket.sendall(self._append_head(path, length))
            for sent in range(0, length, len(block)):
                self._socket.sendall(block[: length - sent])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise BenchError(f"the server closed the connection in the middle of {length} bytes") from error
        self._expect_offset(self._response("PATCH", 204), length)

    def expect_stored(self, path: str, length: int) -> None:
        """Ask how far the upload is, and insist on *length*."""
        self._socket.sendall(self._head("HEAD", path))
        response = self._response("HEAD", 200, 204)
        self._expect_offset(response, length)

    def delete(self, path: str) -> None:
        """Give the upload up, so that its bytes leave the disk."""
        self._socket.sendall(self._head("DELETE", path))
        self._response("DELETE", 204)

    def download(self, path: str, length: int) -> None:
        """Have the content at *path* sent, and insist on *length* bytes.  Not through TLS: its bytes have to be looked at."""
        self._socket.sendall(self._head("GET", path))
        response, received = Response(has_content=False), b""
        while not response.complete:
            data = self._socket.recv(4 * KiB)
            if not data:
                raise BenchError("the server closed the connection instead of answering GET")
            response.feed(data)
            received += data
        head = received.partition(END_OF_HEAD)[0] + END_OF_HEAD
        announced = response.fields.get(b"content-length", b"")
        if response.status != 200 or announced != str(length).encode():
            raise BenchError(
                f"the server answered {response.status} with {announced.decode()} bytes to GET, not 200 with {length}"
            )
        left, unread = length - (len(received) - len(head)), bytearray(SEND_BLOCK)
        while left > 0:
            count = self._socket.recv_into(unread, min(left, SEND_BLOCK), socket.MSG_TRUNC)
            if not count:
                raise BenchError(f"the server closed the connection {left} bytes before the end of a download")
            left -= count

    def _head(self, method: str, path: str, fields: str = "") -> bytes:
        host = f"{self._endpoint.host}:{self._endpoint.port}"
        return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nTus-Resumable: 1.0.0\r\n{fields}\r\n".encode("latin-1")

    def _append_head(self, path: str, length: int) -> bytes:
        fields = f"Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n"
        return self._head("PATCH", path, fields)

    def _response(self, method: str, *statuses: int) -> Response:
        response = Response(has_content=method != "HEAD")
        while not response.complete:
            data = self._socket.recv(64 * KiB)
            if not data:
                raise BenchError(f"the server closed the connection instead of answering {method}")
            response.feed(data)
        if response.status not in statuses:
            raise BenchError(f"the server answered {response.status} to {method}")
        return response

    def _expect_offset(self, response: Response, length: int) -> None:
        offset = response.fields.get(b"upload-offset", b"")
        if offset != str(length).encode():
            raise BenchError(f"{length} bytes were sent, and the server has {offset.decode('latin-1') or 'no offset'}")
