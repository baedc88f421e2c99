"""The workers as the API names them: some loops of the operator each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from ..errors import DataGuardianError, every_error, meaning_of
from ..workers.loop import Pulse, Pulses
from .models import Answer, Moment


@dataclass(frozen=True, kw_only=True)
class PublicWorker:
    """What a worker of the API is in the operator."""

    loops: tuple[str, ...]  # names as in ``handlers/serve.py``
    queue: str | None = None


# The dispatcher takes from all three queues; what it meets with a run of one of them is told by the run's operation.
WORKERS: Mapping[str, PublicWorker] = {
    "scheduler": PublicWorker(loops=("scheduler", "judge", "sweep", "recoverability")),
    "backup": PublicWorker(loops=("dispatcher", "backup"), queue="backup-queue"),
    "restore": PublicWorker(loops=("dispatcher", "restore"), queue="restore-queue"),
    "db-sync": PublicWorker(loops=("dispatcher", "sync"), queue="db-sync-queue"),
    "health": PublicWorker(loops=("health", "health-history")),
    "cleanup": PublicWorker(loops=("cleanup", "expire", "heal", "index", "catalogue", "history-limits")),
    "recorder": PublicWorker(
        loops=(
            "recorder", "lost-results", "history", "logs", "backfill", "mirror-backupjobs", "mirror-databasesyncjobs",
            "audit-head", "live-log",
        )
    ),
}  # fmt: skip


class WorkerError(Answer):
    """What a step of a worker ended with; its words are in the operator's log."""

    code: str = Field(description="Kind of failure; docs/errors.md has all.")
    message: str = Field(description="What that code means.")
    at: Moment = Field(description="When.")


class WorkerHealth(Answer):
    """One worker of the operator that leads."""

    running: bool = Field(description="Whether an operator leads and answers, and this worker does its part there.")
    last_heartbeat: Moment | None = Field(
        description="When it last did its part: of its loops the one whose turn is longest ago. Null: not heard of yet."
    )
    queue_depth: int | None = Field(description="Entries of its queue; null when it has none, or Redis is down.")
    last_error: WorkerError | None = Field(description="The last failure since the operator leads; it may be over.")


def workers_of(told: Pulses, depths: Mapping[str, int]) -> dict[str, WorkerHealth]:
    """All workers of the API. A loop that the leader, of another release, does not have is passed by."""
    found = {}
    for name, worker in WORKERS.items():
        loops = [told.workers[loop] for loop in worker.loops if loop in told.workers]
        found[name] = WorkerHealth(
            running=told.leading and bool(loops) and all(loop.running for loop in loops),
            last_heartbeat=_moment(min(loop.heartbeat for loop in loops)) if loops else None,
            queue_depth=depths.get(worker.queue) if worker.queue else None,
            last_error=_last_error(loops),
        )
    return found


def _last_error(loops: Iterable[Pulse]) -> WorkerError | None:
    failures = [loop.failure for loop in loops if loop.failure]
    if not failures:
        return None
    last = max(failures, key=lambda failure: failure.at)
    return WorkerError(code=last.code, message=_meaning(last.code), at=_moment(last.at))


def _meaning(code: str) -> str:
    error = next((each for each in every_error() if each.code == code), DataGuardianError)
    return meaning_of(error).replace("``", "")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
