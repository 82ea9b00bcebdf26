"""
Which verb of the core does what a command asks.
"""

from __future__ import annotations

from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.decoding import DecodedContent
from holdfast.service.asgi.receiving.turns import Turns
from holdfast.service.core.commands import (
    Append,
    Cancel,
    Command,
    Create,
    FiledCommand,
    FiledOutcome,
    GetObject,
    GetOffset,
    ObjectOutcome,
    Outcome,
    PictureCommand,
)
from holdfast.service.core.errors import ContentCut
from holdfast.service.core.filing import Filing
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import Policies
from holdfast.service.core.uploads.uploads import Uploads


class Verbs:
    """
    Performs the commands of every dialect.
    """

    def __init__(self, uploads: Uploads, filing: Filing, pictures: Pictures, policies: Policies, turns: Turns) -> None:
        self._uploads = uploads
        self._filing = filing
        self._pictures = pictures
        self._policies = policies
        self._turns = turns

    async def perform(self, command: Command, content: RequestContent) -> Outcome:
        """
        Do what is asked of an upload.
        """
        match command:
            case Create():
                return await self._uploads.create(command, content)
            case Append():
                return await self._uploads.append(command, content)
            case GetOffset():
                return await self._uploads.offset(command)
            case Cancel():
                return await self._uploads.cancel(command)

    async def perform_filed(self, command: FiledCommand, _content: RequestContent) -> FiledOutcome:
        """
        Do what is asked of attachments, objects and slots.
        """
        return await self._filing.perform(command)

    async def perform_picture(self, command: PictureCommand, content: RequestContent, member: str) -> ObjectOutcome:
        """
        Do what is asked of the picture of an object, which comes as base64 in *member* of a JSON object.
        """
        if isinstance(command, GetObject):
            outcome = await self._filing.perform(command)
            assert isinstance(outcome, ObjectOutcome)  # noqa: S101 - what this command comes to
            return outcome
        decoded = DecodedContent(content, member, self._policies.of(command.slot).max_bytes)
        by = command.principal.subject
        client = None if by is None else (command.slot.tenant, by)
        try:
            async with self._turns.turn(client, decoded.size):
                return await self._pictures.set(command, decoded)
        except ContentCut:
            if decoded.error is not None:
                raise decoded.error from None
            raise
