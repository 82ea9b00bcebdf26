"""
The least that a Python server can do with an upload: recv_into and pwrite, blocking, a thread for each connection.

What it costs is the kernel's share; no server that writes what it reads costs less.  It speaks just enough of tus for the bench:
it creates, appends to a new file, tells the size of the file and deletes it.  It checks nothing and records nothing, so nothing
else may be made of it.

With a third argument, content is on the disk before it is acknowledged, and after every so many MiB of it.

    python limit.py PORT DIRECTORY [MIB]
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import sys
import threading

MiB = 1024**2
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One client, with one buffer for whatever it sends."""

    def __init__(self, connection: socket.socket, directory: str, names: itertools.count[int], sync_every: int) -> None:
        self._connection = connection
        self._directory = directory
        self._names = names
        self._sync_every = sync_every
        self._buffer = bytearray(MiB)
        self._view = memoryview(self._buffer)
        self._filled = 0

    def serve(self) -> None:
        """Answer requests until the client goes away."""
        with self._connection:
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while end := self._head():
                head = bytes(self._view[:end])
                self._shift(end)
                method, target, _ = head.split(b" ", 2)
                length = CONTENT_LENGTH.search(head)
                self._connection.sendall(self._answer(method, target.decode(), int(length[1]) if length else 0))

    def _head(self) -> int:
        """Receive until a head is whole and return its length; 0 when the client went away."""
        while (end := self._buffer.find(END_OF_HEAD, 0, self._filled)) < 0:
            received = self._connection.recv_into(self._view[self._filled :])
            if not received:
                return 0
            self._filled += received
        return end + len(END_OF_HEAD)

    def _shift(self, count: int) -> None:
        self._buffer[: self._filled - count] = self._buffer[count : self._filled]
        self._filled -= count

    def _answer(self, method: bytes, target: str, length: int) -> bytes:
        path = os.path.join(self._directory, os.path.basename(target))
        if method == b"POST":
            name = str(next(self._names))
            os.close(os.open(os.path.join(self._directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return b"HTTP/1.1 201 Created\r\nLocation: /files/%s\r\nContent-Length: 0\r\n\r\n" % name.encode()
        if method == b"PATCH":
            return b"HTTP/1.1 204 No Content\r\nUpload-Offset: %d\r\n\r\n" % self._receive(path, length)
        if method == b"HEAD":
            return b"HTTP/1.1 200 OK\r\nUpload-Offset: %d\r\nContent-Length: 0\r\n\r\n" % os.stat(path).st_size
        os.unlink(path)
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    def _receive(self, path: str, length: int) -> int:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            early = min(self._filled, length)  # came together with the head
            os.pwrite(descriptor, self._view[:early], 0)
            self._shift(early)
            received, synced = early, 0
            while received < length:
                # Full buffers: fewer, larger writes cost a tenth less than writing whatever just came.
                count = self._connection.recv_into(self._view[: min(MiB, length - received)], 0, socket.MSG_WAITALL)
                if not count:
                    break
                os.pwrite(descriptor, self._view[:count], received)
                received += count
                if self._sync_every and (received - synced >= self._sync_every or received == length):
                    os.fdatasync(descriptor)
                    synced = received
            return received
        finally:
            os.close(descriptor)


def main(port: int, directory: str, sync_every: int) -> None:
    """Serve on *port* of the loopback until the process is ended; sync after *sync_every* bytes, or never."""
    names = itertools.count()
    with socket.create_server(("127.0.0.1", port), backlog=128) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=Connection(connection, directory, names, sync_every).serve, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) * MiB if sys.argv[3:] else 0)
