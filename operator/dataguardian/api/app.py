"""The application: its routes, and what every answer has."""

from __future__ import annotations

from aiohttp import web

from . import health, metrics
from .clients import Clients, Remembered
from .inventory import OBJECTS_FOR_S, read_inventory
from .problems import problems

ROUTES = (
    web.get("/health", health.show),
    web.get("/metrics", metrics.show),
)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "dataguardian",
    "X-Content-Type-Options": "nosniff",
}


def make_app(clients: Clients) -> web.Application:
    """The application on these clients, which stay the caller's to open and close."""
    app = web.Application(middlewares=[problems])
    app[health.SERVICES] = Remembered(lambda: health.check(clients), seconds=health.CHECKED_FOR_S)
    app[metrics.INVENTORY] = Remembered(lambda: read_inventory(clients.kube), seconds=OBJECTS_FOR_S)
    app[metrics.QUEUE] = clients.queue
    app.on_response_prepare.append(_secure)
    app.add_routes(ROUTES)
    return app


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
