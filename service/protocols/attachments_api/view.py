"""The request of the older Igloo API with which its client pyigloo reads an attachment."""

from __future__ import annotations

from holdfast.service.core.commands import GetAttachment, Outcome
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.attachments_api.uploads import AttachmentUploads, to_response
from holdfast.service.protocols.http.wire import ProtocolError, Request, Response
from holdfast.storage.records import Ref

METHODS = "GET, HEAD, OPTIONS"


class AttachmentView:
    """
    The dialect of ``/.api/api.svc//attachments/{key}/view``.

    The response is the document of the attachments API in an envelope: ``{"response": {…}}``.
    """

    def __init__(self, content_range: AttachmentUploads) -> None:
        self._content_range = content_range

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> GetAttachment | Response:
        if request.method == "OPTIONS":
            return Response(status=204, fields=(("Allow", METHODS),))
        if request.method not in ("GET", "HEAD") or request.key is None:
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (("Allow", METHODS),))
        return GetAttachment(ref=Ref(tenant=request.tenant, key=request.key))

    def send(self, request: Request, _command: GetAttachment, outcome: Outcome) -> Response:
        return to_response(200, {"response": self._content_range.document(request, outcome.record)})

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        return self._content_range.reject(request, error)
