"""
How long it takes until an upload whose connection broke goes on elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from servers.holdfast import Holdfast
from tests.e2e.dialects import DIALECTS, Upload, photo, sha256
from tests.e2e.wire import Wire

MiB = 1024 * 1024
MILLISECONDS = 1000.0
# Seconds for the server to read what its system has taken; whoever comes earlier is looked at in test_wire.
SILENCE = 0.1


def resume(holder: Holdfast, newcomer: Holdfast, seed: object, leave: Callable[[Wire], None]) -> float:
    """
    Leave an upload of 2 MiB in the middle, resume it elsewhere, and return how long that took (milliseconds).

    *leave* is done to the connection when the server has what came by it; `Wire.settle` leaves it as a client does that vanished.
    """
    half = MiB
    with Wire(holder.port) as left:
        upload = Upload(DIALECTS["tus"], photo(seed, 2 * half)).create(left)
        left.send(upload.head(0) + upload.content[:half])
        left.settle()
        time.sleep(SILENCE)
        leave(left)
        begin = time.perf_counter()
        with Wire(newcomer.port) as wire:
            answer = upload.question(wire)

            assert (200, half) == (answer.status, answer.offset)
            # The server asks for the content when it has the upload: that is when a client can go on.
            wire.send(upload.head(half, expect="100-continue"))

            assert 100 == wire.answer(until=100).status
            taken = (time.perf_counter() - begin) * MILLISECONDS
            wire.send(upload.content[half:])

            assert upload.is_complete(wire.answer())
            assert sha256(upload.content) == sha256(upload.download(wire).content)
    return taken
