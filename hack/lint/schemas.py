"""JSON schemas of Kubernetes' kinds and of our own, for kubeconform, made from files on this machine.

Strict: a field that the kind does not have is an error, as with ``kubectl apply --validate=strict``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
_REF = "#/definitions/"
# Both are strings in the API's description, yet take a number in YAML.
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def file_name(kind: str, api_version: str) -> str:
    """As kubeconform fills ``{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}``: the core group is its version."""
    group, _, version = api_version.rpartition("/")
    return f"{kind.lower()}-{group or version}-{version}.json"


def write_kubernetes(swagger: Path, folder: Path) -> None:
    """One file for each kind of the API's description."""
    definitions = {name: _strict(schema) for name, schema in json.loads(swagger.read_text())["definitions"].items()}
    definitions[_QUANTITY] = {"type": ["string", "number"]}
    definitions[_INT_OR_STRING] = {"type": ["string", "integer"]}
    for name, schema in definitions.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # Options of requests belong to every group; nobody writes them in a manifest.
        if len(kinds) != 1:
            continue
        group, version, kind = kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]
        needed = {part: definitions[part] for part in _closure(name, definitions)}
        root = _with_type(schema, kind, f"{group}/{version}" if group else version)
        _write(folder / file_name(kind, f"{group}/{version}" if group else version), {**root, "definitions": needed})


def write_custom(definition: Path, folder: Path) -> None:
    """One file for each version of a CustomResourceDefinition."""
    spec = yaml.safe_load(definition.read_text())["spec"]
    for version in spec["versions"]:
        kind, api_version = spec["names"]["kind"], f"{spec['group']}/{version['name']}"
        schema = _strict(version["schema"]["openAPIV3Schema"])
        _write(folder / file_name(kind, api_version), _with_type(schema, kind, api_version))


def _strict(schema: Any) -> Any:
    """The schema in which an object with named properties has no others."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


def _with_type(schema: Schema, kind: str, api_version: str) -> Schema:
    properties = {**schema["properties"], "kind": {"const": kind}, "apiVersion": {"const": api_version}}
    required = {*schema.get("required", []), "kind", "apiVersion", "metadata"} & properties.keys()
    return {**schema, "properties": properties, "required": sorted(required)}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _closure(name: str, definitions: Schema) -> set[str]:
    """The definitions that this one needs."""
    seen: set[str] = set()
    waiting = list(_references(definitions[name]))
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting.extend(_references(definitions[part]))
    return seen


def _write(path: Path, schema: Schema) -> None:
    path.write_text(json.dumps(schema, separators=(",", ":")))
