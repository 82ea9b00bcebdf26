"""Requests at ``/files`` that declare no protocol, such as those of browsers."""

from __future__ import annotations

from holdfast.service.core.commands import Command
from holdfast.service.protocols.http.wire import ProtocolError, Request, Response, method_not_allowed
from holdfast.service.protocols.uploads.resumable import Resumable

TO_CREATE = (
    "the request names no upload protocol: send Tus-Resumable: 1.0.0 and Upload-Length (tus), or Upload-Complete: ?1 and the "
    "content (IETF draft for resumable uploads)"
)
TO_APPEND = (
    "the request names no upload protocol: send Tus-Resumable: 1.0.0, Upload-Offset and Content-Type: "
    "application/offset+octet-stream (tus), or Upload-Complete, Upload-Offset and Content-Type: application/partial-upload "
    "(IETF draft for resumable uploads)"
)


class Undeclared(Resumable):
    """Refuses creations and appends with instructions; other requests get responses of the newest draft."""

    def receive(self, request: Request) -> Command | Response:
        match request.method, request.key:
            case (("POST" | "PUT"), None):
                raise ProtocolError(400, "protocol_missing", TO_CREATE)
            case "PATCH", key if key is not None:
                raise ProtocolError(400, "protocol_missing", TO_APPEND)
            case (("GET" | "HEAD" | "DELETE"), key) if key is not None:
                return super().receive(request)
        raise method_not_allowed(request, collection="POST, PUT, OPTIONS", entry="HEAD, GET, PATCH, DELETE, OPTIONS")
