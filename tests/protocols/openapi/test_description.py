"""
The description of the routes: it names every one of them, and nothing else.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.routing import Route

from holdfast.service.protocols.native.documents import DOCUMENTS
from holdfast.service.protocols.openapi.description import DOCUMENT, PATHS
from holdfast.service.protocols.openapi.examples import EXAMPLES
from holdfast.service.protocols.openapi.schemas import SCHEMAS
from servers.process import ROOT
from tests.protocols.service import Serve

VERBS = {"get", "put", "post", "patch", "delete"}
METHODS = {*VERBS, "head", "options"}


def described(path: str) -> str:
    """Return a path of the table of routes as OpenAPI writes it; the table has some twice, with one slash more."""
    return path.replace(":path}", "}").replace("svc//", "svc/").rstrip("/")


async def test_every_route_is_described(serve: Serve) -> None:
    """Paths and methods are those of the routes."""
    service = await serve()
    native = service.native()
    assert {described(route.path) for route in service.app.routes if isinstance(route, Route)} == set(PATHS)
    for path, verbs in native.items():
        assert {verb.lower() for verb in verbs} == VERBS & set(PATHS[path]), path


OPERATIONS = {f"{verb} {path}": operation for path, item in PATHS.items() for verb, operation in item.items() if verb in METHODS}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_status_says_what_it_means(operation: dict[str, Any]) -> None:
    """Each refusal tells its codes, and each of these stands in the table of errors."""
    documented = (ROOT / "service" / "protocols" / "README.md").read_text()
    for status, answer in operation["responses"].items():
        codes = re.findall(r"^- `([\w-]+)`", answer["description"], re.MULTILINE)

        assert answer["description"]
        assert not codes or int(status) >= 400
        # Preconditions and ranges refuse without content, and the stores' health is no refusal.
        assert codes or int(status) < 400 or status in ("412", "416") or operation["operationId"] == "isReady"
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

    assert (204 if "options" in allowed else 405) == options.status_code
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
    (tag,) = operation["tags"]
    assert tag in {known["name"] for known in DOCUMENT["tags"]}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_document_has_an_example(operation: dict[str, Any]) -> None:
    """What is sent and answered in JSON is shown once, with the members that its schema names."""
    contents = [each.get("content", {}) for each in (operation.get("requestBody", {}), *operation["responses"].values())]
    for shown in (content["application/json"] for content in contents if "application/json" in content):
        schema, example = shown["schema"], shown.get("example", {})
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        assert "properties" not in schema or {*schema.get("required", ())} <= example.keys() <= {*schema["properties"]}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_examples_are_valid(document: type) -> None:
    """The models accept them."""
    name = document.__name__.removesuffix("Document")
    examples = {"NewLink": "makeLink", "Order": "reorderSlot", "Place": "attach"}
    TypeAdapter(document).validate_python(EXAMPLES[examples.get(name, name)])


def test_documents_are_described() -> None:
    """Models tell types of events, bounds and examples; what has only certain members says so."""
    event, link = SCHEMAS["Event"], SCHEMAS["NewLink"]

    assert {"attachment.attached", "upload.lost"} <= set(event["properties"]["type"]["enum"])
    assert ["attachment.attached"] == event["properties"]["type"]["examples"]
    assert (1, ["purpose"]) == (link["properties"]["seconds"]["minimum"], link["required"])
    assert not event["additionalProperties"]
    assert not link["additionalProperties"]
    assert {"name", "contentType", "length"}.isdisjoint(SCHEMAS["Attached"]["required"])
