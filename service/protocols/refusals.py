"""Codes of errors about objects and slots, shared by the dialects of uploads."""

from __future__ import annotations

from holdfast.service.core import errors
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.http.wire import Refusal

# The slot that the upload names is refused, not the URL of the upload, so none of these is a 404.
INTENTS: dict[type[UploadError], Refusal] = {
    errors.Forbidden: Refusal(403, "forbidden"),
    errors.ObjectNotFound: Refusal(422, "object_not_found"),
    errors.SlotUnknown: Refusal(422, "slot_unknown"),
    errors.SlotChanged: Refusal(412, "slot_changed"),
    errors.SlotFull: Refusal(422, "slot_full"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.ManagedElsewhere: Refusal(422, "managed_externally"),
    # Refused by its declared type when the upload begins; ContentRejected is for the type of its content.
    errors.NotAccepted: Refusal(415, "content_type_not_accepted"),
}
