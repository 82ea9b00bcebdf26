"""
Examples of what is sent and answered: by the name of a schema, or of the operation whose request it is.
"""

from __future__ import annotations

from typing import Any

_KEY = "4Fq0aXw9Zk"
_GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
_TIME = "2026-11-28T07:40:00.000Z"
_IMAGE = "R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
_AVATAR = f"/avatars/1/150/{_KEY}/{_KEY}.png"
_ASSOCIATION = {"key": _KEY, "association": "a1", "attachedAt": _TIME, "attachedBy": None}
_OBJECT = {"kind": "user", "id": _GUID, "etag": "e1", "attributes": {"name": "Kelp"}, "createdAt": _TIME, "updatedAt": _TIME} | {
    "updatedBy": None
}
_ENTRY = {
    "key": _KEY,
    "name": "photo.gif",
    "contentType": "image/gif",
    "contentLength": 43,
    "binaryLocation": f"/.api2/binaries/{_KEY}/download/photo.gif",
    "thumbnailLocation": f"/.api2/binaries/{_KEY}/thumbnails/photo.gif",
    "isProfilePhoto": False,
    "offset": 43,
}
_EVENT: dict[str, Any] = {
    "id": "e1",
    "type": "attachment.attached",
    "at": _TIME,
    "actor": None,
    "originator": None,
    "attachment": _KEY,
    "kind": "user",
    "objectId": _GUID,
    "slot": "ProfilePhoto",
    "data": {},
    "cursor": "c1",
}

EXAMPLES: dict[str, Any] = {
    "createEntry": {"Name": "photo.gif", "ContentType": "image/gif", "ContentLength": 43},
    "setGroupPicture": {"picture": f"data:image/gif;base64,{_IMAGE}"},
    "setGroupPictureV3": {"picture": _IMAGE},
    "setGroupAvatar": {"image": _IMAGE},
    "makeLink": {"purpose": "view", "seconds": 60},
    "registerObject": {"name": "Kelp"},
    "reorderSlot": {"order": [_KEY]},
    "attach": {"place": 0},
    "Problem": {
        "type": "about:blank",
        "title": "query_invalid",
        "status": 400,
        "detail": "the query is malformed",
    },
    "Refusal": {"code": "query_invalid", "message": "the query is malformed"},
    "Attachment": {
        "key": _KEY,
        "state": "complete",
        "name": "photo.gif",
        "contentType": "image/gif",
        "contentEncoding": None,
        "offset": 43,
        "length": 43,
        "createdAt": _TIME,
        "createdBy": None,
        "expiresAt": None,
        "attached": [{"kind": "user", "id": _GUID, "slot": "ProfilePhoto"}],
    },
    "Link": {"purpose": "view", "link": "eyJ", "url": f"/files/{_KEY}?link=eyJ", "expiresAt": _TIME},
    "Events": {"items": [_EVENT], "next": "c1", "more": False},
    "Objects": {"items": [_OBJECT], "next": None},
    "Object": {**_OBJECT, "slots": {"ProfilePhoto": {"etag": "e2", "attachments": [_ASSOCIATION]}}},
    "Slot": {
        "kind": "user",
        "id": _GUID,
        "slot": "ProfilePhoto",
        "etag": "e2",
        "attachments": [{**_ASSOCIATION, "name": "photo.gif", "contentType": "image/gif", "length": 43}],
        "history": [{**_ASSOCIATION, "endedAt": _TIME, "endedBy": None, "ending": "replaced"}],
    },
    "Entry": _ENTRY,
    "View": {"response": _ENTRY},
    "Entries": {"items": [_ENTRY]},
    "Group": {"id": _GUID, "eTag": "e2", "profile": {"avatars": [{"size": "150", "url": _AVATAR}]}},
    "GroupPicture": {"id": _GUID, "name": "Surveyors", "picture": {"url": _AVATAR, "sizes": {"150": _AVATAR}}},
}
