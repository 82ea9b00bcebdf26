"""Decides which caller may give which command, and see what: once per command, before its verb runs."""

# Theory of operation
# -------------------
#
# Verbs take an `Authorised` command, and no principal.  Only `Access` makes one (a test looks for others), so a new caller of a
# verb cannot forget to ask, and mypy reports a new command that a `match` here does not know.
#
# What depends only on the caller and the command is decided at once.  What depends on an upload is decided by *permit*, once
# the verb has read the record: so it is read once, and by an append under the lease.

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from holdfast.service.core import commands
from holdfast.service.core.access import rights
from holdfast.service.core.errors import Forbidden, ManagedElsewhere
from holdfast.service.core.policies import Policies
from holdfast.service.core.principals import Capability, Principal
from holdfast.storage.records import Key, SlotRef, UploadRecord

C = TypeVar("C", bound=commands.AnyCommand)
Permit = Callable[[Any], None]
"""Refuses a command by its record, of an upload or, for a picture, of an object; raises what `Access` does; must not block."""

# As tuples, because a union would be made anew for each request; frequent commands first.
_UPLOAD_COMMANDS = (
    commands.Append, commands.GetOffset, commands.Create, commands.GetContent,
    commands.Cancel, commands.GetAttachment, commands.MakeLink, commands.GetEvents,
)  # fmt: skip
_SLOT_COMMANDS = (commands.GetSlot, commands.Attach, commands.Detach, commands.Reorder, commands.Undo, commands.SetPicture)


class Access:
    """Decides whether a caller may give a command."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def __call__(self, by: Principal, command: C) -> Authorised[C]:
        """
        Return *command* in the form that its verb takes.

        :raises Forbidden, UploadNotFound: the caller may not give it.
        :raises SlotUnknown, ManagedElsewhere: there is no such slot, or another system fills it.
        """
        permit = self._permit(by, command)
        if isinstance(command, commands.SetPicture):
            by = dataclasses.replace(by, originator=command.originator)
        return Authorised(command=command, by=by, permit=permit, _access=self)

    def _permit(self, by: Principal, command: commands.AnyCommand) -> Permit:
        if isinstance(command, _UPLOAD_COMMANDS):
            return self._permit_upload(by, command)
        if isinstance(command, _SLOT_COMMANDS):
            return self._permit_slot(by, command)
        return self._permit_object(by, command)

    def _permit_upload(
        self,
        by: Principal,
        command: commands.Command | commands.GetAttachment | commands.GetContent | commands.MakeLink | commands.GetEvents,
    ) -> Permit:
        match command:
            case commands.Create():
                rights.refuse_creation(by)
                if command.intent is not None:
                    self._refuse_change(by, command.intent.slot, None)
            case commands.Append():
                return partial(self._refuse_append, by)
            case commands.GetOffset():
                return partial(rights.refuse_question, by)
            case commands.Cancel():
                return partial(rights.refuse_upload, by)
            case commands.GetAttachment() | commands.GetContent():
                return partial(rights.refuse_view, by)
            case commands.MakeLink():
                return partial(self._refuse_link, by, command.purpose)
            case commands.GetEvents():
                if command.attachment is not None:
                    return partial(rights.refuse_history, by)
                rights.refuse_administration(by)
        return _refuse_any

    def _permit_object(self, by: Principal, command: commands.ObjectCommand | commands.ListObjects) -> Permit:
        match command:
            case commands.Register() | commands.DeleteObject():
                rights.refuse_administration(by)
            case commands.ListObjects() | commands.GetObject():
                rights.refuse_reading(by)
        return _refuse_any

    def _permit_slot(self, by: Principal, command: commands.SlotCommand | commands.SetPicture) -> Permit:
        match command:
            case commands.GetSlot():
                rights.refuse_reading(by)
            case commands.Attach():
                self._refuse_change(by, command.slot, command.ref.key)
                return partial(rights.refuse_attachment, by)
            case commands.Detach():
                self._refuse_change(by, command.slot, command.key)
            case commands.Reorder() | commands.Undo():
                self._refuse_change(by, command.slot, None)
            case commands.SetPicture():
                # An object that does not exist is reported first, to every client.
                return lambda _owner: self._refuse_change(by, command.slot, None)
        return _refuse_any

    def _refuse_change(self, by: Principal, ref: SlotRef, attachment: Key | None) -> None:
        """Refuse to change a slot; *attachment* is the one that the change is about, or None if there may be more."""
        policy = self._policies.of(ref)
        rights.refuse_change(by, policy, ref, attachment)
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{ref.slot} is filled by another system")

    def _refuse_append(self, by: Principal, record: UploadRecord) -> None:
        """Refuse to continue an upload: a client may neither evict another's request nor fill a slot that it may not change."""
        rights.refuse_upload(by, record)
        if record.intent is not None and by.key is None:
            self._refuse_change(by, record.intent.slot, None)

    def _refuse_link(self, by: Principal, purpose: Capability, record: UploadRecord) -> None:
        """Refuse to sign a link that allows more than its maker may do."""
        match purpose:
            case Capability.UPLOAD:
                rights.refuse_upload(by, record)
                if record.intent is not None:
                    self._refuse_change(by, record.intent.slot, None)  # the bearer of the link also fills the slot
            case Capability.VIEW:
                rights.refuse_view(by, record)
            case Capability.ATTACH:
                rights.refuse_attachment(by, record)
        if by.key is not None:
            raise Forbidden("a link cannot be used to make links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised(Generic[C]):
    """A command that its caller may give: one verb, for one upload, object or slot."""

    command: C
    by: Principal
    """The caller, for the record and the audit; its rights are decided already."""
    permit: Permit
    _access: Access

    def then(self, command: Other) -> Authorised[Other]:
        """
        Return another command of the same caller.

        :raises UploadError: the caller may not give it.
        """
        return self._access(self.by, command)

    def view(self, record: UploadRecord) -> View:
        """
        Return how the caller sees an upload.

        :raises UploadNotFound, Forbidden: the caller may see nothing of it.
        """
        self.permit(record)
        return View(record=record, original=rights.owns(self.by, record), redirects=self.by.key is None)


Other = TypeVar("Other", bound=commands.AnyCommand)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An upload as one caller sees it."""

    record: UploadRecord
    original: bool
    """Whether an image is shown as it was sent, which only its owner sees; others see a rendition, which has only its pixels."""
    redirects: bool
    """Whether the caller may get a URL of the store itself, which would be valid for longer than a link is."""


def _refuse_any(_record: object) -> None:
    raise Forbidden("this command is about no upload")
