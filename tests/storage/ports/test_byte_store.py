"""
What every `holdfast.storage.ports.ByteStore` promises.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import UploadRecord
from tests.storage.backends import Held, appended, blocks, changed, content_of, cuts, new_upload, on_swift_too

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

KiB = 1024
MiB = 1024 * KiB
SHORT = b"kelp\x00\xff\n"
# Long enough that no store reads it at once.
LONG = bytes(range(256)) * (5 * KiB)


class Trouble(Exception):
    """What the content of a test fails with."""


async def published(store: ByteStore, record: UploadRecord) -> bytes:
    """Complete the upload and return its content."""
    await store.complete(record)
    return await content_of(store, record)


async def test_append_tells_how_much_became_durable(store: ByteStore) -> None:
    """The receipt of an append counts the bytes of its content."""
    receipt = await store.append(new_upload(), blocks(b"kelp", b"holdfast"))

    assert 12 == receipt.received


@on_swift_too
async def test_append_of_nothing(store: ByteStore) -> None:
    """Content without a byte is appended, at any offset, and changes nothing."""
    record = await appended(store, new_upload())
    record = await appended(store, record, SHORT)
    record = await appended(store, record)

    assert len(SHORT) == record.offset
    assert SHORT == await published(store, record)


async def test_content_is_cut_into_blocks_at_every_place(store: ByteStore) -> None:
    """Wherever the blocks begin and end, and though each is overwritten after its turn, the content is the same."""
    for parts in cuts(SHORT):
        record = await appended(store, new_upload(), *parts)

        assert SHORT == await content_of(store, record), parts


@on_swift_too
async def test_content_is_cut_into_appends_at_every_place(store: ByteStore) -> None:
    """Wherever an upload is interrupted and resumed, the content is the same."""
    for parts in cuts(SHORT):
        record = new_upload(length=len(SHORT))
        for part in parts:
            record = await appended(store, record, part)

        assert SHORT == await published(store, record), parts


@on_swift_too
async def test_the_recorded_offset_rules(store: ByteStore) -> None:
    """Bytes whose offset was never recorded are overwritten by the next append, and those beyond it are never read."""
    record = await appended(store, new_upload(), b"holdfast")
    await appended(store, record, b" grips everything")
    record = await appended(store, record, b" kelp")

    assert b"holdfast kelp" == await content_of(store, record)
    assert b"holdfast kelp" == await published(store, record)


@on_swift_too
async def test_unrecorded_bytes_are_not_published(store: ByteStore) -> None:
    """Completing at an offset cuts off what an append left beyond it."""
    record = await appended(store, new_upload(), b"holdfast")
    await appended(store, record, b" and more")
    await store.complete(record)

    assert b"holdfast" == await content_of(store, record)
    with pytest.raises(Corrupted):
        await content_of(store, record, 0, record.offset + 1)


turns = st.lists(
    st.tuples(st.lists(st.binary(min_size=1, max_size=8), max_size=4), st.sampled_from(["recorded", "lost", "failed"]))
)


@given(turns=turns, announced=st.booleans())
@settings(max_examples=25)
async def test_any_course_of_appends(store: ByteStore, turns: list[tuple[list[bytes], str]], announced: bool) -> None:
    """Whatever is appended, lost in a crash before it was recorded, or breaks off: exactly the recorded bytes are published."""
    expected = b"".join(b"".join(parts) for parts, fate in turns if fate == "recorded")
    record = new_upload(length=len(expected) if announced else None)
    for parts, fate in turns:
        trouble = Trouble() if fate == "failed" else None
        with suppress(Trouble):
            receipt = await store.append(record, blocks(*parts, trouble=trouble))
            if fate == "recorded":
                record = changed(record, offset=record.offset + receipt.received, parts=receipt.parts)

    assert expected == await content_of(store, record) if expected else record.offset == 0
    assert expected == await published(store, record)


@on_swift_too
async def test_an_error_of_the_content_is_raised_again(store: ByteStore) -> None:
    """What the content fails with comes out of the append, which can be repeated at the same offset."""
    record = await appended(store, new_upload(), b"hold")
    with pytest.raises(Trouble):
        await store.append(record, blocks(b"f", b"a", trouble=Trouble()))
    record = await appended(store, record, b"fast")

    assert b"holdfast" == await published(store, record)


async def test_a_cancelled_append_can_be_repeated(store: ByteStore) -> None:
    """An append that is cancelled promises nothing, and is in nobody's way."""
    record = await appended(store, new_upload(), b"hold")
    held = Held(b"FAST", b"")
    append = asyncio.create_task(store.append(record, held.blocks()))
    await held.waiting.wait()
    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append
    record = await appended(store, record, b"fast")

    assert b"holdfast" == await published(store, record)


@on_swift_too
async def test_complete_is_repeatable(store: ByteStore) -> None:
    """Whoever does not know whether an upload was published publishes it again."""
    record = await appended(store, new_upload(), SHORT)
    for _ in range(3):
        assert SHORT == await published(store, record)


@on_swift_too
async def test_complete_without_a_byte(store: ByteStore) -> None:
    """An empty upload is published, and again, though nothing was ever appended."""
    record = new_upload(length=0)
    for _ in range(2):
        assert b"" == await published(store, record)

    with pytest.raises(Corrupted):
        await content_of(store, record, 0, 1)


async def test_complete_at_zero_forgets_unrecorded_bytes(store: ByteStore) -> None:
    """An upload whose only bytes were never recorded is published empty."""
    record = new_upload()
    await appended(store, record, SHORT)
    await store.complete(record)

    with pytest.raises(Corrupted):
        await content_of(store, record, 0, 1)


@pytest.mark.parametrize("length", [1 * MiB - 1, 1 * MiB, 2 * MiB + 1])
async def test_complete_before_the_announced_length(store: ByteStore, length: int) -> None:
    """Room that was taken beforehand is no content: an upload that completes early ends at its offset."""
    record = await appended(store, new_upload(length=length), b"abc")
    await store.complete(changed(record, length=3))

    assert b"abc" == await content_of(store, record)
    with pytest.raises(Corrupted):
        await content_of(store, record, 0, 4)


async def test_an_announced_length_does_not_bound_the_offsets(store: ByteStore) -> None:
    """A long upload comes in many appends into the room that was taken for it."""
    record = new_upload(length=len(LONG))
    for at in range(0, len(LONG), 300_000):
        record = await appended(store, record, LONG[at : at + 300_000])

    assert LONG == await content_of(store, record)
    assert LONG == await published(store, record)


@pytest.mark.parametrize("is_published", [False, True], ids=["open", "published"])
@on_swift_too
async def test_every_range_is_read(store: ByteStore, is_published: bool) -> None:
    """A read yields the bytes from start up to, not including, stop, whether the upload is open or published."""
    record = await appended(store, new_upload(), SHORT)
    if is_published:
        await store.complete(record)
    for start in range(len(SHORT) + 1):
        for stop in range(start, len(SHORT) + 1):
            assert SHORT[start:stop] == await content_of(store, record, start, stop)


@pytest.mark.parametrize("is_published", [False, True], ids=["open", "published"])
@pytest.mark.parametrize(("start", "stop"), [(0, len(LONG)), (1, len(LONG) - 1), (262_143, 262_145), (262_144, 524_288)])
async def test_long_ranges_are_read(store: ByteStore, is_published: bool, start: int, stop: int) -> None:
    """A range of any length is read whole, wherever the store's own blocks begin and end."""
    record = await appended(store, new_upload(), LONG)
    if is_published:
        await store.complete(record)

    assert LONG[start:stop] == await content_of(store, record, start, stop)


@on_swift_too
async def test_reading_while_the_upload_goes_on(store: ByteStore) -> None:
    """The recorded bytes are read while a further append is under way."""
    record = await appended(store, new_upload(), SHORT)
    held = Held(b"later", b"still")
    append = asyncio.create_task(store.append(record, held.blocks()))
    await held.waiting.wait()
    during = await content_of(store, record)
    held.go_on.set()
    receipt = await append

    assert SHORT == during
    assert 10 == receipt.received


@pytest.mark.parametrize("is_published", [False, True], ids=["open", "published"])
@pytest.mark.parametrize("change", ["delete", "complete"])
async def test_a_reader_is_not_disturbed(store: ByteStore, is_published: bool, change: str) -> None:
    """A reader that has begun reads on, whether the content is deleted or published meanwhile."""
    record = await appended(store, new_upload(), LONG)
    if is_published:
        await store.complete(record)
    reader = store.read(record, 0, len(LONG))
    content = bytes(await anext(reader))
    await (store.delete(record) if change == "delete" else store.complete(record))
    async for block in reader:
        content += block

    assert LONG == content


@on_swift_too
async def test_reading_while_it_is_published(store: ByteStore) -> None:
    """There is no moment between open and published at which the content cannot be found."""
    records = [await appended(store, new_upload(), SHORT) for _ in range(10)]
    for record in records:
        read, _, again = await asyncio.gather(content_of(store, record), store.complete(record), content_of(store, record))

        assert (SHORT, SHORT) == (read, again)


@pytest.mark.parametrize(
    "steps", [(), ("append",), ("append", "complete"), ("complete",)], ids=lambda steps: "-".join(steps) or "nothing"
)
@on_swift_too
async def test_delete_is_repeatable(store: ByteStore, steps: tuple[str, ...]) -> None:
    """Content is deleted at any time of its life; content that is not there is no error."""
    record = new_upload()
    for step in steps:
        if step == "append":
            record = await appended(store, record, SHORT)
        else:
            await store.complete(record)
    for _ in range(2):
        await store.delete(record)

        with pytest.raises(NotFound):
            await content_of(store, record, 0, 1)


@on_swift_too
async def test_reading_what_never_was(store: ByteStore) -> None:
    """There is no content of a name that nobody wrote to."""
    with pytest.raises(NotFound):
        await content_of(store, new_upload(), 0, 1)


@pytest.mark.parametrize("there", [b"", b"hol"], ids=["nothing", "less"])
@on_swift_too
async def test_missing_bytes_are_not_passed_over(store: ByteStore, there: bytes) -> None:
    """Where recorded bytes are gone, nothing is appended, published or made up: an operator must look."""
    record = new_upload()
    if there:
        await appended(store, record, there)
    promised = changed(record, offset=8)

    with pytest.raises(Corrupted):
        await store.append(promised, blocks(b" kelp"))
    with pytest.raises(Corrupted):
        await store.complete(promised)
    if there:
        with pytest.raises(Corrupted):
            await content_of(store, promised)


async def test_uploads_do_not_touch_each_other(store: ByteStore) -> None:
    """Any number of uploads are appended to at once, each content is its own."""
    contents = [bytes([number]) * (number * 1000) for number in range(1, 41)]
    records = await asyncio.gather(*(appended(store, new_upload(), *cuts(content[:3])[-1], content[3:]) for content in contents))
    found = await asyncio.gather(*(published(store, record) for record in records))

    assert contents == list(found)


@on_swift_too
async def test_ping(store: ByteStore) -> None:
    """A store that can take bytes says so by returning."""
    await store.ping()
