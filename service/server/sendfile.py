"""
Sends files from the page cache to the connection, without a copy.

Theory of operation
-------------------

``sendfile`` bypasses the transport, whose own buffer must therefore be empty: its limits are set to zero until it is.  The
socket is duplicated, because the loops do not let others wait for their descriptors, and because the duplicate stays valid
until we close it, whatever happens to the connection.

The loop must not wait for the disk.  So before each chunk, its first and last byte are read without waiting (``RWF_NOWAIT``).
A chunk in the page cache is sent on the loop; for other chunks a thread waits.
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
    :raises ConnectionError: the client disconnected.
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
                await asyncio.sleep(0)  # let other tasks send
    finally:
        os.close(connection)


async def _drain(transport: asyncio.Transport, flow: FlowControl, patience: float) -> None:
    """Wait until *transport* has written everything."""
    if transport.is_closing():  # uvloop sets no limits then
        raise ConnectionAbortedError
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
        # Not every file system supports this.
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
