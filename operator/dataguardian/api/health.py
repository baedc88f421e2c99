"""``GET /health``: public and cheap, for probes and load balancers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal

import msgspec
from aiohttp import web

from ..errors import DataGuardianError
from ..queue import QUEUES
from .clients import Clients, Remembered

CHECK_S = 2.0  # for one check
CHECKED_FOR_S = 2.0  # how long an answer is good

State = Literal["up", "down"]


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What DataGuardian stands on."""

    kubernetes: State
    postgres: State
    redis: State

    @property
    def status(self) -> Literal["ok", "degraded", "down"]:
        """Down without the API server; without history or queue backups go on, and it is degraded."""
        if self.kubernetes == "down":
            return "down"
        return "degraded" if "down" in (self.postgres, self.redis) else "ok"


SERVICES: web.AppKey[Remembered[Services]] = web.AppKey("services")


async def show(request: web.Request) -> web.Response:
    """How DataGuardian is: 200 when it works, 503 when it is down."""
    services = await request.app[SERVICES].get()
    body = {"status": services.status, "services": services}
    return web.Response(
        status=503 if services.status == "down" else 200,
        body=msgspec.json.encode(body),
        content_type="application/json",
    )


async def check(clients: Clients) -> Services:
    """Ask each service for an answer, all at once, within CHECK_S."""
    kubernetes, postgres, redis = await asyncio.gather(
        _state(clients.kube.get("/version")),
        _state(clients.history.check(limit_s=CHECK_S)),
        _state(clients.queue.depth(QUEUES[0])),
    )
    return Services(kubernetes=kubernetes, postgres=postgres, redis=redis)


async def _state(answer: Awaitable[object]) -> State:
    try:
        async with asyncio.timeout(CHECK_S + 0.5):  # after the limit of the check itself, if it has one
            await answer
    except (DataGuardianError, TimeoutError):
        return "down"
    return "up"
