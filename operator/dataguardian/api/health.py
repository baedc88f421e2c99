"""``GET /api/health``: the services and the workers, and what is the matter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import Field

from .endpoints import Call, Endpoint
from .models import Answer
from .probes import Services, Status
from .services import ServiceHealth
from .workers import WorkerHealth, workers_of


class SystemHealth(Answer):
    """DataGuardian itself."""

    status: Status = Field(
        description="down: without the API server nothing goes on; degraded: something is not as it should be."
    )
    reasons: list[str] = Field(description="Why it is not ok.")
    services: dict[str, ServiceHealth] = Field(description="By name: kubernetes, postgres, redis.")
    workers: dict[str, WorkerHealth] = Field(
        description="By name: scheduler, backup, restore, db-sync, health, cleanup, recorder."
    )


async def show(call: Call) -> SystemHealth:
    """How DataGuardian is; for whoever may read health anywhere.

    The words of an error name hosts and users: they are for whoever may read health everywhere.
    """
    where = await call.caller.namespaces("health.read")
    found, told = await asyncio.gather(call.state.services.get(), call.state.pulses.get())
    hidden = {} if where is None else {"last_error": None}
    services = {name: each.model_copy(update=hidden) for name, each in found.services.items()}
    workers = workers_of(told, found.depths)
    reasons = matters(services, workers, leading=told.leading)
    status = Services.of(found.services).status
    return SystemHealth(
        status="degraded" if status == "ok" and reasons else status,
        reasons=reasons,
        services=services,
        workers=workers,
    )


def matters(services: Mapping[str, ServiceHealth], workers: Mapping[str, WorkerHealth], *, leading: bool) -> list[str]:
    """What is not as it should be, in words."""
    down = {name: each.last_error for name, each in services.items() if each.status == "down"}
    found = [f"{name} is down: {error}" if error else f"{name} is down." for name, error in down.items()]
    if not leading:
        return [*found, "No operator leads, or the one that does cannot be reached."]
    return [*found, *(f"The worker {name} does not run." for name, each in workers.items() if not each.running)]


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/health",
        permission="health.read",
        summary="How DataGuardian is: its services and workers.",
        handler=show,
        answer=SystemHealth,
    ),
)
