"""
An image that comes as base64 in a JSON document, as content for the core.
"""

from __future__ import annotations

from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.core.content.content import NOTHING, Stop
from holdfast.service.core.content.media_types import is_undeclared
from holdfast.service.core.content.sniffing import SNIFFED_BYTES, canonical, sniff
from holdfast.service.protocols.http.wire import ProtocolError
from holdfast.service.protocols.one_shot.base64_image import read_image

KiB = 1024
MiB = 1024 * KiB
DEFAULT_LIMIT = 10 * MiB
# Names and other values around the image.
ENVELOPE = 64 * KiB
BLOCK = 256 * KiB


class DecodedContent:
    """
    The image in *member* of the document that is the content of a request; *limit* is how many bytes it may have.

    What is wrong with the document ends the content, and is found in *error* then.
    """

    def __init__(self, content: RequestContent, member: str, limit: int | None) -> None:
        self._content = content
        self._member = member
        self._limit = limit or DEFAULT_LIMIT
        # Four characters for three bytes, a quarter more for line breaks and escapes, and what is around them.
        self._longest = self._limit * 4 // 3 * 5 // 4 + ENVELOPE
        self._document = bytearray()
        self._image: memoryview | None = None  # what of it was not read yet, once the document is whole
        self.error: ProtocolError | None = None
        if content.length is not None and content.length > self._longest:
            self.error = self._too_large()

    @property
    def size(self) -> int:
        """How many bytes of the document are held at most."""
        if self.error is not None:
            return 0
        return self._longest if self._content.length is None else self._content.length

    @property
    def length(self) -> int | None:
        """It is known only when the document is whole."""
        return None

    @property
    def ended(self) -> bool:
        """Whether all of the image was read, and nothing was wrong with the rest."""
        return self._image is not None and not self._image

    @property
    def is_awaited(self) -> bool:
        """Whether the client waits for our word before it sends the document."""
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
        while self._image is None and self.stopped is None:
            block = await self._content.read(BLOCK)
            try:
                self._image = self._take(block)
            except ProtocolError as error:
                self.error = error
            if not block:
                break
        if self._image is None:
            return NOTHING
        taken, self._image = self._image[:limit], self._image[limit:]
        return taken

    def _take(self, block: memoryview) -> memoryview | None:
        """Return the image when the document is whole."""
        self._document += block
        if len(self._document) > self._longest:
            raise self._too_large()
        if not self._content.ended:
            return None
        image, declared = read_image(self._document, self._member, self._limit)
        self._document = bytearray()
        if declared is not None and not is_undeclared(declared) and canonical(declared) != sniff(image[:SNIFFED_BYTES]):
            raise ProtocolError(400, "data_type_mismatch", f"{self._member} is not the {declared} that its URL declares")
        return memoryview(image)

    def _too_large(self) -> ProtocolError:
        return ProtocolError(400, "document_too_large", f"the document is limited to {self._longest} bytes")
