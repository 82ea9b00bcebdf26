"""Adds the charset to text whose client did not name one."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

from holdfast.service.core.content.sniffing import TEXT_BYTES, is_utf8
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.records import Key, State, UploadRecord

REMEMBERED = 1024  # texts


class Texts:
    """Reads the beginning of each text once: complete content does not change, and its key is never reused."""

    def __init__(self, views: UploadViews) -> None:
        self._views = views
        self._known: OrderedDict[Key, bool] = OrderedDict()

    async def described(self, record: UploadRecord) -> UploadRecord:
        """
        Return *record* with ``charset=utf-8`` in its type, if it is a complete ``text/*`` without a charset whose first 64 KiB
        are UTF-8; browsers would otherwise decode it by a legacy encoding.

        :raises StoreFailed, Corrupted: the content cannot be read.
        """
        kind = (record.content_type or "").lower()
        if record.state is not State.COMPLETE or not record.offset or not kind.startswith("text/") or "charset" in kind:
            return record
        if record.content_encoding is not None:
            return record  # the stored bytes are encoded
        if not await self._is_utf8(record):
            return record
        return dataclasses.replace(record, content_type=f"{record.content_type}; charset=utf-8")

    async def _is_utf8(self, record: UploadRecord) -> bool:
        known = self._known.get(record.key)
        if known is None:
            start = await self._views.start_of(record, TEXT_BYTES)
            known = self._known[record.key] = is_utf8(start, whole=len(start) == record.offset)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known
