"""The OpenAPI 3.1 document, made of the endpoints and their models: ``/api/openapi.json`` and ``docs/openapi.json``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from .. import __version__
from .endpoints import IDS, Endpoint
from .permissions import RIGHTS
from .problems import Problem
from .sse import EVENTS
from .starting import KEY, KEY_FORM

JSON = dict[str, Any]
Texts = Mapping[int, str]  # by HTTP status
REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = (
    "What DataGuardian did, does and will do, and the ways to ask it for more. Callers are users and service accounts "
    "of the cluster, and may do here what its RBAC lets them do there."
)
JSON_TYPE = "application/json"
PROBLEM = "application/problem+json"
TEXT = {"schema": {"type": "string"}}
NOT_READ, NO_HTTP = HTTPStatus.BAD_REQUEST, {"text/plain": TEXT}
HEADERS = {
    "If-None-Match": "The `ETag` of an answer that is known: 304 when it still holds.",
    KEY: "Any text; sent again with the same request, it gives the same execution.",
    "Last-Event-ID": "Of a stream: the `id` of the last event that the client has.",
}
# What an endpoint can answer beside its own answer, by what it is.
OF_ALL: Texts = {
    HTTPStatus.BAD_REQUEST: "It is no HTTP, or longer than is read: the server itself answers, in plain text.",
    HTTPStatus.UNAUTHORIZED: "No token, or one that is none of this cluster.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The API server, Postgres or Redis did not answer in time; /health tells which.",
}
OF_PERMISSION: Texts = {HTTPStatus.FORBIDDEN: "The caller lacks a right; the problem names it."}
OF_ID: Texts = {HTTPStatus.NOT_FOUND: "It does not exist, or the caller may not know that it does."}
OF_INPUT: Texts = {HTTPStatus.UNPROCESSABLE_ENTITY: "A field is not as it must be; the problem names it."}
OF_BODY: Texts = {
    HTTPStatus.REQUEST_TIMEOUT: "The body came too slowly.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is no JSON.",
    HTTPStatus.CONFLICT: "The object is in a state in which this makes no sense, or has changed meanwhile.",
}
OF_READ: Texts = {HTTPStatus.NOT_MODIFIED: "The answer that the caller knows still holds."}
ANSWER_HEADERS = {
    "X-Request-Id": {"description": "The id of the request in logs and in the audit log.", "schema": {"type": "string"}}
}

LOCATION = {"Location": {"description": "Path of the execution.", "schema": {"type": "string"}}}


def document(endpoints: Iterable[Endpoint]) -> JSON:
    """The whole document. Paths and schemas are sorted, so that it changes only when the API does."""
    found = sorted(endpoints, key=lambda each: (each.path, each.method))
    models = {model for each in found for model in (each.answer, each.query, each.body) if model} | {Problem}
    schemas = _schemas(models)
    paths: JSON = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    queries = {each.query.__name__ for each in found if each.query}
    return {
        "openapi": "3.1.0",
        "info": {"title": "DataGuardian", "version": __version__, "description": DESCRIPTION},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the cluster: kubectl create token <service account>.",
                }
            },
            "schemas": {name: schema for name, schema in sorted(schemas.items()) if name not in queries},
        },
    }


def _schemas(models: Iterable[type[BaseModel]]) -> JSON:
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "serialization") for model in sorted(models, key=lambda each: each.__name__)
    ]
    _, made = models_json_schema(modes, by_alias=True, ref_template=REFERENCE)
    schemas: JSON = made["$defs"]
    return schemas


def _operation(endpoint: Endpoint, schemas: JSON) -> JSON:
    operation: JSON = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": _needs(endpoint),
        "tags": [endpoint.path.split("/")[2]],
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": _responses(endpoint),
    }
    if endpoint.body:
        content = {"application/json": {"schema": _reference(endpoint.body)}}
        operation["requestBody"] = {"required": any_required(endpoint.body), "content": content}
    return operation


def any_required(model: type[BaseModel]) -> bool:
    """Whether a body must be sent at all."""
    return any(field.is_required() for field in model.model_fields.values())


def _needs(endpoint: Endpoint) -> str:
    if endpoint.permission == "self":
        return "Every caller may."
    rights = ", ".join(f"`{right}`" for right in RIGHTS[endpoint.permission])
    return f"Needs `{endpoint.permission}`: {rights}."


def _parameters(endpoint: Endpoint, schemas: JSON) -> Iterator[JSON]:
    for name in re.findall(r"\{(\w+)\}", endpoint.path):
        form, what = IDS[name]
        schema = {"type": "string", "pattern": f"^{form}$"}
        yield {"name": name, "in": "path", "required": True, "description": what, "schema": schema}
    if endpoint.query:
        model = schemas[endpoint.query.__name__]
        for name, schema in model.get("properties", {}).items():
            yield {
                "name": name,
                "in": "query",
                "required": name in model.get("required", []),
                "description": schema.get("description", ""),
                "schema": {key: value for key, value in schema.items() if key not in ("description", "title")},
            }
    if _has_etag(endpoint):
        yield _header("If-None-Match", "^[ -~]{0,1024}$")
    if EVENTS in (endpoint.media_type, *endpoint.also):
        yield _header("Last-Event-ID", "^[ -~]{0,64}$")
    if endpoint.idempotent:
        yield _header(KEY, f"^{KEY_FORM}$")


def _has_etag(endpoint: Endpoint) -> bool:
    return endpoint.method == "GET" and endpoint.media_type == JSON_TYPE


def _header(name: str, form: str) -> JSON:
    schema = {"type": "string", "pattern": form}
    return {"name": name, "in": "header", "required": False, "description": HEADERS[name], "schema": schema}


def _responses(endpoint: Endpoint) -> JSON:
    is_json = endpoint.media_type == JSON_TYPE
    content: JSON = {endpoint.media_type: {"schema": _reference(endpoint.answer)} if is_json else TEXT}
    content |= dict.fromkeys(endpoint.also, TEXT)
    what = HTTPStatus(endpoint.status).phrase
    headers = ANSWER_HEADERS | (LOCATION if endpoint.status == HTTPStatus.ACCEPTED else {})
    responses: JSON = {str(int(endpoint.status)): {"description": what, "headers": headers, "content": content}}
    problems: dict[int, str] = {
        **OF_ALL,
        **(OF_PERMISSION if endpoint.permission != "self" else {}),
        **(OF_ID if "{" in endpoint.path else {}),
        **(OF_INPUT if endpoint.query or endpoint.body or endpoint.idempotent else {}),
        **(OF_BODY if endpoint.method == "POST" else {}),
        **endpoint.problems,
    }
    if _has_etag(endpoint):
        responses |= {str(int(status)): {"description": text} for status, text in OF_READ.items()}
    for status, text in sorted(problems.items()):
        responses[str(int(status))] = {
            "description": text,
            "headers": ANSWER_HEADERS,
            "content": {PROBLEM: {"schema": _reference(Problem)}, **(NO_HTTP if status == NOT_READ else {})},
        }
    return responses


def _reference(model: type[BaseModel]) -> JSON:
    name = re.sub(r"[^a-zA-Z0-9.\-_]", "_", model.__name__)
    return {"$ref": REFERENCE.format(model=name)}
