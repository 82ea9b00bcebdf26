"""
Requests and the responses they have to get, as tables in the words of the specifications.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.protocols.service import EMPTY, Given, Service

ABSENT = None


class Like(str):
    """
    A field value that is only known by its pattern.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(str(self), other) is not None

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


ANYTHING = Like(r".+")
IMF_FIXDATE = Like(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d [JFMASOND][a-z]{2} \d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """
    A request to an upload that is as *given*, and its response: *status*, and what its fields and its JSON say.

    *path* may have ``{key}`` in it.  A field that is `ABSENT` must not be there.  *offset* is that of the upload afterwards.
    """

    method: str
    path: str = "/files/{key}"
    given: Given = field(default_factory=lambda: EMPTY)
    fields: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    content: bytes | Sequence[bytes] = b""
    status: int
    says: Mapping[str, str | None] = field(default_factory=dict)
    tells: Mapping[str, Any] = field(default_factory=dict)
    offset: int | None = None


async def perform(service: Service, exchange: Exchange) -> tuple[str, httpx.Response]:
    """
    Return the key that the request was about, and the response.
    """
    key = await service.keep(exchange.given)
    path = exchange.path.replace("{key}", key)
    return key, await service.send(exchange.method, path, exchange.fields, exchange.content)


async def check(service: Service, exchange: Exchange) -> httpx.Response:
    """
    Perform *exchange*, compare what it was answered with what it has to be answered, and return the response.

    A request that is refused leaves the upload exactly as it was.
    """
    key = await service.keep(exchange.given)
    before = await service.record(key)
    response = await service.send(exchange.method, exchange.path.replace("{key}", key), exchange.fields, exchange.content)
    document = response.json() if exchange.tells else {}
    offset = None
    if exchange.offset is not None:
        record = await service.record(key)
        offset = None if record is None else record.offset
    actual = (
        response.status_code,
        {name: response.headers.get(name) for name in exchange.says},
        {name: document.get(name) for name in exchange.tells},
        offset,
    )

    assert (exchange.status, dict(exchange.says), dict(exchange.tells), exchange.offset) == actual
    if exchange.status >= httpx.codes.BAD_REQUEST:
        assert before == await service.record(key)
    return response
