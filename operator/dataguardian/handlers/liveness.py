"""``GET /healthz`` for the kubelet: whether this process does its part, whatever is up or down around it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ..kube.lease import Lease
from ..workers.loop import silent

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the kubelet comes to the pod's address


@asynccontextmanager
async def answering(lease: Lease, *, port: int) -> AsyncIterator[None]:
    """Answer inside this block: 200 ``{"status": "ok", "leading"}``, or 503 with what is not well as status."""

    async def show(_: web.Request) -> web.Response:
        found = ailments(lease, at=time.time())
        body = {"status": ", ".join(found) or "ok", "leading": lease.is_held}
        return web.json_response(body, status=503 if found else 200)

    app = web.Application()
    app.router.add_get("/healthz", show)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, EVERY_ADDRESS, port).start()
        yield
    finally:
        await runner.cleanup()


def ailments(lease: Lease, *, at: float) -> list[str]:
    """What is not well. A hung event loop cannot even ask, and a worker that dies ends the process."""
    found = [f"worker {worker} hangs" for worker in silent(at=at)]
    return [*found, "the Lease is not looked at"] if lease.is_stuck else found
