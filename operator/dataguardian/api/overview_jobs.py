"""Jobs, reduced to what the overview judges them by."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from ..domain.conditions import READY, RECOVERABLE
from ..domain.overview import JobState, Said
from .job_objects import BackupJob, JobObject

if TYPE_CHECKING:
    from .state import State


def jobs(state: State, namespaces: Collection[str] | None) -> list[JobState]:
    """All BackupJobs and DatabaseSyncJobs of some namespaces; None is all. Raises KubernetesUnavailable."""
    backups, syncs = state.backup_jobs.current(), state.sync_jobs.current()
    return [
        *(_backup_state(job) for job in backups.values() if _is_wanted(job, namespaces)),
        *(_state(job, "sync") for job in syncs.values() if _is_wanted(job, namespaces)),
    ]


def _is_wanted(job: JobObject, namespaces: Collection[str] | None) -> bool:
    return namespaces is None or job.metadata.namespace in namespaces


def _backup_state(job: BackupJob) -> JobState:
    recoverable_to = job.status.recoverability.recoverable_to
    return _state(job, "backup", recoverable=_said(job, RECOVERABLE), recoverable_to=recoverable_to)


def _state(job: JobObject, operation: Literal["backup", "sync"], **more: Any) -> JobState:
    last = job.status.last_execution
    return JobState(
        operation=operation,
        namespace=job.metadata.namespace,
        name=job.metadata.name,
        suspended=job.spec.suspend,
        next_run=job.status.next_schedule_at,
        jitter=timedelta(seconds=job.spec.jitter_seconds),
        last_run=last.name if last else None,
        last_phase=last.phase if last else None,
        last_end=last.finished_at if last else None,
        ready=_said(job, READY),
        **more,
    )


def _said(job: JobObject, kind: str) -> Said:
    found = job.status.condition(kind)
    return Said(status=found.status, reason=found.reason, message=found.message) if found else Said()
