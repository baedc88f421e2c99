"""The operator's process: a standby until it holds the Lease, then the one that works, until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

from ..kube.client import Kubernetes
from ..kube.connection import connect
from ..kube.lease import Lease, candidate_name
from ..settings import OperatorSettings
from .liveness import answering
from .process_metrics import exposed

log = logging.getLogger(__name__)


def run(settings: OperatorSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises LeadershipLost, and what a worker dies of: the process starts again."""
    asyncio.run(_until_told(settings))


async def _until_told(settings: OperatorSettings) -> None:
    told = asyncio.Event()

    def listen() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)

    listen()
    standing, telling = asyncio.create_task(_stand(settings, listen)), asyncio.create_task(told.wait())
    await asyncio.wait((standing, telling), return_when=asyncio.FIRST_COMPLETED)
    if standing.done():
        standing.result()
    standing.cancel()
    await asyncio.gather(standing, return_exceptions=True)
    log.info("Ended as asked", extra={"action": "operator_ended"})


async def _stand(settings: OperatorSettings, listen: Callable[[], None]) -> None:
    # The Lease has a connection of its own: a renewal waits behind no other call, and needs no token.
    async with connect() as api:
        holder = candidate_name(socket.gethostname())
        lease = Lease(Kubernetes(api), namespace=settings.namespace, holder=holder)
        async with answering(lease, port=settings.liveness_port), exposed(port=settings.metrics_port):
            log.info("Standing by", extra={"action": "standing_by", "holder": holder})
            await lease.acquire()
            log.info("Leading", extra={"action": "leading", "holder": holder})
            await _lead(settings, lease, listen)


async def _lead(settings: OperatorSettings, lease: Lease, listen: Callable[[], None]) -> None:
    # Kopf and the clients of Postgres and Redis take memory that a standby can do without.
    from .serve import work

    keeping = asyncio.create_task(lease.keep())
    working = asyncio.create_task(work(settings, fence=lease.fence, listen=listen))
    try:
        await asyncio.wait((keeping, working), return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        working.result()
    finally:
        # In this order: what still ends has a Lease, and the next one begins when all has ended.
        for task in (working, keeping):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await lease.release()
