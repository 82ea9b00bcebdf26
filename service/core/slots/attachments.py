"""The verbs of slots: read once, decide, then commit everything or nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import Authorised
from holdfast.service.core.commands import Attach, Detach, GetSlot, Reorder, SlotOutcome, Undo
from holdfast.service.core.content.media_types import is_undeclared, takes
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import ManagedElsewhere, SlotBusy, TooLarge, UploadIncomplete, UploadNotFound
from holdfast.service.core.events.events import new_name
from holdfast.service.core.policies import Policies, Policy
from holdfast.service.core.principals import ANYBODY, Principal
from holdfast.service.core.slots import slots
from holdfast.service.core.slots.acceptance import Acceptance, FirstBytes, Inspect, not_accepted, refuse_encoded
from holdfast.service.core.slots.changes import Rule, SlotChange, refuse_full, refuse_other_object
from holdfast.service.core.slots.known import KnownSlot
from holdfast.service.core.store_errors import translated
from holdfast.storage.errors import AlreadyExists, PreconditionFailed
from holdfast.storage.objects import Association, SlotRecord
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Intent, Key, SlotRef, State, Subject, UploadRecord
from holdfast.storage.threads import aside

# Each try fails because another process committed first; the more processes change one slot, the more tries it may take.
TRIES = 200
LONGEST_PAUSE = 0.05  # seconds
Asked = Authorised[Attach] | Authorised[Detach] | Authorised[Reorder] | Authorised[Undo]


class Attachments:
    """Every verb of slots, over any stores."""

    def __init__(
        self,
        content: ByteStore,
        metadata: MetadataStore,
        policies: Policies,
        *,
        inspect: Inspect | None = None,
        minimum_retention: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*minimum_retention*: seconds to keep what left its last slot, if the grace of that slot is shorter."""
        self._bytes = content
        self._metadata = metadata
        self._policies = policies
        self._acceptance = Acceptance(content, metadata, inspect)
        self._minimum_retention = minimum_retention
        self._clock = clock
        # Changes of one slot take turns within this process, so that only processes compete.
        self._turns: WeakValueDictionary[SlotRef, asyncio.Lock] = WeakValueDictionary()

    def known(self, ref: SlotRef) -> KnownSlot:
        """Return what one request has read of a slot, which is passed on to all it does with the slot; nothing is read yet."""
        return KnownSlot(self._metadata, ref)

    async def get(self, asked: Authorised[GetSlot]) -> SlotOutcome:
        """
        Return a slot of an object, and what is in it.

        :raises SlotUnknown, ObjectNotFound: the slot or the object does not exist.
        """
        self._policies.of(asked.command.slot)
        known = self.known(asked.command.slot)
        await known.read()
        known.owner()
        attachments = await known.uploads(slots.keys(known.slot))
        return SlotOutcome(slot=known.slot, attachments=tuple(attachments.values()))

    async def attach(self, asked: Authorised[Attach]) -> SlotOutcome:
        """
        Put a complete upload into a slot; in a slot for one attachment it replaces the present one.

        Repeating it changes nothing.

        :raises UploadError: see `holdfast.service.core.errors`; nothing was changed.
        """
        command, by, attachment = asked.command, asked.by, asked.command.ref.key
        policy, known = self._policies.of(command.slot), self.known(command.slot)
        upload = await known.read(attachment)
        known.owner()
        if upload is None:
            raise UploadNotFound("there is no such upload")
        asked.permit(upload)
        rules.refuse_gone(upload, self._clock())
        if upload.state is not State.COMPLETE:
            raise UploadIncomplete("the upload is not complete yet", upload)
        if command.slot not in upload.attached:
            await self._acceptance.kind(upload, policy, FirstBytes(self._bytes, upload))
            await self._acceptance.inspect(upload, policy)
        outcome = await self._changed(asked, self._attaching(attachment, policy, by.subject, command.place), known)
        return dataclasses.replace(outcome, record=(await known.uploads([attachment]))[attachment])

    async def expect(
        self,
        intent: Intent,
        length: int | None,
        content_type: str | None,
        content_encoding: str | None = None,
        known: KnownSlot | None = None,
    ) -> None:
        """Refuse an upload that its slot will not take, as far as the beginning of the upload shows."""
        policy, known = self._policies.of(intent.slot), known or self.known(intent.slot)
        await known.read()
        refuse_other_object(known.owner(), intent.if_match)
        if policy.max_bytes is not None and (length or 0) > policy.max_bytes:
            raise TooLarge(policy.max_bytes, what=policy.slot)
        if (
            policy.types is not None
            and not is_undeclared(content_type)
            and not takes(policy.types, canonical(content_type or ""))
        ):
            raise not_accepted(policy)
        refuse_encoded(content_encoding, policy)
        refuse_full(known.slot, policy)

    async def fit(self, upload: UploadRecord, intent: Intent, start: FirstBytes, known: KnownSlot) -> str | None:
        """
        Refuse an upload with all its bytes that the slot of its *intent* does not take.

        Return the media type that the slot takes it for, or None if it takes any.  An image is read and decoded whole, so that
        comes last.

        :raises TooLarge, NotAccepted, ImageInvalid, ImageTooLarge: the slot will never take it.
        :raises SlotError: the slot cannot take it now.
        :raises Corrupted: acknowledged content is lost.
        """
        policy = self._policies.of(intent.slot)
        kind = await self._acceptance.kind(upload, policy, start)
        if policy.types is not None:
            _changeable(policy)
            await known.read()
            refuse_other_object(known.owner(), intent.if_match)
            refuse_full(known.slot, policy, upload.key)
        await self._acceptance.inspect(upload, policy)
        return kind

    async def conclude(
        self, received: UploadRecord, published: UploadRecord, intent: Intent, by: Principal | None, known: KnownSlot
    ) -> UploadRecord:
        """
        Complete an upload and put it into its slot, in one commit.  The caller holds the lease of *received*.

        :raises SlotError: the slot cannot take it now; nothing was changed.
        :raises Evicted: another request changed the upload.
        """
        policy = _changeable(self._policies.of(intent.slot))
        creator = by or dataclasses.replace(ANYBODY, subject=received.creator)
        published = dataclasses.replace(published, expires_at=None)  # it is in a slot from the beginning
        change = SlotChange(
            ref=intent.slot,
            policy=policy,
            rule=self._attaching(received.key, policy, creator.subject, None),
            by=creator,
            if_object=intent.if_match,
            finish=(received, published),
        )
        known.keep(received)
        await self._change(change, known)
        return (await known.uploads([received.key]))[received.key]

    async def detach(self, asked: Authorised[Detach]) -> SlotOutcome:
        """Take one attachment, or all, out of a slot; they are kept for the grace of the slot."""
        key, by, policy = asked.command.key, asked.by.subject, self._policies.of(asked.command.slot)
        return await self._changed(asked, lambda slot, _gone: slots.detach(slot, key, policy, by, self._clock()))

    async def reorder(self, asked: Authorised[Reorder]) -> SlotOutcome:
        """Change the order of a slot."""
        return await self._changed(asked, lambda slot, _gone: slots.reorder(slot, asked.command.order))

    async def undo(self, asked: Authorised[Undo]) -> SlotOutcome:
        """Put back what left the slot last, if it still exists."""
        by, policy = asked.by.subject, self._policies.of(asked.command.slot)
        return await self._changed(asked, lambda slot, gone: slots.undo(slot, policy, by, self._clock(), gone))

    def _attaching(self, attachment: Key, policy: Policy, by: Subject | None, place: int | None) -> Rule:
        def rule(slot: SlotRecord, _gone: object) -> SlotRecord:
            association = Association(id=new_name(), attachment=attachment, attached_at=self._clock(), attached_by=by)
            return slots.attach(slot, association, policy, place)

        return rule

    async def _changed(self, asked: Asked, rule: Rule, known: KnownSlot | None = None) -> SlotOutcome:
        command = asked.command
        change = SlotChange(
            ref=command.slot,
            policy=self._policies.of(command.slot),
            rule=rule,
            by=asked.by,
            condition=command.condition,
            restores=isinstance(command, Undo),
        )
        return SlotOutcome(slot=await self._change(change, known or self.known(command.slot)))

    async def _change(self, change: SlotChange, known: KnownSlot) -> SlotRecord:
        """Make *change*; if another request changed a record meanwhile, read the records and decide again."""
        turn = self._turns.setdefault(change.ref, asyncio.Lock())
        if turn.locked():
            known.forget()  # the change under way will outdate it
        async with turn:
            for count in range(TRIES):
                with translated():
                    try:
                        return await self._try(change, known)
                    except (PreconditionFailed, AlreadyExists):
                        known.forget()
                        await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2**count)))  # noqa: S311
        raise SlotBusy("too many requests change this slot at once; try again")

    async def _try(self, change: SlotChange, known: KnownSlot) -> SlotRecord:
        await known.read()
        owner, old = known.owner(), known.slot
        size = len(old.active) + len(old.ended)
        gone: set[Key] = set()
        if change.restores:
            history = {association.attachment for association in (*old.active, *old.ended)}
            gone = {key for key, upload in (await known.uploads(history)).items() if rules.is_over(upload)}
        new = await aside(partial(change.rule, old, gone), size=size)
        if new == old:
            return old  # a repeated request, whose change is made already
        change.refuse_other(owner, old)
        uploads = await known.uploads({*slots.keys(old)} ^ {*slots.keys(new)})
        deciding = partial(change.decide, owner, known.stored, new, uploads, self._clock(), self._minimum_retention)
        changes, events = await aside(deciding, size=size + len(uploads))
        await self._metadata.commit(changes, events=events)
        known.become(changes)
        return known.slot


def _changeable(policy: Policy) -> Policy:
    if policy.managed_elsewhere:
        raise ManagedElsewhere(f"{policy.slot} is filled by another system")
    return policy
