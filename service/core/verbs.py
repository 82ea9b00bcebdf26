"""
Every command and the verb that does it: first it is asked whether the caller may, then it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.service.core.access.authorised import Access, View
from holdfast.service.core.commands import (
    Append,
    Attach,
    AttachmentCommand,
    Cancel,
    Command,
    Completes,
    Create,
    DeleteObject,
    Detach,
    EventsOutcome,
    GetAttachment,
    GetContent,
    GetEvents,
    GetObject,
    GetOffset,
    GetSlot,
    LinkOutcome,
    ListObjects,
    MakeLink,
    ObjectCommand,
    ObjectOutcome,
    ObjectsOutcome,
    Outcome,
    Register,
    Reorder,
    SetPicture,
    SlotCommand,
    SlotOutcome,
    Undo,
)
from holdfast.service.core.content.content import Content
from holdfast.service.core.pictures import Admit, Pictures
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.records import Ref, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """
    Does what a caller asks, command by command.  Each raises UploadError where a rule refuses; then nothing was changed.

    *content* is that of the request; only commands that receive some look at it.
    """

    access: Access
    uploads: Uploads
    views: UploadViews
    attachments: Attachments
    objects: Objects
    pictures: Pictures

    async def upload(self, by: Principal, command: Command, content: Content) -> Outcome:
        """Do what is asked of an upload."""
        match command:
            case Create():
                return await self.uploads.create(self.access(by, command), content)
            case Append():
                return await self.uploads.append(self.access(by, command), content)
            case GetOffset():
                return await self.uploads.offset(self.access(by, command))
            case Cancel():
                return await self.uploads.cancel(self.access(by, command))

    async def attachment(self, by: Principal, command: AttachmentCommand, _content: Content) -> Outcome:
        """Do what is asked of an upload or of the attachment that became of it."""
        match command:
            case GetAttachment():
                return Outcome(record=(await self.views.get(self.access(by, command))).record)
            case Cancel():
                return await self.uploads.cancel(self.access(by, command))

    async def link(self, by: Principal, command: MakeLink, _content: Content) -> LinkOutcome:
        """Sign a link."""
        return await self.views.link(self.access(by, command))

    async def events(self, by: Principal, command: GetEvents, _content: Content) -> EventsOutcome:
        """Return what happened."""
        return await self.views.events(self.access(by, command))

    async def page(self, by: Principal, command: ListObjects, _content: Content) -> ObjectsOutcome:
        """Return a page of objects."""
        return await self.objects.page(self.access(by, command))

    async def object(self, by: Principal, command: ObjectCommand, _content: Content) -> ObjectOutcome:
        """Do what is asked of an object."""
        match command:
            case Register():
                return await self.objects.register(self.access(by, command))
            case DeleteObject():
                return await self.objects.delete(self.access(by, command))
            case GetObject():
                return await self.objects.get(self.access(by, command))

    async def slot(self, by: Principal, command: SlotCommand, _content: Content) -> SlotOutcome:
        """Do what is asked of a slot."""
        match command:
            case GetSlot():
                return await self.attachments.get(self.access(by, command))
            case Attach():
                return await self.attachments.attach(self.access(by, command))
            case Detach():
                return await self.attachments.detach(self.access(by, command))
            case Reorder():
                return await self.attachments.reorder(self.access(by, command))
            case Undo():
                return await self.attachments.undo(self.access(by, command))

    async def set_picture(self, by: Principal, command: SetPicture, content: Content, admit: Admit) -> ObjectOutcome:
        """Make *content* the picture of an object that *admit* does not refuse."""
        return await self.pictures.set(self.access(by, command), content, admit)

    async def view(self, by: Principal, ref: Ref) -> View:
        """Return an upload for its content, finished if that is all it needs; it may be incomplete."""
        command = GetContent(ref=ref)
        view = await self.views.get(self.access(by, command))
        if view.record.state is not State.RECEIVED:
            return view
        await self.uploads.offset(self.access(by, GetOffset(ref=ref, completes=Completes.LATER)))
        return await self.views.get(self.access(by, command))
