"""For the kubelet, whether this process does its part; for the sidecars of all operators, how its workers are.

``GET /healthz`` and ``GET /workers`` answer whoever reaches the port, without a token: what they tell are names of
workers, times and codes of errors. The words of an error stand in the log alone, as they name objects and hosts.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from ..kube.lease import Lease
from ..workers.loop import pulses, silent
from .listening import listening


@asynccontextmanager
async def answering(lease: Lease, *, port: int) -> AsyncIterator[None]:
    """Answer inside this block.

    ``/healthz``: 200 ``{"status": "ok", "leading"}``, or 503 with what is not well as status. ``/workers``: ``Pulses``.
    """

    async def show(_: web.Request) -> web.Response:
        found = ailments(lease, at=time.time())
        body = {"status": ", ".join(found) or "ok", "leading": lease.is_held}
        return web.json_response(body, status=503 if found else 200)

    async def show_workers(_: web.Request) -> web.Response:
        told = pulses(at=time.time(), leading=lease.is_held)
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    app = web.Application()
    app.router.add_get("/healthz", show)
    app.router.add_get("/workers", show_workers)
    async with listening(app, port=port):
        yield


def ailments(lease: Lease, *, at: float) -> list[str]:
    """What is not well. A hung event loop cannot even ask, and a worker that dies ends the process."""
    found = [f"worker {worker} hangs" for worker in silent(at=at)]
    return [*found, "the Lease is not looked at"] if lease.is_stuck else found
