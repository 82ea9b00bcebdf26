"""
Why a rule refuses a request.  Protocols map these classes to status codes.

UploadError
├── UploadNotFound        there is no such upload, or it belongs to another tenant or account
├── UploadGone
│   ├── UploadCancelled
│   ├── UploadExpired
│   ├── UploadInvalid     more content came than its length
│   ├── UploadPurged      it was complete, and in no slot for too long
│   └── ContentLost       it is complete, and the store has lost its content
├── OffsetMismatch        the offset is not where the upload is
│   └── BytesLost         the store lost bytes: the upload goes on before where it was
├── LengthMismatch        lengths contradict each other
├── LengthExceeded        more content than the length leaves room for
├── TooLarge              more than this service accepts
├── TypeMismatch          another media type than at creation
├── ContentConflict       repeated bytes differ from the stored ones
├── AlreadyComplete       nothing can be appended any more
├── AppendsEmpty          one append without content after another
├── ContentRejected       every byte came, and the finish refused the content
├── IdempotencyConflict   the same idempotency key with another request
├── Evicted               a newer request has the upload now
├── OutOfSpace            no room is left; what came before is kept
├── FinishFailed          every byte is safe; the finish is to be repeated
├── StoreFailed           a store fails, or lost acknowledged bytes
├── UploadAttached        it is in a slot: detach it first
├── UploadIncomplete      only a complete upload can be attached
├── ContentCut            content that must come in one request was cut off
├── CursorUnknown         no page of events ended there
├── Forbidden             the principal may not
└── SlotError
    ├── ObjectNotFound    there is no such object, or it belongs to another tenant
    ├── SlotUnknown       objects of this kind have no such slot
    ├── SlotChanged       the slot is not as the client believes
    ├── SlotBusy          too many requests change it at once
    ├── SlotFull          no more attachments fit in
    ├── NotAttached       the attachment is not in the slot
    ├── NothingToUndo     nothing happened, or too long ago
    ├── ManagedElsewhere  another system fills this slot
    ├── NotAccepted       the slot takes no such content
    ├── ImageInvalid      it is damaged, or not only an image
    └── ImageTooLarge     it has more pixels or frames than the slot takes
"""

from __future__ import annotations

from holdfast.storage.records import UploadRecord


class UploadError(Exception):
    """A rule refuses a request; *record* is the upload as it is, if there is one that the client may see."""

    def __init__(self, message: str, record: UploadRecord | None = None) -> None:
        super().__init__(message)
        self.record = record


class UploadNotFound(UploadError):
    """There is no such upload, or the client may not know of it."""


class UploadGone(UploadError):
    """The upload has ended."""


class UploadCancelled(UploadGone):
    """The client cancelled or deleted it."""


class UploadExpired(UploadGone):
    """It was not finished in time."""


class UploadInvalid(UploadGone):
    """More content came than its length."""


class UploadPurged(UploadGone):
    """It was complete, and in no slot for too long."""


class ContentLost(UploadGone):
    """It is complete, and the store has lost its content."""


class OffsetMismatch(UploadError):
    """The upload is at *record.offset*, not at *provided*."""

    def __init__(self, record: UploadRecord, provided: int) -> None:
        super().__init__(f"the upload is at offset {record.offset}, not at {provided}", record)
        self.provided = provided


class BytesLost(OffsetMismatch):
    """The store has lost bytes of the upload: it goes on at *record.offset*."""

    def __init__(self, record: UploadRecord, provided: int) -> None:
        super().__init__(record, provided)
        self.args = (f"the server has lost bytes of this upload: send it again from offset {record.offset} on",)


class LengthMismatch(UploadError):
    """*provided* contradicts what is known of the length."""

    def __init__(self, message: str, record: UploadRecord | None, provided: int) -> None:
        super().__init__(message, record)
        self.provided = provided


class LengthExceeded(UploadError):
    """More content came, or was announced, than the length leaves room for."""


class TooLarge(UploadError):
    """The upload would be larger than *limit* bytes."""

    def __init__(self, limit: int, record: UploadRecord | None = None, *, what: str = "an upload") -> None:
        super().__init__(f"{what} is limited to {limit} bytes", record)
        self.limit = limit


class TypeMismatch(UploadError):
    """The request has another media type than the upload."""


class ContentConflict(UploadError):
    """Bytes that were sent again differ from the stored ones."""


class AlreadyComplete(UploadError):
    """The upload is complete; nothing can be appended."""


class AppendsEmpty(UploadError):
    """The client sends one append without content after another."""


class ContentRejected(UploadError):
    """Every byte came, and the finish refused the content; *why* is the error of the slot, if that refused it."""

    def __init__(self, message: str, record: UploadRecord | None = None, why: UploadError | None = None) -> None:
        super().__init__(message, record)
        self.why = why


class IdempotencyConflict(UploadError):
    """The idempotency key belongs to a request that asked for something else."""


class Evicted(UploadError):
    """A newer request has the upload now; what came before that is kept."""


class OutOfSpace(UploadError):
    """The store is full; the bytes that were stored are kept."""


class FinishFailed(UploadError):
    """Every byte is durable, but the finish failed; any request repeats it."""


class StoreFailed(UploadError):
    """A store fails, or has lost acknowledged bytes."""


class UploadAttached(UploadError):
    """The attachment is in a slot; detach it first."""


class UploadIncomplete(UploadError):
    """Only a complete upload can be attached."""


class ContentCut(UploadError):
    """Content that must come in one request was cut off."""


class CursorUnknown(UploadError):
    """No page of events ended there."""


class Forbidden(UploadError):
    """The client may not do that; *entitlement* is the missing one, if one is missing."""

    def __init__(self, message: str, *, entitlement: str | None = None) -> None:
        super().__init__(message)
        self.entitlement = entitlement


class SlotError(UploadError):
    """A rule about objects and their slots refuses a request."""


class ObjectNotFound(SlotError):
    """There is no such object, or the client may not know of it."""


class SlotUnknown(SlotError):
    """Objects of this kind have no such slot."""


class SlotChanged(SlotError):
    """The slot is not as the client believes."""


class SlotBusy(SlotError):
    """Too many requests change the slot at once."""


class SlotFull(SlotError):
    """The slot has as many attachments as it takes."""


class NotAttached(SlotError):
    """The attachment is not in the slot."""


class NothingToUndo(SlotError):
    """Nothing ended in this slot, or its grace is over."""


class ManagedElsewhere(SlotError):
    """Another system fills this slot."""


class NotAccepted(SlotError):
    """The slot takes no content of this type or size."""


class ImageInvalid(SlotError):
    """The image is damaged, or is also an archive."""


class ImageTooLarge(SlotError):
    """The image has more pixels or frames than the slot takes."""
