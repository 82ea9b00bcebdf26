"""
How what is wrong with objects and slots is called, the same in all dialects; each has its own status for it.
"""

from __future__ import annotations

from holdfast.service.core import errors
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.http.wire import Refusal

# For dialects of uploads: what an upload is meant for is refused, not the upload's own URL, so none of these is a 404.
INTENTS: dict[type[UploadError], Refusal] = {
    errors.Forbidden: Refusal(403, "forbidden"),
    errors.ObjectNotFound: Refusal(422, "object_not_found"),
    errors.SlotUnknown: Refusal(422, "slot_unknown"),
    errors.SlotChanged: Refusal(412, "slot_changed"),
    errors.SlotFull: Refusal(422, "slot_full"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.ManagedElsewhere: Refusal(422, "managed_externally"),
    # When it begins, by its declared type.  What its content turns out to be is an end of the upload: ContentRejected.
    errors.NotAccepted: Refusal(415, "content_type_not_accepted"),
}
