"""An endpoint as a route: who calls, what is asked, the answer as JSON with its ETag."""

from __future__ import annotations

import asyncio
import hashlib
import json
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from ..errors import SpecInvalid
from .access_log import CALLER
from .deeds import deed_of, noted
from .endpoints import IDS, Call, Deed, Endpoint, Reply, Streamed
from .problems import REQUEST_ID
from .refusals import TooSlow
from .sending import Sent
from .sse import EVENTS
from .state import STATE

BODY_S = 3.0  # for a body to come

ModelT = TypeVar("ModelT", bound=BaseModel)


def mounted(endpoint: Endpoint) -> web.RouteDef:
    """The route of an endpoint."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if endpoint.action is None:
            return await _answered(endpoint, request, Deed())
        deed = deed_of(endpoint.action, request)
        return await noted(request, deed, lambda: _answered(endpoint, request, deed))

    path = _pattern_of(endpoint.path)
    if endpoint.method == hdrs.METH_GET:
        # The head of a stream would never end.
        return web.get(path, handle, allow_head=EVENTS not in (endpoint.media_type, *endpoint.also))
    return web.route(endpoint.method, path, handle)


async def _answered(endpoint: Endpoint, request: web.Request, deed: Deed) -> web.StreamResponse:
    answer = await _in_time(endpoint, request, deed)
    return await answer.run() if isinstance(answer, Streamed) else answer


async def _in_time(endpoint: Endpoint, request: web.Request, deed: Deed) -> Streamed | web.StreamResponse:
    try:
        async with asyncio.timeout(endpoint.seconds):
            return await _handle(endpoint, request, deed)
    except TimeoutError as error:
        raise TooSlow(
            f"The answer took longer than {endpoint.seconds} s.",
            remedy="Look at /health, and ask again; a smaller `limit` helps lists.",
        ) from error


def _pattern_of(path: str) -> str:
    """The path with the form of its ids, as aiohttp reads it."""
    for name, (form, _) in IDS.items():
        path = path.replace(f"{{{name}}}", f"{{{name}:{form}}}")
    return path


async def _handle(endpoint: Endpoint, request: web.Request, deed: Deed) -> Streamed | web.StreamResponse:
    state = request.app[STATE]
    caller = await state.access.caller(request)
    deed.who = caller.name
    request[CALLER] = caller.name
    call = Call(
        request=request,
        state=state,
        caller=caller,
        query=_read_query(endpoint.query, request) if endpoint.query else None,
        body=await _read_body(endpoint.body, request) if endpoint.body else None,
        request_id=request[REQUEST_ID],
        deed=deed,
    )
    answer = await endpoint.handler(call)
    if not caller.asked and endpoint.permission != "self":
        raise RuntimeError(f"{endpoint.name} asked for no permission")
    if isinstance(answer, Streamed | web.StreamResponse):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(body=answer, status=endpoint.status)
    return _encoded(request, reply)


def _encoded(request: web.Request, reply: Reply) -> web.Response:
    body = reply.body.model_dump_json(by_alias=True).encode()
    headers = dict(reply.headers)
    if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers |= {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "private, no-cache", hdrs.VARY: "Authorization, Accept"}
        if _is_known(request, etag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Sent(status=reply.status, body=body, content_type="application/json", headers=headers)


def _is_known(request: web.Request, etag: str) -> bool:
    """Whether the caller has this answer already, by RFC 9110's weak comparison."""
    given = [text.strip().removeprefix("W/") for text in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")]
    return "*" in given or etag in given


def _read_query(model: type[ModelT], request: web.Request) -> ModelT:
    """The query's fields. Raises SpecInvalid, which names the field."""
    given: dict[str, Any] = {}
    for name, value in request.query.items():
        if name in given:
            raise SpecInvalid(f"{name}: it stands in the query twice.", remedy="Send it once.")
        given[name] = value
    return _validated(model, given)


async def _read_body(model: type[ModelT], request: web.Request) -> ModelT:
    text = await _read_text(request)
    if text and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="The body must be application/json")
    try:
        given = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise SpecInvalid("The body is no JSON.", remedy="Send a JSON object.") from None
    if not isinstance(given, dict):
        raise SpecInvalid("The body is no JSON object.", remedy="Send a JSON object.")
    return _validated(model, given)


async def _read_text(request: web.Request) -> bytes:
    """The body. Raises HTTPRequestTimeout for one that is too slow, HTTPBadRequest for one that is cut or broken."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(reason=f"The body did not come within {BODY_S} s") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise web.HTTPBadRequest(reason="The body is cut or broken") from error


def _validated(model: type[ModelT], given: dict[str, Any]) -> ModelT:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "the request"
        known = ", ".join(each.alias or name for name, each in model.model_fields.items()) or "none"
        remedy = (
            f"Known names: {known}." if first["type"] == "extra_forbidden" else "Correct it; see /api/openapi.json."
        )
        raise SpecInvalid(f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}.", remedy=remedy) from None
