"""A kind's model → its CustomResourceDefinition.

Structural schemas (apiextensions.k8s.io/v1) are narrower than the JSON schema that pydantic writes: references are
put in place, ``X | None`` is X that may be absent, and what the API server refuses is left out or refused here.
"""

from __future__ import annotations

from typing import Any

from ..resources.common import GROUP, VERSION, Column, Kind

Schema = dict[str, Any]
_NOISE = ("title", "discriminator", "$defs")


def definition(kind: Kind[Any]) -> Schema:
    """The CustomResourceDefinition of one kind."""
    singular = kind.name.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": [kind.short_name],
                "categories": ["dataguardian"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _root(kind: Kind[Any]) -> Schema:
    generated = kind.model.model_json_schema(by_alias=True)
    definitions = generated["$defs"]
    root: Schema = {
        "type": "object",
        "description": _flat(kind.model.__doc__ or ""),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema."},
            "kind": {"type": "string", "description": "Kind of the object."},
            "metadata": {"type": "object"},
            "spec": structural(generated["properties"]["spec"], definitions),
            "status": structural(generated["properties"]["status"], definitions),
        },
    }
    if kind.rules:
        root["x-kubernetes-validations"] = list(kind.rules)
    return root


def _column(column: Column) -> Schema:
    entry: Schema = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.priority:
        entry["priority"] = column.priority
    return entry


def structural(schema: Schema, definitions: Schema) -> Schema:
    """The schema as a structural one. Raises ValueError for what has no structural form."""
    schema = _in_place(schema, definitions)
    if schema.get("default", "") is None:
        del schema["default"]
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {key: value for key, value in schema.items() if key not in ("additionalProperties", *_NOISE)}
    if "anyOf" in schema or "oneOf" in schema or "prefixItems" in schema:
        raise ValueError(f"no structural form: {schema}")
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if "description" in schema:
        schema["description"] = _flat(schema["description"])
    _go_down(schema, definitions)
    return {key: value for key, value in schema.items() if key not in _NOISE}


def _go_down(schema: Schema, definitions: Schema) -> None:
    """Make the schemas inside this one structural too."""
    if "properties" in schema:
        schema["properties"] = {name: structural(value, definitions) for name, value in schema["properties"].items()}
        if "default" in schema:
            # Whole, because rules are checked against it as it stands here.
            schema["default"] = {name: value for name, value in schema["default"].items() if value is not None}
    if "items" in schema:
        schema["items"] = structural(schema["items"], definitions)
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = structural(schema["additionalProperties"], definitions)
    else:
        schema.pop("additionalProperties", None)


def _in_place(schema: Schema, definitions: Schema) -> Schema:
    """The schema with its reference, and its one alternative beside null, put in place."""
    schema = dict(schema)
    if "anyOf" in schema:
        alternatives = [option for option in schema.pop("anyOf") if option != {"type": "null"}]
        if len(alternatives) != 1:
            raise ValueError(f"a union has no structural form: {alternatives}")
        schema = {**_in_place(alternatives[0], definitions), **schema}
    if "$ref" in schema:
        name = schema.pop("$ref").removeprefix("#/$defs/")
        schema = {**_in_place(definitions[name], definitions), **schema}
    return schema


def _flat(text: str) -> str:
    return " ".join(text.split())
