"""Cross-origin requests: none, unless their origins are named.

No library: aiohttp-cors binds to routes one by one, and this is a table of headers. Callers send a bearer token and no
cookie, so that credentials are never allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from ..errors import ConfigInvalid

ORIGINS: web.AppKey[frozenset[str]] = web.AppKey("origins")
ORIGIN = re.compile(r"https?://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
PREFLIGHT: Mapping[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
    "X-Request-Id",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
EXPOSED = "ETag, Location, Retry-After, X-Request-Id"


def origins_of(text: str) -> frozenset[str]:
    """The origins in a list with commas. Raises ConfigInvalid for one that is none; ``*`` is none."""
    origins = frozenset(each.strip() for each in text.split(",") if each.strip())
    for origin in sorted(origins):
        if not ORIGIN.fullmatch(origin):
            raise ConfigInvalid(
                f"The environment variable DATAGUARDIAN_API_CORS_ORIGINS has {origin!r}, which is no origin.",
                remedy="Write each as the browser sends it, such as https://dashboard.example.com, without a path.",
            )
    return origins


@web.middleware
async def preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a browser asks before a request of another origin; it has no token yet."""
    if (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        and _known(request)
    ):
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=PREFLIGHT)
    return await handler(request)


async def share(request: web.Request, response: web.StreamResponse) -> None:
    """Let the pages of the named origins read the answer, errors and streams too."""
    if not request.app[ORIGINS]:
        return
    vary = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}" if vary else hdrs.ORIGIN
    if _known(request):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED


def _known(request: web.Request) -> bool:
    return request.headers.get(hdrs.ORIGIN) in request.app[ORIGINS]
