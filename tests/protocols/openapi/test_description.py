"""
The description of the routes in JSON: it names every one of them, and nothing else.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

import pytest

from holdfast.service.protocols.openapi.description import DOCUMENT, PATHS
from holdfast.service.protocols.openapi.schemas import SCHEMAS
from servers.process import ROOT
from tests.protocols.service import Serve

# Routes of the JSON dialects besides the native ones, as the table of routes writes them.
OTHERS = {
    "/.api2/api/v1/communities/{community}/attachments",
    "/.api2/api/v1/communities/{community}/attachments/uploads/{key}",
    "/.api2/api/v1/communities/{community}/attachments/{key}/association/{object}",
    "/.api2/api/v1/communities/{community}/objects/{object}/attachments",
    "/.api/api.svc/attachments/{key}/view",
    "/profile-manager/v1/groups/{group}",
    "/profile-manager/v1/groups/{group}/avatar",
    "/organization/group/{group}/profile",
    "/v3/organization/group/{group}/profile",
}
VERBS = {"get", "put", "post", "patch", "delete"}


async def test_every_route_is_described(serve: Serve) -> None:
    """Paths and methods are those of the routes."""
    native = (await serve()).native()
    assert {*native, *OTHERS} == set(PATHS)
    for path, verbs in native.items():
        assert {verb.lower() for verb in verbs} == VERBS & set(PATHS[path]), path


OPERATIONS = {f"{verb} {path}": operation for path, item in PATHS.items() for verb, operation in item.items() if verb in VERBS}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_status_says_what_it_means(operation: dict[str, Any]) -> None:
    """Each refusal tells its codes, and each of these stands in the table of errors."""
    documented = (ROOT / "service" / "protocols" / "README.md").read_text()
    for status, answer in operation["responses"].items():
        codes = re.findall(r"^- `(\w+)`", answer["description"], re.MULTILINE)

        assert answer["description"]
        assert bool(codes) == (int(status) >= 400)
        assert all(f"`{code}`" in documented for code in codes), codes


def test_version() -> None:
    """The version is that of the distribution."""
    assert importlib.metadata.version("holdfast") == DOCUMENT["info"]["version"]


def test_operations_differ() -> None:
    """Each has a name of its own, and what it may be refused with is not the same everywhere."""
    assert len(OPERATIONS) == len({operation["operationId"] for operation in OPERATIONS.values()})
    assert len({tuple(operation["responses"]) for operation in OPERATIONS.values()}) > 10


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/objects/user/1/", "/openapi.json"])
async def test_what_nobody_speaks_at(serve: Serve, path: str) -> None:
    """URLs of nobody answer with the problem details of all others."""
    response = await (await serve()).send("POST", path)

    assert response.json().keys() == SCHEMAS["Problem"]["properties"].keys()
    assert (response.status_code, response.json()["title"]) in ((404, "not_found"), (405, "method_not_allowed"))


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


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_operation_has_its_protocol(operation: dict[str, Any]) -> None:
    """A tag names the protocol, as tools group operations by it."""
    assert 1 == len(operation["tags"])


def test_documents_are_described() -> None:
    """Models tell types of events, bounds and examples; what has only certain members says so."""
    event, link = SCHEMAS["Event"], SCHEMAS["NewLink"]

    assert {"attachment.attached", "upload.lost"} <= set(event["properties"]["type"]["enum"])
    assert ["attachment.attached"] == event["properties"]["type"]["examples"]
    assert (1, ["purpose"]) == (link["properties"]["seconds"]["minimum"], link["required"])
    assert not event["additionalProperties"]
    assert not link["additionalProperties"]
    assert {"name", "contentType", "length"}.isdisjoint(SCHEMAS["Attached"]["required"])
