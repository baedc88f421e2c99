"""A bound on the requests under way, so that a crowd of callers takes no more memory than there is."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .access_log import QUIET
from .refusals import Busy

AT_ONCE = 400  # streams too


def bounded(at_once: int) -> Middleware:
    """Refuse what comes while so many requests are under way, but for what probes ask: that is always answered."""
    under_way = 0

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal under_way
        if request.path in QUIET:
            return await handler(request)
        if under_way >= at_once:
            raise Busy(
                f"{at_once} requests are being answered already.", remedy="Ask again after the time in Retry-After."
            )
        under_way += 1
        try:
            return await handler(request)
        finally:
            under_way -= 1

    return admit
