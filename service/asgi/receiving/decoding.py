"""
An image that comes as base64 in a JSON document, as content for the core.
"""

from __future__ import annotations

from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.core.content.content import Stop
from holdfast.service.core.content.media_types import is_undeclared
from holdfast.service.core.content.sniffing import SNIFFED_BYTES, canonical, sniff
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_document import Base64Document

KiB = 1024
MiB = 1024 * KiB
DEFAULT_LIMIT = 10 * MiB
# Names and other values around the image.
ENVELOPE = 64 * KiB
BLOCK = 256 * KiB
NO_BYTES = memoryview(b"")


class DecodedContent:
    """
    The image in *member* of the document that is the content of a request; *limit* is how many bytes it may have.

    What is wrong with the document ends the content, and is found in *error* then.
    """

    def __init__(self, content: RequestContent, member: str, limit: int | None) -> None:
        most = limit or DEFAULT_LIMIT
        # Four characters for three bytes, a quarter more for line breaks and escapes, and what is around them.
        longest = most * 4 // 3 * 5 // 4 + ENVELOPE
        self._content = content
        self._member = member
        self._longest = longest
        self._document = Base64Document(member, limit=most, longest=longest)
        self._start = b""
        self._ready = NO_BYTES
        self._whole = False
        self.error: ProtocolError | None = None
        if content.length is not None and content.length > longest:
            self.error = ProtocolError(400, "document_too_large", f"the document is limited to {longest} bytes")

    @property
    def length(self) -> int | None:
        """Nobody knows before it is decoded."""
        return None

    @property
    def ended(self) -> bool:
        """Whether all of the image was read, and nothing was wrong with the rest."""
        return self._whole and not self._ready

    @property
    def is_awaited(self) -> bool:
        """Whether the client sends it only after it was told so."""
        return self._content.is_awaited

    @property
    def stopped(self) -> Stop | None:
        """Why it ended before its end, if it did."""
        return Stop.REFUSED if self.error is not None else self._content.stopped

    def stop(self, why: Stop) -> None:
        """
        End it after the bytes that are here already.
        """
        self._content.stop(why)

    async def read(self, limit: int) -> memoryview:
        """
        Return the next bytes of the image, at most *limit*.
        """
        while not self._ready and not self._whole and self.stopped is None:
            block = await self._content.read(BLOCK)
            try:
                self._ready = memoryview(self._decode(block))
            except ProtocolError as error:
                self.error = error
            if not block and not self._whole:
                break
        taken, self._ready = self._ready[:limit], self._ready[limit:]
        return taken

    def _decode(self, block: memoryview) -> bytes:
        decoded = self._document.feed(block)
        if len(self._start) < SNIFFED_BYTES:
            self._start += decoded[:SNIFFED_BYTES]
        if self._content.ended:
            self._document.end()
            declared = self._document.data_type
            if declared is not None and not is_undeclared(declared) and canonical(declared) != sniff(self._start):
                raise ProtocolError(400, "data_type_mismatch", f"{self._member} is not the {declared} that its URL declares")
            self._whole = True
        return decoded
