"""The sidecar's process: serves until SIGTERM, whatever is up or down around it."""

from __future__ import annotations

import asyncio
import logging
import signal

from aiohttp import web

from .. import settings
from ..history import History
from ..kube.client import Kubernetes
from ..kube.connection import connect
from ..queue import Queue
from . import access_log
from .access import LONGEST_TOKEN
from .app import make_app
from .clients import Clients
from .cors import origins_of

log = logging.getLogger(__name__)

GRACE_S = 10.0  # for requests under way when the end is asked for
CONNECTIONS = 10  # to Postgres: requests, streams, totals and the audit log share them
IDLE_S = 60.0  # for the next request of a connection to come, all its headers included
LINGER_S = 2.0  # for the rest of a body that nobody reads
LONGEST_HEADER = LONGEST_TOKEN + 256


async def serve(env: settings.Environment) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigInvalid when the settings are wrong."""
    async with (
        connect() as api,
        History(settings.postgres(env), connections=CONNECTIONS) as history,
        Queue(settings.redis(env)) as queue,
    ):
        clients = Clients(kube=Kubernetes(api), history=history, queue=queue, operators=settings.operators(env))
        origins = origins_of(env.text("API_CORS_ORIGINS", ""))
        await _until_told(make_app(clients, origins=origins), port=env.number("API_PORT", 8080))


def runner_of(app: web.Application, *, idle_s: float = IDLE_S) -> web.AppRunner:
    """What serves the application, with the bounds on its connections."""
    return web.AppRunner(
        app,
        logger=access_log.server_log,
        access_log=access_log.log,
        access_log_class=access_log.AccessLog,
        shutdown_timeout=GRACE_S,
        # aiohttp counts it from the last answer on, whatever comes in between: it ends a request that drips, too.
        keepalive_timeout=idle_s,
        lingering_time=LINGER_S,
        max_field_size=LONGEST_HEADER,
    )


async def _until_told(app: web.Application, *, port: int) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    runner = runner_of(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.EVERY_ADDRESS, port).start()
        log.info("Serving", extra={"action": "api_serving", "port": port})
        await end.wait()
    finally:
        await runner.cleanup()
    log.info("Ended as asked", extra={"action": "api_ended"})
