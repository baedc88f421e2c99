"""Errors as RFC 9457 ``application/problem+json``, with the code and the remedy of our own errors."""

from __future__ import annotations

import logging
import re
import uuid
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, Field

from ..errors import DataGuardianError, NotFound, PermissionRefused, SpecInvalid, Unavailable
from ..kube.client import Absent, Conflict, Expired
from .refusals import ConfirmationRequired, NotPossible, TooManyStreams, Unauthenticated, as_told

log = logging.getLogger(__name__)

REQUEST_ID = web.RequestKey("request_id", str)  # X-Request-Id in its answer
# The nearest class of an error decides; what is not here is our own fault, 500.
STATUS: dict[type[Exception], HTTPStatus] = {
    SpecInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotPossible: HTTPStatus.CONFLICT,
    TooManyStreams: HTTPStatus.TOO_MANY_REQUESTS,
    NotFound: HTTPStatus.NOT_FOUND,
    Absent: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Expired: HTTPStatus.SERVICE_UNAVAILABLE,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    PermissionRefused: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
REMEDY = {
    HTTPStatus.BAD_REQUEST: "Send it again.",
    HTTPStatus.NOT_FOUND: "Check the path.",
    HTTPStatus.REQUEST_TIMEOUT: "Send it again, over a faster connection.",
    HTTPStatus.CONFLICT: "Read it again; it exists already or has changed.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method that the header Allow names.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send a smaller body.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Send JSON, with the header `Content-Type: application/json`.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Ask again; /health tells what does not answer.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Report it with the log of the container `api`.",
}
RETRY_AFTER = {HTTPStatus.SERVICE_UNAVAILABLE: "5", HTTPStatus.TOO_MANY_REQUESTS: "5"}
CHALLENGE = 'Bearer realm="dataguardian"'


class Problem(BaseModel):
    """One error, for programs (type, status, code) and for people."""

    type: str = Field(description="`urn:dataguardian:problem:` and the code.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened.")
    code: str = Field(description="Kind of error, e.g. `spec-invalid`; docs/errors.md has all.")
    remedy: str = Field(description="What to do about it.")
    request_id: str = Field(description="The id of the request, as in X-Request-Id and in logs.")
    expected_phrase: str | None = Field(
        default=None, description="The phrase that confirms; with `restore-confirmation-required`."
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler, and of the router, into a problem; give each request an id."""
    request[REQUEST_ID] = _request_id(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        status, code = kind_of(error)
        answer = _answer(request, status, code=code, detail=f"{request.method} {request.path}: {error.reason}.")
        if allow := error.headers.get(hdrs.ALLOW):
            answer.headers[hdrs.ALLOW] = allow
        return answer
    except DataGuardianError as error:
        told = as_told(error)
        phrase = told.expected_phrase or None if isinstance(told, ConfirmationRequired) else None
        status, code = kind_of(told)
        return _answer(request, status, code=code, detail=told.what, remedy=told.remedy, phrase=phrase)
    except (Absent, Conflict, Expired) as error:
        status, code = kind_of(error)
        return _answer(request, status, code=code, detail=str(error))
    except Exception as error:  # a defect: its traceback goes to the log, not to the caller
        fields = {"action": "request_failed", "path": request.path, "request_id": request[REQUEST_ID]}
        log.exception("A request failed", extra=fields)
        status, code = kind_of(error)
        return _answer(request, status, code=code, detail="This is a defect of DataGuardian.")


def kind_of(error: Exception) -> tuple[HTTPStatus, str]:
    """The HTTP status and the code that an error means to a caller."""
    if isinstance(error, web.HTTPException):
        status = HTTPStatus(error.status)
        return status, _kebab(status)
    if isinstance(error, DataGuardianError):
        told = as_told(error)
        return status_of(told), told.code
    status = status_of(error)
    return status, "internal" if status == HTTPStatus.INTERNAL_SERVER_ERROR else _kebab(status)


def status_of(error: Exception) -> HTTPStatus:
    """The HTTP status that an error means."""
    named = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(named, HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(
    request: web.Request,
    status: HTTPStatus,
    *,
    code: str,
    detail: str,
    remedy: str | None = None,
    phrase: str | None = None,
) -> web.Response:
    problem = Problem(
        type=f"urn:dataguardian:problem:{code}",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        remedy=remedy or REMEDY.get(status, "Check the request."),
        request_id=request[REQUEST_ID],
        expected_phrase=phrase,
    )
    headers = {hdrs.RETRY_AFTER: RETRY_AFTER[status]} if status in RETRY_AFTER else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = CHALLENGE
    body = problem.model_dump_json(exclude_none=True).encode()
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=headers)


def _request_id(request: web.Request) -> str:
    """What the caller calls it, if that is a plain word; else a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else str(uuid.uuid4())


def _kebab(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-")
