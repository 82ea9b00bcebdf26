"""
How uploads end: given up, expired, rejected; and creations that are repeated until then.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.core import upload as rules
from holdfast.service.core.commands import Append, Cancel, Completes, Create, GetOffset
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import (
    ContentRejected,
    IdempotencyConflict,
    StoreFailed,
    UploadCancelled,
    UploadExpired,
    UploadNotFound,
)
from holdfast.service.core.upload import Step
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.storage.errors import NotFound
from holdfast.storage.keys import new_key
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.records import Key, Ref, State, UploadRecord
from tests.core.access.callers import AskedUploads
from tests.core.contents import FakeContent
from tests.core.situations import KELP, PNG, complete_kelp, kelp_until
from tests.core.worlds import LIMITS, World, ref_of
from tests.storage.backends import OTHER_TENANT, TENANT, changed, replace_upload

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

AT_LENGTH, AT_END, LATER = Completes.AT_LENGTH, Completes.AT_END, Completes.LATER


# Giving up


@pytest.mark.parametrize("offset", [0, 5, len(KELP)], ids=["empty", "open", "complete"])
async def test_cancel(world: World, offset: int) -> None:
    """An upload that is given up, or its attachment, is gone with its content, and stays gone."""
    record = await complete_kelp(world) if offset == len(KELP) else await kelp_until(world, offset, AT_LENGTH)
    outcome = await world.uploads().cancel(Cancel(ref=record.ref))

    assert State.CANCELLED == outcome.record.state == (await world.stored(record)).state
    with pytest.raises(NotFound):
        await world.bytes_of(record)
    with pytest.raises(UploadCancelled):
        await world.offset(record)
    with pytest.raises(UploadCancelled):
        await world.append(record, FakeContent(b"x"))
    with pytest.raises(UploadCancelled):
        await world.uploads().cancel(Cancel(ref=record.ref))
    with pytest.raises(UploadCancelled):
        await world.seen(record.ref)


@pytest.mark.parametrize("tenant", [TENANT, OTHER_TENANT])
async def test_others_find_nothing(world: World, tenant: str) -> None:
    """To another tenant an upload does not exist; nor does one that never was, to anybody."""
    record = await kelp_until(world, 5, AT_LENGTH)
    ref = ref_of(record, OTHER_TENANT) if tenant == OTHER_TENANT else Ref(tenant=TENANT, key=new_key())
    uploads = world.uploads()
    with pytest.raises(UploadNotFound):
        await uploads.append(Append(ref=ref, offset=5, completes=AT_LENGTH, content_length=1), FakeContent(b"x"))
    with pytest.raises(UploadNotFound):
        await uploads.offset(GetOffset(ref=ref, completes=AT_LENGTH))
    with pytest.raises(UploadNotFound):
        await uploads.cancel(Cancel(ref=ref))
    with pytest.raises(UploadNotFound):
        await world.seen(ref)

    assert record == await world.stored(record)


async def test_a_question_about_what_goes_meanwhile(world: World) -> None:
    """Who asks how far an upload is, and waits for its holder, is told when it is gone by then."""
    record = await kelp_until(world, 5, AT_LENGTH)
    asked = asyncio.Event()
    lease = await world.leases.acquire(record.ref, asked.set, 5)
    question = asyncio.create_task(world.offset(record))
    async with asyncio.timeout(5):
        await asked.wait()
    await replace_upload(world.metadata, record, changed(rules.end(record, Step.CANCEL, world.clock())))
    await world.leases.release(lease)

    with pytest.raises(UploadCancelled):
        await question


async def test_what_was_made_of_an_upload_goes_with_it(world: World) -> None:
    """Whoever keeps something that was made of content is told when that is deleted."""
    forgotten: list[Key] = []

    async def forget(key: Key) -> None:
        forgotten.append(key)

    leased_uploads = SeparateLeasedUploads(world.metadata, world.leases)
    uploads = AskedUploads(Uploads(world.content, world.metadata, leased_uploads, LIMITS, clock=world.clock, forget=forget))
    complete, other = await complete_kelp(world), await complete_kelp(world)
    await uploads.cancel(Cancel(ref=complete.ref))

    assert [complete.key] == forgotten
    assert KELP == await world.bytes_of(other)


# Expiry


async def test_an_upload_expires(world: World) -> None:
    """Whoever does not come back in time finds the upload gone, swept or not."""
    record = await kelp_until(world, 5, AT_LENGTH)
    world.clock.now += LIMITS.idle_expiry
    for swept in (0, 1):
        with pytest.raises(UploadExpired):
            await world.offset(record)
        with pytest.raises(UploadExpired):
            await world.append(record, FakeContent(KELP[5:]))
        with pytest.raises(UploadExpired):
            await world.seen(record.ref)

        assert 1 - swept == await world.uploads().sweep()
    with pytest.raises(NotFound):
        await world.bytes_of(record)


async def test_progress_delays_expiry(world: World) -> None:
    """An upload that goes on lives on, up to a fixed age."""
    record = await kelp_until(world, 1, AT_LENGTH)
    for at in range(1, 6):
        world.clock.now += LIMITS.idle_expiry - 1
        record = (await world.append(record, FakeContent(KELP[at : at + 1]))).record
    world.clock.now = record.created_at + LIMITS.final_expiry

    assert record.created_at + LIMITS.final_expiry == record.expires_at
    with pytest.raises(UploadExpired):
        await world.offset(record)


async def test_a_complete_upload_does_not_expire(world: World) -> None:
    """What is complete stays."""
    record = await complete_kelp(world)
    world.clock.now += 1_000_000
    swept = await world.uploads().sweep()

    assert 0 == swept
    assert KELP == await world.bytes_of(record)
    assert record == await world.seen(record.ref)


# Idempotency


async def again(world: World, content: FakeContent, completes: Completes = AT_END, name: str = "kelp") -> UploadRecord:
    """Create with an idempotency key that is always the same."""
    return (await world.create(content, completes, name=name, idempotency_key="again")).record


async def test_a_creation_is_repeated(world: World) -> None:
    """A creation that lost its answer is sent again, and ends with the same upload and no byte more."""
    record = await again(world, FakeContent(KELP))

    assert record == await again(world, FakeContent(KELP))
    assert KELP == await world.bytes_of(record)


@pytest.mark.parametrize("completes", [AT_END, AT_LENGTH])
async def test_a_creation_without_a_length_is_repeated(world: World, completes: Completes) -> None:
    """That the length became known in between does not make the repeated creation another one."""
    record = await again(world, FakeContent(KELP, chunked=True), completes)
    if completes is AT_LENGTH:
        record = (await world.append(record, FakeContent(), length=len(KELP))).record

    assert State.COMPLETE == record.state
    assert record.ref == (await again(world, FakeContent(KELP, chunked=True), completes)).ref


async def test_an_interrupted_creation_is_repeated(world: World) -> None:
    """A creation whose content was cut is sent again, and the answer tells how far the upload is."""
    record = await again(world, FakeContent(KELP[:5], length=len(KELP), cut=Stop.DISCONNECTED))
    repeated = await again(world, FakeContent(KELP))

    assert record.ref == repeated.ref
    assert (repeated.state, repeated.offset) in {(State.OPEN, 5), (State.COMPLETE, len(KELP))}


async def test_an_idempotency_key_is_for_one_request(world: World) -> None:
    """The same idempotency key with another creation is refused, and creates nothing."""
    record = await again(world, FakeContent(KELP))
    with pytest.raises(IdempotencyConflict):
        await again(world, FakeContent(KELP), name="other")

    assert record == await world.stored(record)


@pytest.mark.parametrize("end", ["cancelled", "expired", "swept"])
async def test_an_idempotency_key_is_free_after_the_end(world: World, end: str) -> None:
    """What is gone does not answer for a new creation."""
    record = await again(world, FakeContent(KELP[:5], length=len(KELP), cut=Stop.DISCONNECTED))
    if end == "cancelled":
        await world.uploads().cancel(Cancel(ref=record.ref))
    else:
        world.clock.now += LIMITS.idle_expiry
    if end == "swept":
        await world.uploads().sweep()
    repeated = await again(world, FakeContent(KELP))

    assert record.key != repeated.key
    assert State.COMPLETE == repeated.state


async def test_tenants_have_idempotency_keys_of_their_own(world: World) -> None:
    """The same idempotency key of another tenant is another one."""
    ours = await again(world, FakeContent(KELP))
    theirs = (await world.create(FakeContent(b"x"), AT_END, tenant=OTHER_TENANT, idempotency_key="again")).record

    assert (ours.key == theirs.key, OTHER_TENANT) == (False, theirs.tenant)


async def test_a_key_that_is_taken_is_not_used_again(world: World) -> None:
    """A key that was drawn twice is drawn once more; a generator that is stuck is an error of ours."""
    record = await complete_kelp(world)
    free = new_key()
    command = Create(tenant=TENANT, completes=AT_END, length=None, content_length=1)
    drawn = iter([record.key, record.key, free])
    outcome = await world.uploads(keys=lambda: next(drawn)).create(command, FakeContent(b"x"))

    assert free == outcome.record.key
    with pytest.raises(StoreFailed):
        await world.uploads(keys=lambda: record.key).create(command, FakeContent(b"x"))
    assert KELP == await world.bytes_of(record)


# What content says of itself


async def verified(world: World, data: bytes, content_type: str | None) -> UploadRecord:
    """Upload *data* where the content has to be what it is declared as."""
    content = FakeContent(data)
    return (await world.create(content, AT_END, content_type=content_type, verify_type=True)).record


@pytest.mark.parametrize(("data", "kind"), [(PNG, "image/png"), (PNG, "IMAGE/PNG; q=1"), (b"\xff\xd8\xff", "image/jpg")])
async def test_content_is_what_it_was_declared_as(world: World, data: bytes, kind: str) -> None:
    """An upload whose first bytes agree with its declared type completes."""
    assert State.COMPLETE == (await verified(world, data, kind)).state


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF????WEBPVP8 ", "image/jpeg"),
        (b"%PDF-1.7", "image/png"),
        (PNG, "text/plain"),
        (b"<script>", "image/png"),
        (PNG[:7], "image/png"),
        (b"", "image/png"),
        (PNG, None),
    ],
)
async def test_content_that_is_something_else_is_rejected(world: World, data: bytes, kind: str | None) -> None:
    """An upload whose first bytes are not what was declared is refused for ever, and its content is removed."""
    with pytest.raises(ContentRejected) as caught:
        await verified(world, data, kind)
    record = caught.value.record

    assert record is not None
    assert (State.REJECTED, len(data)) == await world.facts(record)
    for _ in range(2):
        with pytest.raises(ContentRejected):
            await world.offset(record)
        with pytest.raises(ContentRejected):
            await world.append(record, FakeContent(), AT_END)
    with pytest.raises(NotFound):
        await world.bytes_of(record)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/*", "application/octet-stream"])
async def test_an_image_under_another_name(world: World, kind: str) -> None:
    """An image that was declared as another one, or as nothing in particular, is what it is; its requests can be repeated."""

    async def creation() -> UploadRecord:
        content = FakeContent(PNG)
        told = await world.create(content, AT_END, content_type=kind, verify_type=True, idempotency_key="once")
        return told.record

    record = await creation()

    assert (State.COMPLETE, "image/png") == (record.state, record.content_type)
    assert record == await creation()
    with pytest.raises(IdempotencyConflict):
        await world.create(FakeContent(PNG), AT_END, content_type="text/plain", verify_type=True, idempotency_key="once")


async def test_a_rejected_creation_that_is_repeated_is_rejected(world: World) -> None:
    """A refusal that was lost on its way is given again: it is not taken for success."""
    for _ in range(2):
        with pytest.raises(ContentRejected):
            await world.create(FakeContent(PNG), AT_END, content_type="text/plain", verify_type=True, idempotency_key="again")
