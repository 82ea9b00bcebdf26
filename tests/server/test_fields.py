"""
Answers tell when they were made.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

from tests.protocols import tus_requests
from tests.server.servers import Server


async def test_date_of_a_long_upload(server: Server) -> None:
    """`Date` is when the answer was made, not when its request began."""
    path = await server.create(2)
    connection = await server.connect()
    connection.write("PATCH", path, tus_requests.at(0) | {"Content-Length": "2"}, b"x")
    await asyncio.sleep(2.2)
    began = int(time.time())
    connection.writer.write(b"x")
    answer = await connection.answer()

    assert 204 == answer.status
    assert began <= parsedate_to_datetime(answer.fields["date"]).timestamp() <= time.time()
