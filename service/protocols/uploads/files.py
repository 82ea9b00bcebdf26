"""Chooses the dialect of a request at ``/files`` by its fields."""

from __future__ import annotations

import dataclasses

from holdfast.service.protocols.http.wire import Fields, ProtocolError, Request, Response, UploadDialect
from holdfast.service.protocols.uploads.resumable import Resumable
from holdfast.service.protocols.uploads.tus import VERSION, Tus
from holdfast.service.protocols.uploads.undeclared import Undeclared

TUS = Tus()
RESUMABLE = Resumable()
UNDECLARED = Undeclared()

COLLECTION = "POST, PUT, OPTIONS"
ENTRY = "HEAD, GET, PATCH, DELETE, OPTIONS"
OVERRIDES = ("PATCH", "DELETE", "HEAD", "PUT")
# Fields of tus: a request with one of these but without Tus-Resumable gets the 412 of tus, unless it has fields of the draft.
TUS_FIELDS = ("upload-metadata", "upload-defer-length", "upload-concat", "upload-checksum")


def overridden(request: Request) -> Request:
    """
    Return *request* with the method in X-HTTP-Method-Override.

    tus: "the header's value MUST be used as the request's method … the actual method of the request MUST be ignored."  Clients
    that cannot send PATCH or DELETE send POST.  Other methods are not overridden, because intermediaries and browsers rely on
    them: a HEAD has no content, a GET changes nothing.

    :raises ProtocolError: the field overrides another method, or names one that is not allowed.
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
            message = f"X-HTTP-Method-Override can only turn a POST into {', '.join(OVERRIDES)}; send other methods directly"
            raise ProtocolError(400, "override_not_allowed", message)
    return dataclasses.replace(request, method=method)


def dialect_of(request: Request) -> UploadDialect:
    """Return the dialect of *request*."""
    fields = request.fields
    # Tus-Resumable first: some tus clients send fields of the draft as well.
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
    return UNDECLARED


def is_download(request: Request) -> bool:
    """Say whether *request* is a plain GET of the content."""
    return request.method == "GET" and request.key is not None and "upload-draft-interop-version" not in request.fields


def is_head_of_download(request: Request) -> bool:
    """Say whether *request* is a HEAD of what a plain GET would download."""
    return request.method == "HEAD" and dialect_of(request) is UNDECLARED


def options(request: Request) -> Response:
    """Return the response to OPTIONS, which describes both protocols."""
    allow = ("Allow", COLLECTION if request.key is None else ENTRY)
    return Response(status=204, fields=(*TUS.options(request), *RESUMABLE.options(request), allow))


def download_fields(request: Request) -> Fields:
    """Return the additional fields of a download for tus clients."""
    return (("Tus-Resumable", VERSION),) if "tus-resumable" in request.fields else ()
