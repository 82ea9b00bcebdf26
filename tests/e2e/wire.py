"""
HTTP/1.1 by hand: a test says what is on the wire, when, and how the wire is cut.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

SECONDS = 1.0
TIMEOUT = 20 * SECONDS
MiB = 1024 * 1024


class Cut(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The head of a request."""

    method: str
    target: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def encode(self, **more: str) -> bytes:
        """
        Return it as it goes over the wire, with *more* fields; ``content_length`` becomes ``content-length``.
        """
        fields = {"host": "127.0.0.1", **self.fields, **{name.replace("_", "-"): value for name, value in more.items()}}
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, with the statuses of the interim responses before it."""

    status: int
    fields: Mapping[str, str]
    content: bytes = b""
    interim: tuple[int, ...] = ()

    @property
    def offset(self) -> int:
        """
        Return the offset that it tells.
        """
        return int(self.fields["upload-offset"])


class Wire:
    """
    One connection to a server.
    """

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, data: bytes | memoryview) -> None:
        """
        Send *data*, all of it.
        """
        self.socket.sendall(data)

    def ask(self, call: Call, content: bytes | memoryview = b"") -> Answer:
        """
        Send a whole request and return the answer, also when the server has closed the connection before it had everything.
        """
        fields = {} if not len(content) and call.method in ("GET", "HEAD", "DELETE") else {"content_length": str(len(content))}
        with suppress(ConnectionError):
            self.send(call.encode(**fields))
            if len(content):
                self.send(content)
        return self.answer(call.method)

    def answer(self, method: str = "PATCH", *, until: int = 200) -> Answer:
        """
        Return the next answer, or the next interim answer of at least *until*.

        :raises Cut: the connection ended before.
        """
        interim: list[int] = []
        while True:
            while b"\r\n\r\n" not in self._received:
                self._more()
            head, self._received = self._received.split(b"\r\n\r\n", 1)
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            pairs = [line.split(":", 1) for line in lines]
            fields = {name.strip().lower(): value.strip() for name, value in pairs}
            if status < 200:
                interim.append(status)
                if status >= until:
                    return Answer(status=status, fields=fields)
                continue
            content = b"" if method == "HEAD" or status in (204, 304) else self._content(fields)
            return Answer(status=status, fields=fields, content=content, interim=tuple(interim))

    def settle(self, seconds: float = 5 * SECONDS) -> None:
        """
        Wait until the server's system has acknowledged every byte that was sent.

        :raises Cut: it will not, the connection was reset.
        """
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.socket, 0)
        while self._outstanding():
            if poll.poll(0):
                raise Cut("the server reset the connection")
            if time.monotonic() > until:
                raise TimeoutError(f"{self._outstanding()} bytes were not taken")
            time.sleep(0.0005)

    def is_ended(self, seconds: float = TIMEOUT) -> bool:
        """
        Say whether the server closes the connection within *seconds*; what else it sends is forgotten.
        """
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                self.socket.settimeout(max(0.001, until - time.monotonic()))
                if not self.socket.recv(MiB):
                    return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return False

    def close(self) -> None:
        """
        End the connection with FIN.
        """
        self.socket.close()

    def reset(self) -> None:
        """
        End the connection with RST.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _content(self, fields: Mapping[str, str]) -> bytes:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            content = b""
            while size := int(self._line(), 16):
                content += self._take(size)
                self._line()
            self._line()
            return content
        if "content-length" in fields:
            return self._take(int(fields["content-length"]))
        return b""

    def _line(self) -> bytes:
        while b"\r\n" not in self._received:
            self._more()
        line, self._received = self._received.split(b"\r\n", 1)
        return line

    def _take(self, size: int) -> bytes:
        blocks = [self._received[:size]]
        self._received = self._received[size:]
        missing = size - len(blocks[0])
        while missing:
            block = self.socket.recv(min(missing, MiB))
            if not block:
                raise Cut(f"{missing} bytes of the content are missing")
            blocks.append(block)
            missing -= len(block)
        return b"".join(blocks)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise Cut(f"ended after {self._received!r}")
        self._received += data

    def _outstanding(self) -> int:
        return int.from_bytes(fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4), "little")
