"""
Images in JSON documents do not hold up the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time

import pytest

from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.decoding import DecodedContent
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_image import SLICE, read_image
from tests.asgi.wire import Wire, scope

IMAGE = os.urandom(10 * 1024 * 1024)
# CPU-seconds of all threads: the longest that the event loop waits for its turn; measured, it is 2 to 6 ms, and it was 110.
STEP = 0.03
BLOCK = 256 * 1024
FORMS = {
    "plain": base64.b64encode(IMAGE).decode(),
    "in lines": base64.encodebytes(IMAGE).decode(),
    "for URLs": base64.urlsafe_b64encode(IMAGE).decode(),
}


async def decoded(document: bytes) -> bytes:
    """Return the image in *document*, which has come already."""
    wire = Wire()
    for at in range(0, len(document), BLOCK):
        wire.content(document[at : at + BLOCK], more=at + BLOCK < len(document))
    content = RequestContent(scope("POST", "/"), wire.receive, len(document), ReceiveTimers(idle_timeout=60))
    image, read = DecodedContent(content, "image", None, lambda _: None), bytearray()
    while block := await image.read(BLOCK):
        read += block
    assert image.ended
    return bytes(read)


async def longest_step(work: asyncio.Future[bytes]) -> float:
    """Return the most CPU-seconds that this process computed between two turns of the event loop while *work* went on."""
    longest, last = 0.0, time.process_time()
    while not work.done():
        await asyncio.sleep(0)
        longest, last = max(longest, time.process_time() - last), time.process_time()
    return longest


@pytest.mark.parametrize("form", FORMS)
async def test_the_loop_goes_on(form: str) -> None:
    """While the largest image is read and decoded, the event loop has its turn again and again."""
    document, steps = json.dumps({"image": FORMS[form]}).replace("/", r"\/").encode(), []
    for _ in range(3):
        work = asyncio.ensure_future(decoded(document))
        steps.append(await longest_step(work))
        assert work.result() == IMAGE

    assert min(steps) < STEP


@pytest.mark.parametrize("at", range(-7, 8))
def test_escapes_between_slices(at: int) -> None:
    """Wherever a slice ends, an escape is read in one piece."""
    begin = "/" * (SLICE + at)
    end = "A" * (-(len(begin) + 6) % 4)
    document = rf'{{"image":"{begin}\u002B\/\u002b\/\/\/{end}"}}'.encode()

    assert read_image(document, "image", SLICE)[0] == base64.b64decode(f"{begin}+/+///{end}")


@pytest.mark.parametrize("padded", ["YQ==", "YWI="])
def test_padding_between_slices(padded: str) -> None:
    """Padding stands at the end, and nowhere else."""
    document = json.dumps({"image": "A" * (SLICE - 4) + padded + "AAAA"}).encode()

    with pytest.raises(ProtocolError, match="padding"):
        read_image(document, "image", SLICE)
