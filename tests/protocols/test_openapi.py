"""
The description of the routes in JSON: it names every one of them, and nothing else.
"""

from __future__ import annotations

import re

import pytest

from service.asgi.routes import NATIVE
from service.protocols.openapi import DOCUMENT, PATHS
from tests.protocols.service import Serve

# Routes of the JSON dialects besides the native ones, as the table of routes writes them.
OTHERS = {
    "/.api2/api/v1/communities/{community}/attachments",
    "/.api2/api/v1/communities/{community}/attachments/{key}/association/{object}",
    "/.api2/api/v1/communities/{community}/objects/{object}/attachments",
    "/profile-manager/v1/groups/{group}",
    "/profile-manager/v1/groups/{group}/avatar",
    "/organization/group/{group}/profile",
    "/v3/organization/group/{group}/profile",
}
VERBS = {"get", "put", "post", "patch", "delete"}


def test_every_route_is_described() -> None:
    """Paths and methods are those of the routes."""
    assert {*NATIVE, *OTHERS} == set(PATHS)
    for path, resource in NATIVE.items():
        assert {verb.lower() for verb in resource.verbs} == VERBS & set(PATHS[path]), path


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_described_is_there(serve: Serve, path: str) -> None:
    """Each route knows the methods that are described, and says so."""
    service = await serve()
    target = re.sub(r"\{[a-z]+\}", "1", path.replace("{key}", "nobodysKey"))
    options = await service.send("OPTIONS", target)
    allowed = {method.strip().lower() for method in options.headers["Allow"].split(",")}

    assert 204 == options.status_code
    assert VERBS & set(PATHS[path]) <= allowed
    for verb in VERBS - allowed:
        assert 405 == (await service.send(verb.upper(), target)).status_code


async def test_served(serve: Serve) -> None:
    """Everybody may read it."""
    response = await (await serve()).send("GET", "/openapi.json")

    assert (200, DOCUMENT) == (response.status_code, response.json())
