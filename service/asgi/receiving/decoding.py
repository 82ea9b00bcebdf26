"""Decodes an image that a JSON document holds as base64."""

from __future__ import annotations

from functools import partial

from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.room import Hold
from holdfast.service.core.content.content import NOTHING, Stop
from holdfast.service.core.content.media_types import is_undeclared
from holdfast.service.core.content.sniffing import SNIFFED_BYTES, canonical, sniff
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_image import read_image
from holdfast.storage.threads import aside, unbroken

KiB = 1024
MiB = 1024 * KiB
DEFAULT_LIMIT = 10 * MiB
# Room for the rest of the document.
ENVELOPE = 64 * KiB
BLOCK = 256 * KiB
# A document of so many such things is read beside the event loop: from 16 KiB on.
FEW = 256


class DecodedContent:
    """
    The image in *member* of the document that *content* is; *limit* bounds its decoded bytes, *hold* its memory.

    An invalid document ends the content, with the reason in `error`.
    """

    def __init__(self, content: RequestContent, member: str, limit: int | None, hold: Hold) -> None:
        self._content = content
        self._member = member
        self._hold = hold
        self._limit = limit or DEFAULT_LIMIT
        # Four characters for three bytes, and a quarter more for line breaks and escapes.
        self._longest = self._limit * 4 // 3 * 5 // 4 + ENVELOPE
        self._document = bytearray()
        self._image: memoryview | None = None  # the unread rest; None until the document is complete
        self.error: ProtocolError | None = None
        if content.length is not None and content.length > self._longest:
            self.error = self._too_large()

    @property
    def length(self) -> int | None:
        """None: unknown until the document is complete."""
        return None

    @property
    def ended(self) -> bool:
        """Whether all of the image was read."""
        return self._image is not None and not self._image

    @property
    def is_awaited(self) -> bool:
        """Whether the client waits for 100 (Continue) before it sends the document."""
        return self._content.is_awaited

    @property
    def stopped(self) -> Stop | None:
        """Why the content ended early; None if it did not."""
        return Stop.REFUSED if self.error is not None else self._content.stopped

    def stop(self, why: Stop) -> None:
        """End the content after the bytes that were already received."""
        self._content.stop(why)

    async def read(self, limit: int) -> memoryview:
        """Return the next bytes of the image, at most *limit*."""
        while self._image is None and self.stopped is None:
            block = await self._content.read(BLOCK)
            try:
                self._image = await self._take(block)
            except ProtocolError as error:
                self.error = error
            if not block:
                break
        if self._image is None:
            return NOTHING
        taken, self._image = self._image[:limit], self._image[limit:]
        return taken

    async def _take(self, block: memoryview) -> memoryview | None:
        """Append *block*, and return the image once the document is complete."""
        if len(self._document) + len(block) > self._longest:
            raise self._too_large()
        self._hold(len(block))
        self._document += block
        if not self._content.ended:
            return None
        document, self._document = self._document, bytearray()
        read = partial(read_image, document, self._member, self._limit)
        # A thread cannot be cancelled: its memory counts until it has ended.
        image, declared = await unbroken(aside(read, size=len(document) // FEW))
        if declared is not None and not is_undeclared(declared) and canonical(declared) != sniff(bytes(image[:SNIFFED_BYTES])):
            raise ProtocolError(400, "data_type_mismatch", f"{self._member} is not the {declared} that its URL declares")
        return memoryview(image)

    def _too_large(self) -> ProtocolError:
        return ProtocolError(400, "document_too_large", f"the document is limited to {self._longest} bytes")
