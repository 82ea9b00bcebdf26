"""
Which URL speaks which dialect: one table.
"""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.asgi.download import download
from service.asgi.driver import Driver
from service.asgi.health import Health
from service.protocols import files
from service.protocols.association import Association
from service.protocols.content_range import ContentRange
from service.protocols.native import NativeObject
from service.protocols.wire import ObjectDialect, ProtocolError, Request, Response, SlotDialect, UploadDialect
from storage.records import ObjectRef, Tenant

MAX_COMMUNITY_DIGITS = 18


class Files:
    """
    ``/files`` and ``/files/{key}``: tus, the IETF draft and downloads, told apart by their fields.
    """

    def __init__(self, driver: Driver, tenant: Tenant) -> None:
        self._driver = driver
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        request = files.overridden(self._driver.request(scope, tenant=self._tenant, key=key))
        dialect: UploadDialect = files.speaker(request)
        if request.method == "OPTIONS":
            dialect = Answered(files.options(request), dialect)
        elif files.is_download(request):
            fields = files.download_fields(request)
            refusal = await download(self._driver, dialect, request, scope, receive, send, fields=fields)
            if refusal is None:
                return
            dialect = Answered(refusal, dialect)
        keyed = key is not None and request.method != "OPTIONS"
        await self._driver.exchange(dialect, self._driver.perform, request, scope, receive, send, keyed=keyed)


class Attachments:
    """
    The entries of the attachments API, and their associations; each community is a tenant.
    """

    def __init__(self, driver: Driver, dialect: ContentRange) -> None:
        self._driver = driver
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        driver, community, key = self._driver, scope["path_params"]["community"], _key(scope)
        request = driver.request(scope, tenant=Tenant(community), key=key)
        if not _is_community_key(community):
            error = ProtocolError(400, "community_key_invalid", "communityKey has to be an integer")
            answered: UploadDialect = Answered(self._dialect.reject(request, error), self._dialect)
            await driver.exchange(answered, driver.perform, request, scope, receive, send, keyed=False)
        elif "object" in scope["path_params"]:
            association: SlotDialect = Association(self._dialect, scope["path_params"]["object"].removesuffix("/"))
            await driver.exchange(association, driver.perform_on_slot, request, scope, receive, send, keyed=True)
        else:
            dialect: UploadDialect = self._dialect
            await driver.exchange(dialect, driver.perform, request, scope, receive, send, keyed=key is not None)


class Objects:
    """
    The objects of other systems, in JSON.
    """

    def __init__(self, driver: Driver, tenant: Tenant) -> None:
        self._driver = driver
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        driver, names, tenant = self._driver, scope["path_params"], _tenant(scope, self._tenant)
        request = driver.request(scope, tenant=tenant, key=None)
        dialect: ObjectDialect = NativeObject(ObjectRef(tenant=tenant, kind=names["kind"], id=names["id"].removesuffix("/")))
        await driver.exchange(dialect, driver.perform_on_object, request, scope, receive, send, keyed=False)


class Binaries:
    """
    Downloads under the URLs that the attachments API tells; the file name at the end is for show.
    """

    def __init__(self, driver: Driver, dialect: UploadDialect, tenant: Tenant) -> None:
        self._driver = driver
        self._dialect = dialect
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant = _tenant(scope, self._tenant)
        request = self._driver.request(scope, tenant=tenant, key=scope["path_params"]["key"])
        if request.method not in ("GET", "HEAD"):
            error = ProtocolError(405, "method_not_allowed", "binaries are only read", (("Allow", "GET, HEAD"),))
            refusal: Response | None = self._dialect.reject(request, error)
        else:
            refusal = await download(self._driver, self._dialect, request, scope, receive, send)
        if refusal is not None:
            answered = Answered(refusal, self._dialect)
            await self._driver.exchange(answered, self._driver.perform, request, scope, receive, send, keyed=False)


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


def routes(driver: Driver, health: Health, tenant: Tenant) -> list[Route]:
    """
    Return the table; a slash at the end makes no difference.
    """
    uploads = Files(driver, tenant)
    dialect = ContentRange(tenant)
    attachments, binaries = Attachments(driver, dialect), Binaries(driver, dialect, tenant)
    community = "/.api2/api/v1/communities/{community}/attachments"
    # A key is whatever stands there: what cannot be one is refused in the words of the dialect, not by the router.
    table: dict[str, ASGIApp] = {
        "/files": uploads,
        "/files/": uploads,
        "/files/{key:path}": uploads,
        community: attachments,
        community + "/": attachments,
        community + "/uploads/{key:path}": attachments,
        community + "/{key}/association/{object:path}": attachments,
        "/.api2/binaries/{key}/download/{name:path}": binaries,
        "/api/v1/objects/{kind}/{id:path}": Objects(driver, tenant),
    }
    all_methods = [Route(path, endpoint) for path, endpoint in table.items()]
    return [*all_methods, Route("/healthz", health.alive), Route("/readyz", health.ready)]


async def not_found(_request: StarletteRequest, error: Exception) -> StarletteResponse:
    """
    Answer for URLs that nobody speaks at (RFC 9457).
    """
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "something went wrong on our side"
    document = {"type": "about:blank", "title": detail, "status": status}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def _key(scope: Scope) -> str | None:
    key: str | None = scope["path_params"].get("key")
    return None if key is None else key.removesuffix("/")


def _tenant(scope: Scope, default: Tenant) -> Tenant:
    """Return the tenant of a URL that names it in its query, if it does."""
    community = QueryParams(scope["query_string"]).get("communityKey")
    return default if community is None else Tenant(community)


def _is_community_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_COMMUNITY_DIGITS and str(int(text)) == text
