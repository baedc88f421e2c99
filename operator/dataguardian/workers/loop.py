"""How a worker goes on: for ever, one step after the other, whatever one step meets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from prometheus_client import Histogram

from ..errors import DataGuardianError, LeadershipLost, Unavailable
from ..kube.client import Absent, Expired

log = logging.getLogger(__name__)

RECOVER_S = 5.0  # between two steps that fail
SILENCE_S = 300.0

STEPS = Histogram(
    "dataguardian_worker_step_duration_seconds",
    "How long the steps of the operator's workers took.",
    ("worker",),
    buckets=(0.01, 0.1, 1, 10, 60),
)

# Worker → time.time() of the last step that did not end in a bug; told by ``pulses``.
heartbeats: dict[str, float] = {}
_loops: set[str] = set()
_failures: dict[str, Failure] = {}  # worker → what its last step ended with that failed


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """That a step failed: no words, because they name objects and hosts and this is told to whoever asks."""

    code: str
    at: float  # time.time()


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a worker that turns for ever."""

    running: bool  # whether it ended a step within SILENCE_S
    heartbeat: float  # time.time()
    failure: Failure | None = None


class Pulses(msgspec.Struct, frozen=True, kw_only=True):
    """What one operator tells of its workers; one that stands by has none."""

    leading: bool
    workers: dict[str, Pulse]


def enrol(worker: str) -> None:
    """A worker that turns for ever begins; from now on its silence means that the process is not well."""
    _loops.add(worker)
    beat(worker)


def beat(worker: str) -> None:
    """A worker did its part now."""
    heartbeats[worker] = time.time()


def silent(*, at: float) -> list[str]:
    """The enrolled workers that ended no step within the SILENCE_S before this time."""
    return sorted(worker for worker in _loops if at - heartbeats[worker] > SILENCE_S)


def pulses(*, at: float, leading: bool) -> Pulses:
    """What there is to tell of the enrolled workers at this time."""
    quiet = silent(at=at)
    return Pulses(
        leading=leading,
        workers={
            worker: Pulse(running=worker not in quiet, heartbeat=heartbeats[worker], failure=_failures.get(worker))
            for worker in sorted(_loops)
        },
    )


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
        _note_failure(worker, error.code)
        log.warning("%s", error, extra={"action": "worker_waits", "worker": worker, "code": error.code})
    except DataGuardianError as error:
        _note_failure(worker, error.code)
        log.error("%s", error, extra={"action": "worker_failed", "worker": worker, "code": error.code})
    except Exception:  # the reason is above
        _note_failure(worker, DataGuardianError.code)
        log.exception("Unexpected error", extra={"action": "worker_bug", "worker": worker})
        return False
    beat(worker)
    return well


def _note_failure(worker: str, code: str) -> None:
    _failures[worker] = Failure(code=code, at=time.time())


async def forever(worker: str, step: Callable[[], Awaitable[object]], *, every_s: float) -> None:
    """Repeat a step with a pause after each, and a longer one after a failure."""
    enrol(worker)
    while True:
        with STEPS.labels(worker).time():
            went_well = await attempt(worker, step)
        await asyncio.sleep(every_s if went_well else max(every_s, RECOVER_S))
