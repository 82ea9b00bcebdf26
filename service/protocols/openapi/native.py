"""The description of the native JSON API."""

from __future__ import annotations

from holdfast.service.core import errors
from holdfast.service.protocols.openapi.operations import (
    ATTACH,
    CHANGE,
    COMMUNITY_QUERY,
    CONDITIONS,
    FILTERS,
    FILTERS_OF_ONE,
    GONE,
    ID,
    KEY,
    KIND,
    OF_CONDITIONS,
    OF_DOCUMENT,
    OF_FILTERS,
    OF_MEMBERS,
    OF_OBJECT,
    OF_PAGES,
    OF_SLOT,
    PAGES,
    SLOT,
    operation,
)
from holdfast.service.protocols.openapi.schemas import Schema, ref_of

_JSON = "application/json"

NATIVE_PATHS: dict[str, Schema] = {
    "/api/v1/attachments/{key}": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "get": operation(
            "getAttachment",
            "Tell what is known of an upload or attachment.",
            {200: ("Attachment", "As it is now.")},
            refused=GONE,
        ),
        "delete": operation(
            "deleteAttachment",
            "Delete an attachment that is in no slot, or give an upload up.",
            {204: (None, "It is gone, and its content is deleted.")},
            refused=(*GONE, errors.UploadAttached, errors.Evicted, errors.OutOfSpace),
        ),
    },
    "/api/v1/attachments/{key}/events": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "get": operation(
            "getAttachmentEvents",
            "Tell what happened to an attachment, also when it is gone.",
            {200: ("Events", "Oldest first; `next` is good for asking again later, `more` says whether that is worth it now.")},
            refused=(errors.CursorUnknown,),
            codes=(OF_PAGES, OF_FILTERS),
            parameters=(*PAGES, *FILTERS_OF_ONE),
        ),
    },
    "/api/v1/attachments/{key}/links": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "post": operation(
            "makeLink",
            "Sign a link that opens one attachment for one purpose.",
            {201: ("Link", "The link, and when it lapses.")},
            refused=GONE,
            codes=(OF_DOCUMENT, OF_MEMBERS, {400: ("purpose_invalid", "seconds_invalid")}),
            content={_JSON: ref_of("NewLink")},
            description="`link` is the parameter `link` of a URL.  For `view` and `upload` that is the download and the upload, "
            "told as `url`; for `attach`, whichever request attaches, so `url` is null.",
        ),
    },
    "/api/v1/events": {
        "parameters": [COMMUNITY_QUERY],
        "get": operation(
            "getEvents",
            "Tell what happened in a tenant.",
            {200: ("Events", "Oldest first; `next` is good for asking again later, `more` says whether that is worth it now.")},
            refused=(errors.CursorUnknown,),
            codes=(OF_PAGES, OF_FILTERS),
            parameters=(*PAGES, *FILTERS),
        ),
    },
    "/api/v1/objects/{kind}": {
        "parameters": [KIND, COMMUNITY_QUERY],
        "get": operation(
            "listObjects",
            "List objects of one kind.",
            {200: ("Objects", "By id; without those that were deleted.")},
            codes=({400: ("kind_invalid",)}, OF_PAGES),
            parameters=PAGES,
        ),
    },
    "/api/v1/objects/{kind}/{id}": {
        "parameters": [KIND, ID, COMMUNITY_QUERY],
        "get": operation(
            "getObject",
            "Tell what is known of an object, which slots it has, and what is in them.",
            {200: ("Object", "As it is now.")},
            refused=(errors.ObjectNotFound,),
            codes=(OF_OBJECT,),
            tells=("ETag",),
        ),
        "put": operation(
            "registerObject",
            "Make an object known, or change its attributes.",
            {200: ("Object", "It is known; the same attributes again change nothing.")},
            refused=(errors.SlotChanged, errors.SlotBusy, errors.OutOfSpace),
            codes=(OF_OBJECT, OF_DOCUMENT, OF_CONDITIONS),
            content={_JSON: {"type": "object", "description": "The attributes, all of them; 64 KiB at most."}},
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
        "delete": operation(
            "deleteObject",
            "Forget an object; what is in its slots leaves them.",
            {204: (None, "It is forgotten.")},
            refused=(errors.ObjectNotFound, errors.SlotChanged, errors.SlotBusy, errors.OutOfSpace),
            codes=(OF_OBJECT, OF_CONDITIONS),
            parameters=CONDITIONS,
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}": {
        "parameters": [KIND, ID, SLOT, COMMUNITY_QUERY],
        "get": operation(
            "getSlot",
            "Tell what is and was in a slot.",
            {200: ("Slot", "What is in it, described, in its order, and what was, newest first; an ETag, if it was ever used.")},
            refused=(errors.ObjectNotFound, errors.SlotUnknown),
            codes=(OF_SLOT,),
            tells=("ETag",),
        ),
        "put": operation(
            "reorderSlot",
            "Change the order of a slot.",
            {200: ("Slot", "It has this order.")},
            refused=CHANGE,
            codes=(OF_SLOT, OF_DOCUMENT, OF_MEMBERS, OF_CONDITIONS, {400: ("order_invalid",)}),
            content={_JSON: ref_of("Order")},
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
        "delete": operation(
            "emptySlot",
            "Empty a slot; what was in it is kept for its grace.",
            {200: ("Slot", "It is empty.")},
            refused=CHANGE,
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/attachments/{key}": {
        "parameters": [KIND, ID, SLOT, KEY, COMMUNITY_QUERY],
        "put": operation(
            "attach",
            "Attach; in a slot of one, instead of what is there.",
            {200: ("Slot", "The attachment is in the slot; one that was there already stays where it is.")},
            refused=ATTACH,
            codes=(OF_SLOT, OF_DOCUMENT, OF_MEMBERS, OF_CONDITIONS, {400: ("place_invalid",), 503: ("images_busy",)}),
            content={_JSON: ref_of("Place")},
            needs_content=False,
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
        "delete": operation(
            "detach",
            "Detach; the attachment is kept for the grace of the slot.",
            {200: ("Slot", "It is not in the slot any more.")},
            refused=(*CHANGE, errors.NotAttached),
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/undo": {
        "parameters": [KIND, ID, SLOT, COMMUNITY_QUERY],
        "post": operation(
            "undo",
            "Put back what left the slot last: all that one request took out, but for what was deleted since.",
            {200: ("Slot", "It is where it was.")},
            refused=(*CHANGE, errors.NothingToUndo),
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            tells=("ETag",),
        ),
    },
}
