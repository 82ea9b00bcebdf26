"""
Who speaks at ``/files``: the fields of a request decide.
"""

from __future__ import annotations

import dataclasses

from holdfast.service.protocols.http.wire import Fields, ProtocolError, Request, Response, UploadDialect
from holdfast.service.protocols.uploads.resumable import Resumable
from holdfast.service.protocols.uploads.tus import VERSION, Tus
from holdfast.service.protocols.uploads.unspoken import Unspoken

TUS = Tus()
RESUMABLE = Resumable()
UNSPOKEN = Unspoken()

COLLECTION = "POST, PUT, OPTIONS"
ENTRY = "HEAD, GET, PATCH, DELETE, OPTIONS"
OVERRIDES = ("PATCH", "DELETE", "HEAD", "PUT")
# Fields of tus; without Tus-Resumable, and without those that tell the draft's requests, they get its answer to that.
TUS_FIELDS = ("upload-metadata", "upload-defer-length", "upload-concat", "upload-checksum")


def overridden(request: Request) -> Request:
    """
    Return *request* with the method that is meant.

    tus, X-HTTP-Method-Override: "the header's value MUST be used as the request's method … the actual method of the request MUST
    be ignored."  It is for clients that cannot send PATCH or DELETE, and they send POST.  Of any other method intermediaries and
    browsers have made up their minds (that a HEAD has no content, that a GET changes nothing), so it stays what it is.

    :raises ProtocolError: the field asks for anything else.
    """
    value = request.fields.get("x-http-method-override")
    if value is None:
        return request
    method = value.strip(" \t").upper()
    if method == request.method:
        return request
    if method != "OPTIONS":  # "except for OPTIONS requests", says tus of Tus-Resumable
        if "tus-resumable" not in request.fields:
            return request  # only tus has this field
        if request.method != "POST" or method not in OVERRIDES:
            message = f"X-HTTP-Method-Override only makes a POST one of {', '.join(OVERRIDES)}; send another method as it is"
            raise ProtocolError(400, "override_not_allowed", message)
    return dataclasses.replace(request, method=method)


def dialect_of(request: Request) -> UploadDialect:
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
    if "partial-upload" in fields.get("content-type", ""):
        return RESUMABLE
    if request.method in ("POST", "PATCH") and ("upload-length" in fields or "upload-offset" in fields):
        return TUS
    return UNSPOKEN


def is_download(request: Request) -> bool:
    """
    Say whether *request* is a plain GET of the content.
    """
    return request.method == "GET" and request.key is not None and "upload-draft-interop-version" not in request.fields


def asks_about_content(request: Request) -> bool:
    """
    Say whether *request* is the HEAD of what a plain GET would fetch.
    """
    return request.method == "HEAD" and dialect_of(request) is UNSPOKEN


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
