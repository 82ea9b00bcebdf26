"""
The real server and heads that it has to refuse, or to understand as they stand.
"""

from __future__ import annotations

import pytest

from holdfast.service.asgi.requests import MAX_FIELDS, MAX_HEAD
from tests.protocols import tus_requests
from tests.server.http.hostile import CONTENT, chunks, patch, rest_or_reset
from tests.server.servers import Server

pytestmark = pytest.mark.usefixtures("quiet")

HOSTS = {
    "none": b"",
    "two": b"Host: a\r\nHost: a\r\n",
    "two in a list": b"Host: a, b\r\n",
    "a path": b"Host: a/b\r\n",
    "a user": b"Host: me@a\r\n",
    "a space": b"Host: a b\r\n",
    "markup": b"Host: <script>\r\n",
    "not ASCII": b"Host: \xc3\xbc.test\r\n",
    "no port": b"Host: a:b\r\n",
    "half an address": b"Host: [::1\r\n",
    "a no-break space": b"Host: a\xa0\r\n",
}


@pytest.mark.parametrize("request_line", [b"POST /files HTTP/1.1", b"GET /files/0123456789 HTTP/1.1"], ids=["POST", "GET"])
@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS.keys())
async def test_host_invalid(server: Server, hosts: bytes, request_line: bytes) -> None:
    """A request without exactly one valid Host is refused (RFC 9112, section 3.2)."""
    connection = await server.connect()
    connection.writer.write(request_line + b"\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n" + hosts + b"\r\n")
    answer = await connection.answer()

    assert (400, b"host_invalid") == (answer.status, answer.content.partition(b":")[0])


@pytest.mark.parametrize("host", [b"", b"a", b"A-b_c.test.:8080", b"127.0.0.1:1", b"[::1]:8080", b"a:", b"%61.test", b" a\t "])
async def test_valid_hosts(server: Server, host: bytes) -> None:
    """Whatever may stand in Host is served."""
    connection = await server.connect()
    connection.writer.write(b"POST /files HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nHost:" + host + b"\r\n\r\n")

    assert 201 == (await connection.answer()).status


async def test_http_1_0_without_a_host(server: Server) -> None:
    """HTTP/1.0 knows no Host."""
    connection = await server.connect()
    connection.writer.write(b"POST /files HTTP/1.0\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n\r\n")

    assert 201 == (await connection.answer()).status


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity, chunked", b"gzip\r\nTransfer-Encoding: chunked"])
async def test_transfer_coding_unknown(server: Server, coding: bytes) -> None:
    """Content in a transfer coding that we do not understand is 501, and none of it is taken for content."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    connection.writer.write(patch(path, b"Transfer-Encoding: " + coding) + chunks(CONTENT))
    answer = await connection.answer()

    assert (501, b"transfer_coding_unknown") == (answer.status, answer.content.partition(b":")[0])
    assert 0 == await server.settled(path)


@pytest.mark.parametrize(
    ("status", "coding"),
    [
        *((501, coding) for coding in (b"gzip", b"xchunked", b"chunked;a=b", b"chunked\xa0", b'"chunked"')),
        # RFC 9112, section 6.1: chunked is applied once, and last.
        *((400, coding) for coding in (b"chunked, chunked", b"chunked, gzip", b"\x0bchunked")),
    ],
)
async def test_content_without_end(server: Server, status: int, coding: bytes) -> None:
    """A transfer coding that does not tell the end of the content is refused, and then the connection ends."""
    path = await server.create(len(CONTENT))
    connection = await server.connect()
    connection.writer.write(patch(path, b"Transfer-Encoding: " + coding) + chunks(CONTENT))
    answer = await connection.answer()

    assert (status, "close") == (answer.status, answer.fields["connection"])
    assert b"" == await connection.rest()
    assert 0 == await server.settled(path)


LONG_HEADS = {
    "a path": (414, b"path_too_long", b"/files/" + b"a" * MAX_HEAD, b""),
    "an escaped path": (414, b"path_too_long", b"/files/" + b"%61" * (MAX_HEAD // 3), b""),
    "a field": (431, b"head_too_large", b"/files", b"X: " + b"x" * MAX_HEAD + b"\r\n"),
    "fields": (431, b"head_too_large", b"/files", b"X: y\r\n" * MAX_FIELDS),
    "names": (431, b"head_too_large", b"/files", (b"X" * 1000 + b": y\r\n") * 40),
}


@pytest.mark.parametrize(("status", "code", "path", "lines"), LONG_HEADS.values(), ids=LONG_HEADS.keys())
async def test_long_heads(server: Server, status: int, code: bytes, path: bytes, lines: bytes) -> None:
    """A head with too long a path, or too large or too many fields, is refused by its own code."""
    connection = await server.connect()
    fields = b"Host: a\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n" + lines
    connection.writer.write(b"POST " + path + b" HTTP/1.1\r\n" + fields + b"\r\n")
    answer = await connection.answer()

    assert (status, code) == (answer.status, answer.content.partition(b":")[0])


@pytest.mark.parametrize(
    "kind", [b'text/plain;a="' + b"\xff" * 50 + b'"', b'text/plain; a="\t"', b"text/plain\xa0", b"\xe4/\xf6", b"a/b;" * 9]
)
@pytest.mark.parametrize(
    "disposition",
    [b'a;filename="\\\x80\xff"', b"a;filename*=UTF-8''%00%0d%0aX:%20y%ff", b'a;filename="\t"', b"a;filename=" + b"a" * 3000],
)
async def test_what_was_accepted_can_be_sent(server: Server, kind: bytes, disposition: bytes) -> None:
    """An upload whose type and name the server took is downloaded, with fields that HTTP can carry."""
    connection = await server.connect()
    described = b"Content-Type: %b\r\nContent-Disposition: %b\r\nContent-Length: 3\r\n\r\nabc" % (kind, disposition)
    connection.writer.write(b"POST /files HTTP/1.1\r\nHost: a\r\nUpload-Complete: ?1\r\n" + described)
    created = await connection.answer()
    downloaded = await connection.ask("GET", "/files/" + created.fields["location"].rpartition("/")[2], {})

    assert (201, 200, b"abc") == (created.status, downloaded.status, downloaded.content)
    assert "x" not in downloaded.fields


@pytest.mark.parametrize("space", [b"\x0b", b"\x0c", b"\xa0", b"\x85", b"\x1c"])
@pytest.mark.parametrize("name", [b"Content-Length", b"Upload-Offset", b"Content-Type", b"Transfer-Encoding"])
async def test_what_is_no_white_space(server: Server, name: bytes, space: bytes) -> None:
    """Around a value only spaces and tabs are left out; what others would take for white space makes another value of it."""
    path = await server.create(len(CONTENT))
    values = {b"Content-Length": b"1024", b"Transfer-Encoding": b"chunked"}
    told = {key.encode(): value.encode() for key, value in tus_requests.at(0).items()} | {name: values.get(name, b"0")}
    if name == b"Content-Type":
        told[name] = tus_requests.CONTENT_TYPE["Content-Type"].encode()
    length = {} if name in values else {b"Content-Length": b"1024"}
    told = {b"Host": b"a", **told, **length}
    told[name] += space
    head = b"".join(key + b": " + value + b"\r\n" for key, value in told.items())
    connection = await server.connect()
    connection.writer.write(b"PATCH " + path.encode() + b" HTTP/1.1\r\n" + head + b"\r\n")
    connection.writer.write(chunks(CONTENT) if name == b"Transfer-Encoding" else CONTENT)
    rest = await rest_or_reset(connection) if name in values else await connection.answer()

    assert (rest[9:10] if isinstance(rest, bytes) else str(rest.status)[:1].encode()) in (b"", b"4", b"5")
    assert 0 == await server.settled(path)
