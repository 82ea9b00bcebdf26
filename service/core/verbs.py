"""Runs the verb of each command, after its caller was authorised."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.service.core import commands
from holdfast.service.core.access.authorised import Access, View
from holdfast.service.core.content.content import Content
from holdfast.service.core.pictures import Admit, Pictures
from holdfast.service.core.principals import Principal
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.storage.records import Ref, State


@dataclass(frozen=True, slots=True)
class Verbs:
    """
    Runs commands for callers.  Each method raises UploadError if a rule refuses; then nothing was changed.

    *content* is that of the request; only commands that take content read it.
    """

    access: Access
    uploads: Uploads
    views: UploadViews
    attachments: Attachments
    objects: Objects
    pictures: Pictures

    async def upload(self, by: Principal, command: commands.Command, content: Content) -> commands.Outcome:
        """Run a command about an upload."""
        match command:
            case commands.Create():
                return await self.uploads.create(self.access(by, command), content)
            case commands.Append():
                return await self.uploads.append(self.access(by, command), content)
            case commands.GetOffset():
                return await self.uploads.offset(self.access(by, command))
            case commands.Cancel():
                return await self.uploads.cancel(self.access(by, command))

    async def attachment(self, by: Principal, command: commands.AttachmentCommand, _content: Content) -> commands.Outcome:
        """Run a command about an upload or its attachment."""
        match command:
            case commands.GetAttachment():
                return commands.Outcome(record=(await self.views.get(self.access(by, command))).record)
            case commands.Cancel():
                return await self.uploads.cancel(self.access(by, command))

    async def link(self, by: Principal, command: commands.MakeLink, _content: Content) -> commands.LinkOutcome:
        """Sign a link."""
        return await self.views.link(self.access(by, command))

    async def events(self, by: Principal, command: commands.GetEvents, _content: Content) -> commands.EventsOutcome:
        """Return a page of events."""
        return await self.views.events(self.access(by, command))

    async def page(self, by: Principal, command: commands.ListObjects, _content: Content) -> commands.ObjectsOutcome:
        """Return a page of objects."""
        return await self.objects.page(self.access(by, command))

    async def object(self, by: Principal, command: commands.ObjectCommand, _content: Content) -> commands.ObjectOutcome:
        """Run a command about an object."""
        match command:
            case commands.Register():
                return await self.objects.register(self.access(by, command))
            case commands.DeleteObject():
                return await self.objects.delete(self.access(by, command))
            case commands.GetObject():
                return await self.objects.get(self.access(by, command))

    async def slot(self, by: Principal, command: commands.SlotCommand, _content: Content) -> commands.SlotOutcome:
        """Run a command about a slot."""
        match command:
            case commands.GetSlot():
                return await self.attachments.get(self.access(by, command))
            case commands.Attach():
                return await self.attachments.attach(self.access(by, command))
            case commands.Detach():
                return await self.attachments.detach(self.access(by, command))
            case commands.Reorder():
                return await self.attachments.reorder(self.access(by, command))
            case commands.Undo():
                return await self.attachments.undo(self.access(by, command))

    async def set_picture(
        self, by: Principal, command: commands.SetPicture, content: Content, admit: Admit
    ) -> commands.ObjectOutcome:
        """Make *content* the picture of an object that *admit* allows."""
        return await self.pictures.set(self.access(by, command), content, admit)

    async def view(self, by: Principal, ref: Ref) -> View:
        """Return an upload with its content; a received one is finished first.  It may be incomplete."""
        command = commands.GetContent(ref=ref)
        view = await self.views.get(self.access(by, command))
        if view.record.state is not State.RECEIVED:
            return view
        await self.uploads.offset(self.access(by, commands.GetOffset(ref=ref, completes=commands.Completes.LATER)))
        return await self.views.get(self.access(by, command))
