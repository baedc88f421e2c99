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
from .app import make_app
from .clients import Clients

log = logging.getLogger(__name__)

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come to the pod's address
GRACE_S = 10.0  # for requests under way when the end is asked for


async def serve(env: settings.Environment) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigInvalid when the settings are wrong."""
    async with (
        connect() as api,
        History(settings.postgres(env)) as history,
        Queue(settings.redis(env)) as queue,
    ):
        clients = Clients(kube=Kubernetes(api), history=history, queue=queue)
        await _until_told(make_app(clients), port=env.number("API_PORT", 8080))


async def _until_told(app: web.Application, *, port: int) -> None:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, EVERY_ADDRESS, port).start()
        log.info("Serving", extra={"action": "api_serving", "port": port})
        await end.wait()
    finally:
        await runner.cleanup()
    log.info("Ended as asked", extra={"action": "api_ended"})
