"""Requests to another service, bounded in time and in size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from holdfast.service.accounts.errors import AccountsUnavailable

PLAIN = "identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer: its status, its *fields* (names ignore case) and its whole content."""

    status: int
    fields: Mapping[str, str]
    content: bytes


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    most: int,
    seconds: float,
    content: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """
    Send a request and return its whole answer.

    :param most: the largest content, in bytes
    :param seconds: the time for the whole exchange
    :raises AccountsUnavailable: the service fails, answers too late, answers with more, or compresses the content
    """
    sent = {**(fields or {}), "accept-encoding": PLAIN}
    found = bytearray()
    try:
        # httpx counts its timeouts per block: a server that sends one byte now and then would never time out.
        async with asyncio.timeout(seconds), client.stream(method, url, content=content, headers=sent) as response:
            if response.headers.get("content-encoding", PLAIN).lower() != PLAIN:
                raise AccountsUnavailable("the answer is compressed, and might unpack to any size")
            async for block in response.aiter_raw():
                found += block
                if len(found) > most:
                    raise AccountsUnavailable(f"the answer has more than {most} bytes")
    except (httpx.HTTPError, TimeoutError) as error:
        raise AccountsUnavailable(f"no answer within {seconds:.0f} s") from error
    return Answer(status=response.status_code, fields=response.headers, content=bytes(found))
