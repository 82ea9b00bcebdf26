"""
Where parts are while they are filled and sent.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage.errors import Unavailable
from holdfast.storage.s3.transfer.buffers import Buffer, PartBuffers
from holdfast.storage.s3.transfer.spool import CELL, Region, Spool
from tests.storage.s3.stores import content

MiB = 1024 * 1024
SIZE = 3 * MiB + 77
ALL = content(SIZE)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Return a spool in the folder of the test."""
    spool = Spool(str(tmp_path))
    yield spool
    spool.close()


@pytest.fixture
def buffers(tmp_path: Path) -> Iterator[PartBuffers]:
    """Return the buffers of a process that has memory for two parts."""
    buffers = PartBuffers(2 * SIZE, Spool(str(tmp_path)))
    yield buffers
    buffers.close()


def taken(buffers: PartBuffers, size: int = SIZE, front: int = 0) -> Buffer:
    """Return a buffer in memory."""
    buffer = buffers.in_memory(size, front)
    assert buffer is not None
    return buffer


async def filled(buffer: Buffer, content: bytes = ALL) -> Buffer:
    """Return the buffer with *content* in it."""
    at = 0
    while at < len(content):
        at += await buffer.add(memoryview(content)[at : at + 100_000])
    return buffer


def sent(buffer: Buffer, start: int = 0) -> bytes:
    """Return what is sent."""
    body = buffer.portion(start, summed=False).body()
    return body.read() if isinstance(body, Region) else bytes(body)


@pytest.mark.parametrize("where", ["memory", "spool"])
async def test_what_was_filled_is_sent(buffers: PartBuffers, where: str) -> None:
    """A buffer takes what there is room for, and gives it out whole or from any place on, with its sum."""
    buffer = await filled(taken(buffers) if where == "memory" else buffers.in_spool(SIZE, 0))
    portion = buffer.portion(5, summed=True)

    assert buffer.is_full
    assert 0 == await buffer.add(memoryview(b"more"))
    assert ALL == sent(buffer)
    assert ALL[5:] == sent(buffer, 5)
    assert zlib.crc32(ALL[5:]) == portion.crc() == portion.crc()
    buffer.release()
    buffer.release()


@pytest.mark.parametrize("where", ["memory", "spool"])
async def test_the_front_comes_later(buffers: PartBuffers, where: str) -> None:
    """What is in pieces is put in front of what came."""
    buffer = taken(buffers, front=1000) if where == "memory" else buffers.in_spool(SIZE, 1000)
    await filled(buffer, ALL[1000:])
    await buffer.write(0, memoryview(ALL)[:600])
    await buffer.write(600, memoryview(ALL)[600:1000])

    assert ALL == sent(buffer)
    buffer.release()


async def test_memory_has_an_end(buffers: PartBuffers) -> None:
    """Nobody has more than the budget, and what was given back is there for others, of any size."""
    one, other = taken(buffers), taken(buffers)
    refused = buffers.in_memory(1, 0)
    one.release()
    again = taken(buffers)
    again.release()
    other.release()
    whole = taken(buffers, 2 * SIZE)

    assert None is refused
    whole.release()


async def test_the_slow_make_room(tmp_path: Path) -> None:
    """A part that takes long leaves memory where that is scarce, with what it has, and goes on in the spool."""
    buffers = PartBuffers(2 * SIZE, Spool(str(tmp_path)), long=0)
    alone = taken(buffers, 10)
    await alone.relax()
    stayed = alone.in_memory
    buffer = await filled(taken(buffers, front=7), ALL[7:2000])
    other = taken(buffers, SIZE - 10)
    await buffer.relax()
    moved = not buffer.in_memory
    await filled(buffer, ALL[2000:])
    await buffer.write(0, memoryview(ALL)[:7])

    assert stayed
    assert moved
    assert ALL == sent(buffer)
    for each in (alone, buffer, other, taken(buffers, SIZE)):
        each.release()
    buffers.close()


async def test_the_quick_stay(buffers: PartBuffers) -> None:
    """A part that has just begun stays where it is."""
    one, other = taken(buffers), taken(buffers)
    await one.relax()

    assert one.in_memory
    one.release()
    other.release()


def test_cells(spool: Spool) -> None:
    """Cells are lent to one at a time, hold what was written across their edges, and the file is short when all are back."""
    one, other = spool.take(SIZE), spool.take(2 * CELL)
    spool.write(one, CELL - 3, memoryview(b"across"))
    spool.write(other, 0, memoryview(content(2 * CELL, seed=3)))

    assert set() == set(one) & set(other)
    assert b"across" == spool.read(one, CELL - 3, 6)
    assert content(2 * CELL, seed=3) == spool.read(other, 0, 2 * CELL)
    spool.give_back(one)
    again = spool.take(CELL)
    assert set(again) <= set(one)
    spool.give_back(again)
    assert os.fstat(spool._file).st_size > CELL
    spool.give_back(other)
    assert 0 == os.fstat(spool._file).st_size
    assert 4 == len(spool.take(SIZE))


def test_regions(spool: Spool) -> None:
    """Bytes of a spool are a file that can be read again, as often as something is sent again."""
    cells = spool.take(SIZE)
    spool.write(cells, 0, memoryview(ALL))
    region = Region(spool, cells, 10, SIZE)

    assert region.readable()
    assert region.seekable()
    for _ in range(2):
        assert (ALL[10:20], ALL[20:]) == (region.read(10), region.read())
        assert (b"", SIZE - 10) == (region.read(1), region.tell())
        assert SIZE - 10 == region.seek(0, io.SEEK_END)
        assert 0 == region.seek(0)
    assert 5 == region.seek(5, io.SEEK_CUR)


def test_no_file_has_a_name(spool: Spool, tmp_path: Path) -> None:
    """Whatever becomes of the process, nothing is left in the folder."""
    spool.write(spool.take(1), 0, memoryview(b"x"))

    assert [] == list(tmp_path.iterdir())


def test_a_folder_is_made_when_it_is_needed(tmp_path: Path) -> None:
    """Whoever spools nothing leaves no folder."""
    spool = Spool(str(tmp_path / "spool"))
    before = list(tmp_path.iterdir())
    spool.take(1)
    spool.close()

    assert ([], ["spool"]) == (before, [each.name for each in tmp_path.iterdir()])


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    """A spool whose folder cannot be made is told of when it is needed."""
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="spool"):
        Spool(str(tmp_path / "file" / "spool")).take(1)
