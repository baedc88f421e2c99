"""Errors as RFC 9457 ``application/problem+json``, with the code and the remedy of our own errors."""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from ..errors import DataGuardianError, NotFound, PermissionRefused, SpecInvalid, Unavailable

log = logging.getLogger(__name__)

# The nearest class of an error decides; what is not here is our own fault, 500.
STATUS: dict[type[DataGuardianError], HTTPStatus] = {
    SpecInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    PermissionRefused: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
REMEDY = {
    HTTPStatus.NOT_FOUND: "Check the path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method that the header Allow names.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send a smaller body.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Report it with the log of the container `api`.",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One error, for programs (type, status, code) and for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler, and of the router, into a problem."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        status = HTTPStatus(error.status)
        answer = _answer(status, code=_kebab(status), detail=f"{request.method} {request.path}: {error.reason}.")
        if allow := error.headers.get("Allow"):
            answer.headers["Allow"] = allow
        return answer
    except DataGuardianError as error:
        return _answer(status_of(error), code=error.code, detail=error.what, remedy=error.remedy)
    except Exception:  # a defect: its traceback goes to the log, not to the caller
        log.exception("A request failed", extra={"action": "request_failed", "path": request.path})
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return _answer(status, code="internal", detail="This is a defect of DataGuardian.")


def status_of(error: DataGuardianError) -> HTTPStatus:
    """The HTTP status that an error means."""
    named = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(named, HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(status: HTTPStatus, *, code: str, detail: str, remedy: str | None = None) -> web.Response:
    problem = Problem(
        type=f"urn:dataguardian:problem:{code}",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        remedy=remedy or REMEDY.get(status, "Check the request."),
    )
    return web.Response(status=status, body=msgspec.json.encode(problem), content_type="application/problem+json")


def _kebab(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-")
