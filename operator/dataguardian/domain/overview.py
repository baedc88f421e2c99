"""Which jobs a person should look at first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from .conditions import ConditionStatus

# A scheduler that works starts a run within seconds of its slot.
PATIENCE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a condition says."""

    status: ConditionStatus = "Unknown"
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class JobState:
    """How a BackupJob or a DatabaseSyncJob is."""

    operation: Literal["backup", "sync"]
    namespace: str
    name: str
    suspended: bool = False
    next_run: datetime | None = None  # the slot; the run starts up to the jitter later
    jitter: timedelta = timedelta(0)
    last_run: str | None = None  # the run object that ended last
    last_phase: str | None = None
    last_end: datetime | None = None
    ready: Said = Said()
    recoverable: Said = Said()  # of a BackupJob
    recoverable_to: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """An order for those that are the same otherwise."""
        return self.namespace, self.name, self.operation


def failing(jobs: Iterable[JobState]) -> list[JobState]:
    """Those whose last run failed, the newest failure first."""
    found = [job for job in jobs if job.last_phase == "Failed"]
    return sorted(found, key=lambda job: (-_seconds(job.last_end), job.key))


def overdue(jobs: Iterable[JobState], *, now: datetime) -> list[JobState]:
    """Those whose slot has passed without a run, the newest slot first."""
    found = [job for job in jobs if not job.suspended and job.next_run and job.next_run + job.jitter + PATIENCE < now]
    return sorted(found, key=lambda job: (-_seconds(job.next_run), job.key))


def coming(jobs: Iterable[JobState], *, now: datetime) -> list[JobState]:
    """Those that run next, the first one first."""
    found = [job for job in jobs if not job.suspended and job.next_run and job.next_run >= now]
    return sorted(found, key=lambda job: (_seconds(job.next_run), job.key))


def worst(jobs: Iterable[JobState]) -> list[JobState]:
    """BackupJobs whose database may not come back as asked: those known to be wrong first, the oldest data first."""
    found = [job for job in jobs if job.operation == "backup" and job.recoverable.status != "True"]
    return sorted(found, key=lambda job: (job.recoverable.status != "False", _seconds(job.recoverable_to), job.key))


def _seconds(moment: datetime | None) -> float:
    return (moment or datetime.fromtimestamp(0, UTC)).timestamp()
