"""
Requests at ``/files`` that name no protocol: a browser's, or those of somebody who tries the service out.
"""

from __future__ import annotations

from holdfast.service.core.commands import Command
from holdfast.service.protocols.http.wire import ProtocolError, Request, Response, method_not_allowed
from holdfast.service.protocols.uploads.resumable import Resumable

TO_CREATE = (
    "say how you upload: send Tus-Resumable: 1.0.0 and Upload-Length (tus), or Upload-Complete: ?1 and the content "
    "(IETF draft for resumable uploads)"
)
TO_APPEND = (
    "say how you append: send Tus-Resumable: 1.0.0, Upload-Offset and Content-Type: application/offset+octet-stream (tus), or "
    "Upload-Complete, Upload-Offset and Content-Type: application/partial-upload (IETF draft for resumable uploads)"
)


class Unspoken(Resumable):
    """
    Tells how to upload; what is asked of an upload that is there, the newest draft answers, whose fields nobody has to send.
    """

    def receive(self, request: Request) -> Command | Response:
        match request.method, request.key:
            case (("POST" | "PUT"), None):
                raise ProtocolError(400, "protocol_missing", TO_CREATE)
            case "PATCH", key if key is not None:
                raise ProtocolError(400, "protocol_missing", TO_APPEND)
            case (("GET" | "HEAD" | "DELETE"), key) if key is not None:
                return super().receive(request)
        raise method_not_allowed(request, collection="POST, PUT, OPTIONS", entry="HEAD, GET, PATCH, DELETE, OPTIONS")
