"""
One request to another service, whose answer is bounded in time and in size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from holdfast.service.accounts.errors import AccountsUnavailable

PLAIN = "identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered; *fields* ignore case."""

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
    Return the answer to a request, of *most* bytes, that is there whole within *seconds*.

    :raises Unavailable: there is none such.
    """
    told = {**(fields or {}), "accept-encoding": PLAIN}
    found = bytearray()
    try:
        # The timeouts of the client are for each block: who sends one byte now and then would never be late.
        async with asyncio.timeout(seconds), client.stream(method, url, content=content, headers=told) as response:
            if response.headers.get("content-encoding", PLAIN).lower() != PLAIN:
                raise AccountsUnavailable("the answer is packed, and might have any size")
            async for block in response.aiter_raw():
                found += block
                if len(found) > most:
                    raise AccountsUnavailable("the answer is too large")
    except (httpx.HTTPError, TimeoutError) as error:
        raise AccountsUnavailable("there is no answer") from error
    return Answer(status=response.status_code, fields=response.headers, content=bytes(found))
