"""Schemas: structural, described and bounded."""

from collections.abc import Iterator
from typing import Any

import pytest

from dataguardian.kube.crd import definition, structural
from dataguardian.resources import KINDS
from dataguardian.resources.common import Kind

Schema = dict[str, Any]
CASES = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def root(kind: Kind[Any]) -> Schema:
    schema: Schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    for name, value in schema.get("properties", {}).items():
        yield f"{path}.{name}", value
        yield from fields(value, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield f"{path}[]", schema[inner]
            yield from fields(schema[inner], f"{path}[]")


@CASES
def test_every_field_has_a_description(kind: Kind[Any]) -> None:
    bare = [
        path
        for path, field in fields(root(kind))
        if not path.endswith("[]") and path != ".metadata" and not field.get("description")
    ]

    assert bare == []


@CASES
def test_every_string_list_and_map_has_a_limit(kind: Kind[Any]) -> None:
    limits = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",)}
    unbounded = [
        path
        for path, field in fields(root(kind))
        if path not in (".apiVersion", ".kind")
        and field.get("type") in limits
        and not any(limit in field for limit in limits[field["type"]])
    ]
    maps = [
        path for path, field in fields(root(kind)) if "additionalProperties" in field and "maxProperties" not in field
    ]

    assert unbounded + maps == []


@CASES
def test_no_field_has_what_the_api_server_refuses(kind: Kind[Any]) -> None:
    refused = {"$ref", "anyOf", "oneOf", "const", "title", "discriminator", "prefixItems"}

    assert [path for path, field in fields(root(kind)) if refused & set(field)] == []


def test_a_union_is_refused_when_the_schema_is_made() -> None:
    with pytest.raises(ValueError, match="no structural form"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})


def test_short_names_are_not_taken_twice() -> None:
    names = [kind.short_name for kind in KINDS] + [kind.plural for kind in KINDS]

    assert len(set(names)) == len(names)
