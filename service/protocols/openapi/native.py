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
            "Get an upload or attachment.",
            {200: ("Attachment", "The attachment.")},
            refused=GONE,
        ),
        "delete": operation(
            "deleteAttachment",
            "Delete an attachment that is in no slot, or cancel an upload.",
            {204: (None, "The attachment and its content are deleted.")},
            refused=(*GONE, errors.UploadAttached, errors.Evicted, errors.OutOfSpace),
        ),
    },
    "/api/v1/attachments/{key}/events": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "get": operation(
            "getAttachmentEvents",
            "List the events of an attachment, even a deleted one.",
            {200: ("Events", "Oldest first; pass `next` as `after` to continue, now if `more` is true, else later.")},
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
            {201: ("Link", "The link, and when it expires.")},
            refused=GONE,
            codes=(OF_DOCUMENT, OF_MEMBERS, {400: ("purpose_invalid", "seconds_invalid")}),
            content={_JSON: ref_of("NewLink")},
            description="The client sends `link` as the parameter `link` of a URL.  For `view` and `upload`, `url` is the URL of "
            "the download or upload; for `attach` it is null, because any request that attaches can have the link.",
        ),
    },
    "/api/v1/events": {
        "parameters": [COMMUNITY_QUERY],
        "get": operation(
            "getEvents",
            "List the events of a tenant.",
            {200: ("Events", "Oldest first; pass `next` as `after` to continue, now if `more` is true, else later.")},
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
            {200: ("Objects", "The objects by id, without deleted ones.")},
            codes=({400: ("kind_invalid",)}, OF_PAGES),
            parameters=PAGES,
        ),
    },
    "/api/v1/objects/{kind}/{id}": {
        "parameters": [KIND, ID, COMMUNITY_QUERY],
        "get": operation(
            "getObject",
            "Get an object, its slots, and the attachments in them.",
            {200: ("Object", "The object.")},
            refused=(errors.ObjectNotFound,),
            codes=(OF_OBJECT,),
            fields=("ETag",),
        ),
        "put": operation(
            "registerObject",
            "Register an object, or change its attributes.",
            {200: ("Object", "The object; the same attributes again change nothing.")},
            refused=(errors.SlotChanged, errors.SlotBusy, errors.OutOfSpace),
            codes=(OF_OBJECT, OF_DOCUMENT, OF_CONDITIONS),
            content={_JSON: {"type": "object", "description": "The attributes, all of them; 64 KiB at most."}},
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
        "delete": operation(
            "deleteObject",
            "Delete an object, and detach the attachments in its slots.",
            {204: (None, "The object is deleted.")},
            refused=(errors.ObjectNotFound, errors.SlotChanged, errors.SlotBusy, errors.OutOfSpace),
            codes=(OF_OBJECT, OF_CONDITIONS),
            parameters=CONDITIONS,
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}": {
        "parameters": [KIND, ID, SLOT, COMMUNITY_QUERY],
        "get": operation(
            "getSlot",
            "Get a slot and its history.",
            {200: ("Slot", "Attachments in their order, history newest first; with an ETag if the slot was ever used.")},
            refused=(errors.ObjectNotFound, errors.SlotUnknown),
            codes=(OF_SLOT,),
            fields=("ETag",),
        ),
        "put": operation(
            "reorderSlot",
            "Change the order of a slot.",
            {200: ("Slot", "The slot in its new order.")},
            refused=CHANGE,
            codes=(OF_SLOT, OF_DOCUMENT, OF_MEMBERS, OF_CONDITIONS, {400: ("order_invalid",)}),
            content={_JSON: ref_of("Order")},
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
        "delete": operation(
            "emptySlot",
            "Empty a slot; the server keeps its attachments for the retention of the slot.",
            {200: ("Slot", "The slot is empty.")},
            refused=CHANGE,
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/attachments/{key}": {
        "parameters": [KIND, ID, SLOT, KEY, COMMUNITY_QUERY],
        "put": operation(
            "attach",
            "Attach; in a slot for one attachment, this replaces the current one.",
            {200: ("Slot", "The attachment is in the slot; if it already was, its place does not change.")},
            refused=ATTACH,
            codes=(OF_SLOT, OF_DOCUMENT, OF_MEMBERS, OF_CONDITIONS, {400: ("place_invalid",), 503: ("images_busy",)}),
            content={_JSON: ref_of("Place")},
            needs_content=False,
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
        "delete": operation(
            "detach",
            "Detach; the server keeps the attachment for the retention of the slot.",
            {200: ("Slot", "The attachment is no longer in the slot.")},
            refused=(*CHANGE, errors.NotAttached),
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/undo": {
        "parameters": [KIND, ID, SLOT, COMMUNITY_QUERY],
        "post": operation(
            "undo",
            "Put back all attachments that the last request took out of the slot, except those deleted since.",
            {200: ("Slot", "The slot with these attachments.")},
            refused=(*CHANGE, errors.NothingToUndo),
            codes=(OF_SLOT, OF_CONDITIONS),
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    },
}
