"""
Who speaks at ``/files``: the fields of a request decide.
"""

from __future__ import annotations

import dataclasses

from service.protocols.resumable import Resumable
from service.protocols.tus import VERSION, Tus
from service.protocols.wire import Fields, Request, Response, UploadDialect

TUS = Tus()
RESUMABLE = Resumable()

COLLECTION = "POST, PUT, OPTIONS"
ENTRY = "HEAD, GET, PATCH, DELETE, OPTIONS"
# Fields of tus that no other dialect has; without Tus-Resumable they get its answer to that.
TUS_FIELDS = ("upload-metadata", "upload-defer-length", "upload-concat", "upload-checksum")


def overridden(request: Request) -> Request:
    """
    Return *request* with the method that is meant.

    tus, X-HTTP-Method-Override: "the header's value MUST be used as the request's method … the actual method of the request MUST
    be ignored."  Only tus has this field, for clients that cannot send PATCH.
    """
    method = request.fields.get("x-http-method-override")
    if method is None or "tus-resumable" not in request.fields:
        return request
    return dataclasses.replace(request, method=method.strip(" \t").upper())


def speaker(request: Request) -> UploadDialect:
    """
    Return the dialect of *request*.
    """
    fields = request.fields
    # Tus-Resumable first: some clients send the draft's fields with every upload, tus or not.
    if "tus-resumable" in fields:
        return TUS
    if "upload-complete" in fields or "upload-draft-interop-version" in fields:
        return RESUMABLE
    if any(name in fields for name in TUS_FIELDS) or "offset+octet-stream" in fields.get("content-type", ""):
        return TUS
    return TUS if request.method == "POST" else RESUMABLE


def is_download(request: Request) -> bool:
    """
    Say whether *request* is a plain GET of the content.
    """
    return request.method == "GET" and request.key is not None and "upload-draft-interop-version" not in request.fields


def options(request: Request) -> Response:
    """
    Return the one answer that discovers both protocols.
    """
    allow = ("Allow", COLLECTION if request.key is None else ENTRY)
    return Response(status=204, fields=(*TUS.options(request), *RESUMABLE.options(request), allow))


def download_fields(request: Request) -> Fields:
    """
    Return what a download has to say besides, to a client that speaks tus.
    """
    return (("Tus-Resumable", VERSION),) if "tus-resumable" in request.fields else ()
