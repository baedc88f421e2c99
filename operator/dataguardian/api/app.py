"""The application: its routes, and what every answer has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from ..kube.client import Kubernetes
from ..resources import datasource, storage_location
from ..resources.backup import BACKUP_JOB
from ..resources.sync import DATABASE_SYNC_JOB
from ..workers.loop import forever
from . import (
    audit_logs,
    backup_jobs,
    backups,
    checks,
    control,
    executions,
    executions_stream,
    health,
    job_objects,
    logs,
    me,
    metrics,
    overview,
    probes,
    restores,
    sync_jobs,
)
from .access import Access
from .audit_trail import Trail
from .changes import Changes
from .checked import LISTED_FOR_S, read_checked
from .clients import Clients
from .cors import ORIGINS, preflights, share
from .endpoints import Endpoint
from .feeds import Feeds
from .inventory import OBJECTS_FOR_S, read_inventory
from .leader import ASKED_FOR_S, Leader
from .load import AT_ONCE, bounded
from .mount import mounted
from .openapi import document
from .problems import REQUEST_ID, problems
from .remembered import Refreshed, Remembered
from .sending import Sent
from .services import CHECKED_FOR_S, ServiceChecks
from .state import STATE, State
from .streams import Streams
from .totals import EVERY_S, Counted
from .watched import Watched, followed

# Open to everybody who reaches the port: probes, Prometheus, and what the API is.
ROUTES = (
    web.get("/health", probes.show),
    web.get("/livez", probes.live),
    web.get("/readyz", probes.ready),
    web.get("/metrics", metrics.show),
)
PARTS = (
    me, overview, backup_jobs, sync_jobs, backups, restores, executions_stream, executions, logs, control,
    health, checks, audit_logs,
)  # fmt: skip
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for part in PARTS for endpoint in part.ENDPOINTS)

LONGEST_BODY = 64 * 1024
NAMESPACES_FOR_S = 10.0
LOOK_EVERY_S = 5.0  # at services and workers, also when nobody asks: since when they are so is known then
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "dataguardian",
    "X-Content-Type-Options": "nosniff",
}


def make_app(clients: Clients, *, origins: frozenset[str] = frozenset()) -> web.Application:
    """The application on these clients, which stay the caller's to open and close, for pages of these origins."""
    app = web.Application(middlewares=[problems, preflights, bounded(AT_ONCE)], client_max_size=LONGEST_BODY)
    app[ORIGINS] = origins
    app[STATE] = state = _state(clients)
    app.on_response_prepare.extend((_secure, share))
    look = partial(_look, state)
    app.cleanup_ctx.extend((_watching, _audited))
    app.cleanup_ctx.append(_in_the_background("look", look, every_s=LOOK_EVERY_S))
    app.cleanup_ctx.append(_in_the_background("totals", state.counted.refresh, every_s=EVERY_S))
    app.on_shutdown.append(state.streams.end)
    app.add_routes(ROUTES)
    app.add_routes([web.get("/api/openapi.json", _described()), *map(mounted, ENDPOINTS)])
    return app


def _in_the_background(
    worker: str, step: Callable[[], Awaitable[object]], *, every_s: float
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(forever(worker, step, every_s=every_s))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return run


def _state(clients: Clients) -> State:
    kube, history = clients.kube, clients.history
    namespaces = Remembered(lambda: _namespaces(kube), seconds=NAMESPACES_FOR_S)
    return State(
        clients=clients,
        access=Access(kube=kube, namespaces=namespaces.get),
        trail=Trail(history),
        backup_jobs=Watched(kube, BACKUP_JOB, job_objects.BackupJob),
        sync_jobs=Watched(kube, DATABASE_SYNC_JOB, job_objects.SyncJob),
        ended=Refreshed(
            lambda: overview.read_ended(history), seconds=overview.ENDED_FOR_S, longest=overview.ENDED_LONGEST_S
        ),
        services=Remembered(ServiceChecks(clients).check, seconds=CHECKED_FOR_S),
        pulses=Remembered(Leader(clients).pulses, seconds=ASKED_FOR_S),
        datasources=Remembered(lambda: read_checked(kube, datasource.KIND), seconds=LISTED_FOR_S),
        storage=Remembered(lambda: read_checked(kube, storage_location.KIND), seconds=LISTED_FOR_S),
        inventory=Remembered(lambda: read_inventory(kube), seconds=OBJECTS_FOR_S),
        counted=Counted(history),
        streams=Streams(),
        feeds=Feeds(clients),
        changes=Changes(history),
    )


async def _audited(app: web.Application) -> AsyncIterator[None]:
    async with app[STATE].trail.writing():
        yield


async def _watching(app: web.Application) -> AsyncIterator[None]:
    state = app[STATE]
    async with followed([state.backup_jobs, state.sync_jobs]):
        yield


async def _look(state: State) -> None:
    await asyncio.gather(state.services.get(), state.pulses.get())


async def _namespaces(kube: Kubernetes) -> frozenset[str]:
    found, _ = await kube.list("/api/v1/namespaces")
    return frozenset(namespace["metadata"]["name"] for namespace in found)


def _described() -> Handler:
    described = json.dumps(document(ENDPOINTS)).encode()

    async def show(_: web.Request) -> web.Response:
        return Sent(body=described, content_type="application/json")

    return show


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
