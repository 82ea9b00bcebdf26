"""
Requests whose answer is known before the core is asked.
"""

from __future__ import annotations

import dataclasses

from holdfast.service.protocols.http.wire import Request, Response, UploadDialect


class Answered:
    """A dialect whose answer is known already."""

    def __init__(self, response: Response, dialect: UploadDialect) -> None:
        self._response = response
        self.send = dialect.send
        self.reject = dialect.reject

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, _request: Request) -> Response:
        return self._response


def unasked(request: Request) -> Request:
    """
    Return a request that was answered already, so that its token is not verified again.
    """
    return dataclasses.replace(request, answered=True)
