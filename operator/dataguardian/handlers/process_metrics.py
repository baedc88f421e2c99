"""``GET /metrics`` of the operator: its process, its requests to the API server, the steps of its workers.

What is measured stands where it happens; this serves what prometheus_client has registered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .listening import listening


@asynccontextmanager
async def exposed(*, port: int) -> AsyncIterator[None]:
    """Serve them inside this block."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # each would be a series more that says nothing new

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", show)
    async with listening(app, port=port):
        yield
