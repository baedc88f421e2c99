"""How a worker goes on: for ever, one step after the other, whatever one step meets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ..errors import DataGuardianError, LeadershipLost, Unavailable
from ..kube.client import Absent, Expired

log = logging.getLogger(__name__)

RECOVER_S = 5.0  # between two steps that fail
SILENCE_S = 300.0

# Worker → time.time() of the last step that did not end in a bug; served as a metric.
heartbeats: dict[str, float] = {}
_loops: set[str] = set()


def enrol(worker: str) -> None:
    """A worker that turns for ever begins; from now on its silence means that the process is not well."""
    _loops.add(worker)
    heartbeats[worker] = time.time()


def silent(*, at: float) -> list[str]:
    """The enrolled workers that ended no step within the SILENCE_S before this time."""
    return sorted(worker for worker in _loops if at - heartbeats[worker] > SILENCE_S)


async def attempt(worker: str, step: Callable[[], Awaitable[object]]) -> bool:
    """Do one step; log what it raises. True when it went well.

    A bug in the handling of one object must not stop the work for all others, so it ends here with its traceback.
    """
    well = False
    try:
        await step()
        well = True
    except LeadershipLost:
        return False  # told once, where the process ends
    except Absent:
        log.debug("The object is gone", extra={"action": "object_gone", "worker": worker})
    except Expired:
        log.info("A list took longer than the API server keeps it", extra={"action": "list_expired", "worker": worker})
    except Unavailable as error:
        log.warning("%s", error, extra={"action": "worker_waits", "worker": worker, "code": error.code})
    except DataGuardianError as error:
        log.error("%s", error, extra={"action": "worker_failed", "worker": worker, "code": error.code})
    except Exception:  # the reason is above
        log.exception("Unexpected error", extra={"action": "worker_bug", "worker": worker})
        return False
    heartbeats[worker] = time.time()
    return well


async def forever(worker: str, step: Callable[[], Awaitable[object]], *, every_s: float) -> None:
    """Repeat a step with a pause after each, and a longer one after a failure."""
    enrol(worker)
    while True:
        went_well = await attempt(worker, step)
        await asyncio.sleep(every_s if went_well else max(every_s, RECOVER_S))
