"""The schemas of JSON responses."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from holdfast.service.protocols.native.documents import DOCUMENTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}


def object_of(members: dict[str, Schema], *, optional: tuple[str, ...] = (), more: bool = False) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": more}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref_of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


class _ModelSchemas(GenerateJsonSchema):
    """No titles, and no additional members in responses."""

    def field_title_should_be_set(self, _schema: object) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name.removesuffix("Document"))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        described = {**super().typed_dict_schema(schema), "additionalProperties": False}
        del described["title"]
        return described


def _native() -> dict[str, Schema]:
    models: list[tuple[type, Literal["validation"], TypeAdapter[Any]]] = [
        (document, "validation", TypeAdapter(document)) for document in DOCUMENTS
    ]
    _, described = TypeAdapter.json_schemas(models, ref_template="#/components/schemas/{model}", schema_generator=_ModelSchemas)
    schemas: dict[str, Schema] = described["$defs"]
    return schemas


_SIZES = list_of(object_of({"size": TEXT, "url": TEXT}))

SCHEMAS: dict[str, Schema] = {
    **_native(),
    "Refusal": object_of({"code": TEXT, "message": TEXT}, more=True),
    "Entry": object_of(
        {
            "key": TEXT,
            "name": MAYBE_TEXT,
            "contentType": MAYBE_TEXT,
            "contentLength": {"type": ["integer", "null"]},
            "binaryLocation": MAYBE_TEXT,
            "thumbnailLocation": MAYBE_TEXT,
            "isProfilePhoto": {"type": "boolean"},
            "offset": COUNT,
            "nextExpectedRanges": list_of(TEXT),
            "expiresAt": MAYBE_TEXT,
        },
        optional=("nextExpectedRanges", "expiresAt"),
    ),
    "View": object_of({"response": ref_of("Entry")}),
    "Entries": object_of({"items": list_of(ref_of("Entry"))}),
    "Group": object_of(
        {"id": TEXT, "eTag": TEXT, "profile": object_of({"avatars": _SIZES}, more=True)},
        more=True,
    ),
    "GroupPicture": object_of(
        {
            "id": TEXT,
            "name": {},
            "picture": object_of({"url": TEXT, "sizes": {"type": "object", "additionalProperties": TEXT}})
            | {"type": ["object", "null"]},
        }
    ),
}
