"""
Content of files, from the page cache to the connection without a copy.

Theory of operation
-------------------

``sendfile`` writes past the transport, so nothing may be waiting in the transport's own buffer: its limits are set to nothing
until it has become empty.  The socket is duplicated, first because the loops let nobody else wait for a descriptor of theirs, and
then because ours stays what it is until we close it, whatever becomes of the connection.

The loop must not wait for the disk.  So before each chunk the system is asked, without waiting, for its first and its last byte
(``RWF_NOWAIT``).  What is in the page cache is sent right here; for what is not a thread waits.
"""

from __future__ import annotations

import asyncio
import errno
import os

from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.storage.threads import unbroken

KiB = 1024
MiB = 1024 * KiB

CHUNK = 1 * MiB


async def send_file(
    transport: asyncio.Transport, flow: FlowControl, descriptor: int, start: int, stop: int, patience: float
) -> None:
    """
    Send the bytes of *descriptor* from *start* up to *stop* on the socket of *transport*.

    :raises TimeoutError: the client did not read for *patience* seconds.
    :raises ConnectionError: it went away.
    :raises EOFError: the file is shorter.
    """
    await _drain(transport, flow, patience)
    if transport.is_closing():
        raise ConnectionAbortedError
    connection = os.dup(transport.get_extra_info("socket").fileno())
    try:
        while start < stop:
            count = min(CHUNK, stop - start)
            try:
                sent = await _send(connection, descriptor, start, count)
            except BlockingIOError:
                await _until_writable(connection, patience)
                continue
            if not sent:
                raise EOFError(f"a file ends at {start}, not at {stop}")
            start += sent
            if sent < count:
                await _until_writable(connection, patience)
            else:
                await asyncio.sleep(0)  # others, too, want to send
    finally:
        os.close(connection)


async def _drain(transport: asyncio.Transport, flow: FlowControl, patience: float) -> None:
    """Wait until *transport* has written everything."""
    low, high = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(0)
    try:
        async with asyncio.timeout(patience):
            await flow.drain()
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits(high, low)


async def _send(connection: int, descriptor: int, start: int, count: int) -> int:
    if _is_cached(descriptor, start, count):
        return os.sendfile(connection, descriptor, start, count)
    loop = asyncio.get_running_loop()
    return await unbroken(loop.run_in_executor(None, os.sendfile, connection, descriptor, start, count))


def _is_cached(descriptor: int, start: int, count: int) -> bool:
    try:
        return all(os.preadv(descriptor, [bytearray(1)], at, os.RWF_NOWAIT) for at in (start, start + count - 1))
    except OSError as error:
        # Not every file system can say so without waiting.
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):
            return False
        raise


async def _until_writable(connection: int, patience: float) -> None:
    loop = asyncio.get_running_loop()
    writable = loop.create_future()
    loop.add_writer(connection, _settle, writable)
    try:
        async with asyncio.timeout(patience):
            await writable
    finally:
        loop.remove_writer(connection)


def _settle(writable: asyncio.Future[None]) -> None:
    if not writable.done():
        writable.set_result(None)
