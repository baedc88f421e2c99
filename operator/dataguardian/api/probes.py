"""What is open to probes and load balancers: public and cheap.

``/health`` tells how the whole is, as far as the services go. ``/livez`` and ``/readyz`` are the kubelet's, of this
container alone: they ask nobody, because no restart of this one cures what is down elsewhere, and a sidecar that
tells so is of more use than one that is out of the Service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from aiohttp import web

from .services import ServiceHealth, ServiceStatus
from .state import STATE

Status = Literal["ok", "degraded", "down"]


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What DataGuardian stands on."""

    kubernetes: ServiceStatus
    postgres: ServiceStatus
    redis: ServiceStatus

    @classmethod
    def of(cls, found: Mapping[str, ServiceHealth]) -> Services:
        """Of what is known of each."""
        return cls(**{name: service.status for name, service in found.items()})

    @property
    def status(self) -> Status:
        """Down without the API server; without history or queue backups go on, and it is degraded."""
        if self.kubernetes == "down":
            return "down"
        return "degraded" if "down" in (self.postgres, self.redis) else "ok"


async def show(request: web.Request) -> web.Response:
    """How DataGuardian is: 200 when it works, 503 when it is down."""
    services = Services.of((await request.app[STATE].services.get()).services)
    body = {"status": services.status, "services": services}
    return web.Response(
        status=503 if services.status == "down" else 200,
        body=msgspec.json.encode(body),
        content_type="application/json",
    )


async def live(_: web.Request) -> web.Response:
    """200, if the event loop turns; one that hangs answers nobody."""
    return web.json_response({"status": "ok"})


async def ready(_: web.Request) -> web.Response:
    """200: nobody listens before the start is done, and no longer once the end has begun."""
    return web.json_response({"status": "ok"})
