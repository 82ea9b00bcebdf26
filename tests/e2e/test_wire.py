"""
What the wire does to an upload: cuts, resets, silence, haste and other ways to frame content.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.service.server.lingering import MOST
from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Call, Cut, Wire

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
SECONDS = 1.0
CUTS = 50

pytestmark = pytest.mark.content_path


@pytest.fixture
def server(serve: Serve) -> Holdfast:
    """Return a server with the settings that it has by default."""
    return serve()


def _complete(server: Holdfast, upload: Upload) -> bool:
    """Resume an upload until it is complete, and say whether its bytes are right."""
    with Wire(server.port) as wire:
        answer = question = upload.question(wire)
        if not upload.is_complete(question):
            answer = upload.append(wire, question.offset)
    if answer.status == 409:
        # A request that was cut came to its turn only now.
        with Wire(server.port) as wire:
            answer = upload.append(wire, upload.question(wire).offset)

    assert upload.is_complete(answer), (upload, question, answer)
    with Wire(server.port) as wire:
        return sha256(upload.content) == sha256(upload.download(wire).content)


def _cut(server: Holdfast, upload: Upload, at: int, *, reset: bool = False) -> None:
    """Break a connection off after *at* bytes of content that the server's system had all taken."""
    with Wire(server.port) as wire:
        upload.create(wire)
        wire.send(upload.head(0) + upload.content[:at])
        wire.settle()
        if reset:
            wire.reset()


def _offset(server: Holdfast, upload: Upload) -> int:
    with Wire(server.port) as wire:
        return upload.question(wire).offset


def _settled_offset(server: Holdfast, upload: Upload, expected: int) -> int:
    """Return the offset after the server has noticed by itself that a connection ended, or after two seconds."""
    until = time.monotonic() + 2 * SECONDS
    while server.recorded()[upload.target[-10:]] != ("open", expected) and time.monotonic() < until:
        time.sleep(0.002)
    return _offset(server, upload)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_content_that_ends_early(server: Holdfast, dialect: str) -> None:
    """
    Wherever a connection ends, every byte that the server's system had taken is kept.
    """
    luck = random.Random(dialect)
    sent, kept = [], []
    for i in range(CUTS):
        upload = Upload(DIALECTS[dialect], photo(i, luck.randrange(2, 2 * MiB)))
        at = luck.randrange(upload.length)
        _cut(server, upload, at)
        sent.append(at)
        kept.append(_settled_offset(server, upload, at))

        assert _complete(server, upload)
    print(f"{dialect}: {CUTS} connections ended after {sum(sent)} bytes, {sum(kept)} kept")

    assert sent == kept


@pytest.mark.parametrize("dialect", DIALECTS)
def test_question_right_after_the_cut(server: Holdfast, dialect: str) -> None:
    """
    A client that is back at once finds every byte that the server's system had taken, unless its question overtook the request.
    """
    luck = random.Random(f"{dialect} at once")
    sent, kept = [], []
    for i in range(CUTS):
        upload = Upload(DIALECTS[dialect], photo(i, luck.randrange(2, 2 * MiB)))
        sent.append(luck.randrange(upload.length))
        _cut(server, upload, sent[-1])
        kept.append(_offset(server, upload))

        assert _complete(server, upload)
    print(f"{dialect}: {CUTS} connections ended after {sum(sent)} bytes, {sum(kept)} kept")

    assert all(offset in (0, at) for at, offset in zip(sent, kept, strict=True))
    assert sum(offset == 0 for offset in kept) <= CUTS // 5


@pytest.mark.parametrize("dialect", DIALECTS)
def test_content_that_is_reset(server: Holdfast, dialect: str) -> None:
    """
    Wherever a connection is reset, the bytes that are kept are the right ones.
    """
    luck = random.Random(f"{dialect} reset")
    sent, kept = [], []
    for i in range(CUTS):
        upload = Upload(DIALECTS[dialect], photo(i, luck.randrange(2, 2 * MiB)))
        sent.append(luck.randrange(upload.length))
        _cut(server, upload, sent[-1], reset=True)
        kept.append(_offset(server, upload))

        assert _complete(server, upload)
    print(f"{dialect}: {CUTS} connections reset after {sum(sent)} bytes, {sum(kept)} kept")

    assert all(offset <= at for at, offset in zip(sent, kept, strict=True))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_expect_continue(server: Holdfast, dialect: str) -> None:
    """
    A client that asks before it sends is answered before any content, and goes on.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100 * KiB)).create(wire)
        wire.send(upload.head(0, expect="100-continue"))
        interim = wire.answer(until=100)
        wire.send(upload.content)
        answer = wire.answer()

        assert 100 == interim.status
        assert upload.is_complete(answer)
        assert sha256(upload.content) == sha256(upload.download(wire).content)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mistake", ["offset", "unknown", "length"])
def test_expect_refused(server: Holdfast, dialect: str, mistake: str) -> None:
    """
    Where the head suffices to refuse a request, its content is not asked for.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100 * KiB)).create(wire)
        match mistake:
            case "offset":
                head = upload.head(50, expect="100-continue")
            case "unknown":
                head = upload.head(0, expect="100-continue").replace(
                    upload.target.encode(), upload.target[:-10].encode() + b"0" * 10
                )
            case _:
                head = upload.head(0, 101 * KiB, expect="100-continue")
        wire.send(head)
        answer = wire.answer()

    length = {"tus": 413, "ietf": 400, "attachments": 400}[dialect]
    assert ((), {"offset": 409, "unknown": 404, "length": length}[mistake]) == (answer.interim, answer.status)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.alone("it measures how soon another process answers")
def test_gigabyte_refused_early(server: Holdfast, dialect: str) -> None:
    """A gigabyte for the wrong offset is refused at once, and the connection is closed instead of reading it."""
    size, sent, block = GiB, 0, bytes(256 * KiB)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100)).create(wire)
        begin = time.monotonic()
        wire.send(upload.dialect.append(upload.target, 50, size, 50 + size).encode(content_length=str(size)))
        answer = wire.answer()
        taken = time.monotonic() - begin
        try:
            while sent < size:
                wire.send(block)
                sent += len(block)
        except ConnectionError:
            pass
    print(f"{dialect}: {answer.status} after {taken * 1000:.1f} ms, {sent / MiB:.1f} MiB went out before the connection ended")

    assert (answer.status, answer.fields["connection"]) == (409, "close")
    assert taken < 0.5 * SECONDS
    # What the service drops, and what the system takes from the client before the service has read it (tcp_rmem, tcp_wmem).
    assert sent < MOST + sum(int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2]) for way in "rw") + MiB


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refused_while_sending(server: Holdfast, dialect: str) -> None:
    """
    A client that reads only after it has sent everything still sees why it was refused.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 200 * KiB)).create(wire)
        answer = upload.append(wire, 100 * KiB)

    assert (answer.status, answer.fields["upload-offset"]) == (409, "0")


def test_content_of_another_type_with_a_creation(server: Holdfast) -> None:
    """
    A client that sends what tus does not take with a creation, all of it before it reads, sees that the upload began.
    """
    call = Call(
        method="POST", target="/files", fields={"tus-resumable": "1.0.0", "upload-length": "20", "content-type": "text/plain"}
    )
    with Wire(server.port) as wire:
        wire.send(call.encode(content_length=str(200 * KiB)) + bytes(200 * KiB))
        answer = wire.answer()

    assert (201, "0", "close") == (answer.status, answer.fields["upload-offset"], answer.fields["connection"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_idle_timeout(serve: Serve, dialect: str) -> None:
    """
    A client that falls silent is told so after the idle timeout, its connection is closed, and its bytes are kept.
    """
    server = serve(idle_timeout=1)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100 * KiB)).create(wire)
        wire.send(upload.head(0) + upload.content[: 30 * KiB])
        begin = time.monotonic()
        answer = wire.answer()
        taken = time.monotonic() - begin
        ended = wire.is_ended(5)
    print(f"{dialect}: {answer.status} after {taken:.2f} s of silence")
    with Wire(server.port) as wire:
        offset = upload.question(wire).offset

    assert (408, True, 30 * KiB) == (answer.status, ended, offset)
    assert 0.9 * SECONDS < taken < 3.5 * SECONDS
    assert _complete(server, upload)


def _chunks(content: bytes, luck: random.Random) -> Iterator[bytes]:
    """Frame *content* in the chunked transfer coding, in chunks of any size."""
    at = 0
    while at < len(content):
        block = content[at : at + luck.randrange(1, 64 * KiB)]
        yield b"%x;ext=1\r\n%b\r\n" % (len(block), block)
        at += len(block)
    yield b"0\r\n\r\n"


def _chunked_head(upload: Upload, size: int) -> bytes:
    fields = {"transfer_encoding": "chunked"}
    return upload.dialect.append(upload.target, 0, size, upload.length).encode(**fields)


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
def test_chunked(server: Holdfast, dialect: str) -> None:
    """
    Content in the chunked transfer coding is content like any other.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, MiB)).create(wire)
        wire.send(_chunked_head(upload, upload.length))
        for chunk in _chunks(upload.content, random.Random(1)):
            wire.send(chunk)
        answer = wire.answer()

        assert upload.is_complete(answer)
        assert sha256(upload.content) == sha256(upload.download(wire).content)


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
def test_chunked_cut(server: Holdfast, dialect: str) -> None:
    """
    Chunked content that is cut counts as far as it came, and not as ended.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 300 * KiB)).create(wire)
        wire.send(_chunked_head(upload, upload.length) + b"32000\r\n" + upload.content[: 100 * KiB])
        wire.settle()

    assert 100 * KiB == _settled_offset(server, upload, 100 * KiB)
    assert _complete(server, upload)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_chunked_overrun(server: Holdfast, dialect: str) -> None:
    """
    Chunked content that goes on after the length is refused in the words of the dialect.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100 * KiB)).create(wire)
        wire.send(_chunked_head(upload, upload.length))
        for chunk in _chunks(upload.content + b"more", random.Random(2)):
            wire.send(chunk)
        answer = wire.answer()

    # The attachments API wants a Content-Length, always.
    assert {"tus": 413, "ietf": 400, "attachments": 411}[dialect] == answer.status


def test_slow_client(server: Holdfast) -> None:
    """
    The bytes of a client too slow to fill a block reach the file within two seconds, and a question from elsewhere sees them.
    """
    ages: list[float] = []
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("slow", 100 * KiB)).create(wire)
        wire.send(upload.head(0))
        sent: list[tuple[float, int]] = []
        begin = time.monotonic()
        while time.monotonic() - begin < 4 * SECONDS:
            at = len(sent) * KiB
            wire.send(upload.content[at : at + KiB])
            sent.append((time.monotonic(), at + KiB))
            time.sleep(0.1)
            written = b"".join(path.read_bytes() for path in server.data_dir.glob(f"uploads/*/{upload.target[-10:]}"))
            unseen = [when for when, end in sent if written[:end] != upload.content[:end]]
            ages.append(time.monotonic() - min(unseen, default=time.monotonic()))
        wire.settle()
        with Wire(server.port) as other:
            offset = upload.question(other).offset
    print(f"the oldest byte that was not in the file yet: {max(ages):.2f} s, median {statistics.median(ages):.2f} s")

    assert max(ages) < 2 * SECONDS
    assert len(sent) * KiB == offset
    assert _complete(server, upload)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pipelining(server: Holdfast, dialect: str) -> None:
    """
    Requests that are sent without waiting for answers are answered in their order.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 200 * KiB)).create(wire)
        third = 70 * KiB
        wire.send(
            upload.head(0, third)
            + upload.content[:third]
            + upload.head(third, third)
            + upload.content[third : 2 * third]
            + upload.head(2 * third)
            + upload.content[2 * third :]
            + upload.dialect.download(upload.target).encode()
        )
        answers = [wire.answer() for _ in range(3)]
        download = wire.answer("GET")

    assert [third, 2 * third, upload.length] == [answer.offset for answer in answers]
    assert sha256(upload.content) == sha256(download.content)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_http_1_0(server: Holdfast, dialect: str) -> None:
    """
    A client that speaks HTTP/1.0 can upload and download; it gets no interim response and no chunks.
    """
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS[dialect], photo(dialect, 100 * KiB)).create(wire)
    with Wire(server.port) as wire:
        wire.send(upload.head(0).replace(b"HTTP/1.1", b"HTTP/1.0", 1) + upload.content)
        answer = wire.answer()
        uploaded_and_closed = wire.is_ended(2)
    with Wire(server.port) as wire:
        wire.send(upload.dialect.download(upload.target).encode().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        download = wire.answer("GET")
        downloaded_and_closed = wire.is_ended(2)

    assert upload.is_complete(answer)
    assert sha256(upload.content) == sha256(download.content)
    assert (uploaded_and_closed, downloaded_and_closed, answer.interim) == (True, True, ())
    assert "transfer-encoding" not in download.fields


def test_garbage(server: Holdfast) -> None:
    """
    What is no HTTP is refused and does not disturb anybody else.
    """
    statuses = []
    for garbage in (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200), b"PATCH\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with Wire(server.port) as wire:
            wire.send(garbage)
            try:
                statuses.append(wire.answer().status)
            except (Cut, ConnectionError):
                statuses.append(400)
    with Wire(server.port) as wire:
        upload = Upload(DIALECTS["tus"], photo("after", KiB)).create(wire)

    assert [400, 400, 400] == statuses
    assert _complete(server, upload)
