"""The access log: one line for each request, with who asked and what they got, and nothing that is secret."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from .problems import REQUEST_ID

log = logging.getLogger(__name__)
server_log = logging.getLogger("dataguardian.api.server")  # aiohttp's own, for its defects and ours

CALLER = web.RequestKey("caller", str)  # the user's name, once it is known
# Asked every few seconds by machines.
QUIET = frozenset({"/health", "/livez", "/readyz", "/metrics"})
LONGEST_PATH = 256


def is_defect(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's tells of one: what is no HTTP is answered 400, and would be quoted in it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


server_log.addFilter(is_defect)


class AccessLog(AbstractAccessLogger):
    """What aiohttp calls after each answer, that of a stream at its end."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line. The query is left out: callers put into it what they like."""
        level = logging.DEBUG if request.path in QUIET else logging.INFO
        fields = {
            "action": "request",
            "method": request.method,
            "path": _path_of(request)[:LONGEST_PATH],
            "status": response.status,
            "milliseconds": round(time * 1000, 1),
            "bytes": response.body_length,  # sent, headers included
            "caller": request.get(CALLER),
            "request_id": request.get(REQUEST_ID),
            "remote": request.remote,
        }
        log.log(level, "Answered", extra=fields)


def _path_of(request: web.BaseRequest) -> str:
    """The route's own path, with the names of its ids; of a path that is no route what was sent."""
    # What aiohttp could not read as a request has met no router.
    if not isinstance(request, web.Request) or REQUEST_ID not in request:
        return request.path
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else request.path
