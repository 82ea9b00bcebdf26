"""
Who may do what, and who sees what: asked once for each command, before a verb of uploads, slots or objects does it.
"""

# Theory of operation
# -------------------
#
# Verbs take an `Authorised` command, and no principal.  Only `Access` makes one (a test looks for others), so a new caller of a
# verb cannot forget to ask, and a new command cannot be forgotten here: mypy finds a `match` that does not know it.
#
# What depends on nothing but the caller and the command is decided at once.  What depends on an upload is decided by *permit*, as
# soon as the verb has read the record: that is read once, and an append reads it under the lease.

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
"""Refuses by the record that a command is about, of an upload or, for a picture, of an object; raises what `Access` does."""


class Access:
    """
    Decides whether a caller may give a command.
    """

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def __call__(self, by: Principal, command: C) -> Authorised[C]:
        """
        Return *command* as one that its verb does.

        :raises Forbidden, UploadNotFound: the caller may not give it.
        :raises SlotUnknown, ManagedElsewhere: there is no such slot, or another system fills it.
        """
        permit = self._permit(by, command)
        if isinstance(command, commands.SetPicture):
            by = dataclasses.replace(by, originator=command.originator)
        return Authorised(command=command, by=by, permit=permit, _access=self)

    def _permit(self, by: Principal, command: commands.AnyCommand) -> Permit:
        if isinstance(command, commands.ObjectCommand | commands.ListObjects):
            return self._permit_object(by, command)
        if isinstance(command, commands.SlotCommand | commands.SetPicture):
            return self._permit_slot(by, command)
        return self._permit_upload(by, command)

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
                # Of an object that is not there every client hears that first.
                return lambda _owner: self._refuse_change(by, command.slot, None)
        return _refuse_any

    def _refuse_change(self, by: Principal, ref: SlotRef, attachment: Key | None) -> None:
        """Refuse to change a slot; *attachment* is the only one of which it is another slot afterwards."""
        policy = self._policies.of(ref)
        rights.refuse_change(by, policy, ref, attachment)
        if policy.managed_elsewhere:
            raise ManagedElsewhere(f"{ref.slot} is filled by another system")

    def _refuse_append(self, by: Principal, record: UploadRecord) -> None:
        """Refuse to go on with an upload: a client neither evicts another's request nor fills a slot that it may not change."""
        rights.refuse_upload(by, record)
        if record.intent is not None and by.key is None:
            self._refuse_change(by, record.intent.slot, None)

    def _refuse_link(self, by: Principal, purpose: Capability, record: UploadRecord) -> None:
        """Refuse to sign a link that gives more than its maker has."""
        match purpose:
            case Capability.UPLOAD:
                rights.refuse_upload(by, record)
                if record.intent is not None:
                    self._refuse_change(by, record.intent.slot, None)  # the holder of the link fills the slot, too
            case Capability.VIEW:
                rights.refuse_view(by, record)
            case Capability.ATTACH:
                rights.refuse_attachment(by, record)
        if by.key is not None:
            raise Forbidden("a link makes no links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised(Generic[C]):
    """
    A command that its caller may give: one verb, for one upload, object or slot.
    """

    command: C
    by: Principal
    """The caller, for the record and the audit; what it may do is decided already."""
    permit: Permit
    _access: Access

    def then(self, command: Other) -> Authorised[Other]:
        """
        Return another command of the same caller, if that may give it, too.

        :raises UploadError: it may not.
        """
        return self._access(self.by, command)

    def view(self, record: UploadRecord) -> View:
        """
        Return what the caller sees of the upload that it is permitted to see.

        :raises UploadNotFound, Forbidden: it may see nothing of it.
        """
        self.permit(record)
        return View(record=record, original=rights.owns(self.by, record), redirects=self.by.key is None)


Other = TypeVar("Other", bound=commands.AnyCommand)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    An upload as one caller sees it.
    """

    record: UploadRecord
    original: bool
    """Whether an image is shown as it was sent: to its owner.  Others see a rendition, which has nothing but its pixels."""
    redirects: bool
    """Whether the caller may have a URL of the store itself; that would hold for longer than a link does."""


def _refuse_any(_record: object) -> None:
    raise Forbidden("this command is about no upload")
