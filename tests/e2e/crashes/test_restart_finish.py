"""
The process is killed between the last byte of an upload and its finish.
"""

from __future__ import annotations

import collections
import random
import statistics
import time

import pytest

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Cut, Wire

KiB = 1024
SEED = 412
TRIES = 50
UPLOADS = 6  # at once; each try kills them all
SPREAD = 3  # kills come up to so many times the usual time of a finish after the last byte


def _last_byte_to_answer(server: Holdfast) -> float:
    """Return how long the server usually has an upload between its last byte and its answer (seconds)."""
    taken = []
    for i in range(15):
        with Wire(server.port) as wire:
            upload = Upload(DIALECTS["attachments"], photo(i, 20 * KiB)).create(wire)
            wire.send(upload.head(0) + upload.content[:-1])
            time.sleep(0.01)
            begin = time.perf_counter()
            wire.send(upload.content[-1:])

            assert upload.is_complete(wire.answer())
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _kill_at_the_end(server: Holdfast, luck: random.Random, usual: float) -> tuple[list[Upload], list[bool]]:
    """Send the last bytes of some uploads, kill the server about then, and return which of them were told to be complete."""
    wires = [Wire(server.port) for _ in range(UPLOADS)]
    try:
        uploads = [
            Upload(DIALECTS[luck.choice(list(DIALECTS))], photo(luck.random(), luck.randrange(1 * KiB, 300 * KiB))).create(wire)
            for wire in wires
        ]
        for wire, upload in zip(wires, uploads, strict=True):
            wire.send(upload.head(0) + upload.content[:-1])
        for wire in wires:
            wire.settle()
        time.sleep(0.02)
        for wire, upload in zip(wires, uploads, strict=True):
            wire.send(upload.content[-1:])
        time.sleep(luck.uniform(0, SPREAD * usual))
        server.kill()
        told = []
        for wire, upload in zip(wires, uploads, strict=True):
            try:
                told.append(upload.is_complete(wire.answer()))
            except (Cut, ConnectionError):
                told.append(False)
        return uploads, told
    finally:
        for wire in wires:
            wire.close()


@pytest.mark.slow
@pytest.mark.content_path
def test_killed_before_the_finish(serve: Serve) -> None:
    """
    An upload that was killed around its end is complete with all its content, or can be resumed; an offset never lies about that.
    """
    luck = random.Random(SEED)
    server = serve()
    usual = _last_byte_to_answer(server)
    left: collections.Counter[str] = collections.Counter()
    promised = 0
    for _ in range(TRIES):
        uploads, told = _kill_at_the_end(server, luck, usual)
        states = server.recorded()
        left.update(states[upload.target[-10:]][0] for upload in uploads)
        promised += sum(told)
        server.start()
        for upload, was_told in zip(uploads, told, strict=True):
            with Wire(server.port) as wire:
                # Sometimes the first to come back only wants the content.
                early = upload.download(wire) if luck.random() < 0.3 else None
                question = upload.question(wire)
                complete = upload.is_complete(question)

                assert question.offset <= upload.length
                assert complete or not was_told, (upload, question)
                assert complete == (question.offset == upload.length) or upload.dialect == DIALECTS["ietf"]
                if early is not None and early.status == 200:
                    assert complete
                    assert sha256(upload.content) == sha256(early.content)
                if not complete:
                    assert 404 == upload.download(wire).status
                    assert upload.is_complete(upload.append(wire, question.offset))
                download = upload.download(wire)

                assert (200, sha256(upload.content)) == (download.status, sha256(download.content)), upload
    print(
        f"seed {SEED}: {TRIES} kills up to {SPREAD * usual * 1000:.1f} ms after the last byte; "
        f"{UPLOADS * TRIES} uploads were left {dict(left)}, {promised} were promised to be complete"
    )

    # Otherwise the kills came too early or too late to tell anything.
    assert left["received"] > 0
