"""What the status of a scheduled object says of its runs: is it safe?"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ..resources.backup import BackupExecution, BackupJobStatus
from ..resources.common import Resource
from ..resources.drill import RestoreDrillStatus
from ..resources.execution import LastExecution, Phase
from ..resources.restore import RestoreRequest
from ..resources.sync import DatabaseSyncExecution, DatabaseSyncJobStatus
from .conditions import READY, with_condition

Summarized = BackupJobStatus | RestoreDrillStatus | DatabaseSyncJobStatus
Rank = tuple[datetime, str]
RESULTS: dict[Phase, Literal["Passed", "Failed", "Cancelled"]] = {
    "Completed": "Passed",
    "Failed": "Failed",
    "Cancelled": "Cancelled",
}


def rank(run: LastExecution) -> Rank:
    """Who has the higher one ended later; the name decides between runs of the same second."""
    return run.completion_time, run.name


def job_summary(status: BackupJobStatus, run: BackupExecution, *, now: datetime) -> BackupJobStatus | None:
    """The status after this run has ended; a run older than the latest one changes nothing."""
    latest, changes = _latest(status, run, now=now)
    if latest is None:
        return None
    if latest.phase == "Completed":
        changes["last_successful_time"] = latest.completion_time
        changes["last_successful_size_bytes"] = run.status.stored_bytes
    return status.model_copy(update=changes)


def drill_summary(status: RestoreDrillStatus, run: RestoreRequest, *, now: datetime) -> RestoreDrillStatus | None:
    """The same for a drill."""
    latest, changes = _latest(status, run, now=now)
    if latest is None:
        return None
    changes["last_drill_time"] = latest.completion_time
    changes["last_result"] = RESULTS[latest.phase]
    if latest.phase == "Completed":
        changes["last_passed_time"] = latest.completion_time
        changes["last_restore_seconds"] = run.status.restore_seconds
    return status.model_copy(update=changes)


def sync_summary(
    status: DatabaseSyncJobStatus, run: DatabaseSyncExecution, *, now: datetime
) -> DatabaseSyncJobStatus | None:
    """The same for a sync."""
    latest, changes = _latest(status, run, now=now)
    if latest is None:
        return None
    if latest.phase == "Completed":
        changes["last_successful_time"] = latest.completion_time
        changes["masking_digest"] = run.status.masking_digest
    return status.model_copy(update=changes)


def _latest(
    status: Summarized, run: Resource[Any, Any], *, now: datetime
) -> tuple[LastExecution | None, dict[str, Any]]:
    """The run, and the changes that are the same for all kinds; nothing when it is not the latest one."""
    ended, phase, known = run.status.completion_time, run.status.phase, status.last_execution
    if ended is None or phase is None:
        return None, {}
    latest = LastExecution(name=run.metadata.name, phase=phase, completion_time=ended)
    if known is not None and rank(known) >= rank(latest):
        return None, {}
    ready = next((condition for condition in run.status.conditions if condition.type == READY), None)
    conditions = with_condition(
        status.conditions,
        READY,
        status="True" if phase == "Completed" else "False",
        reason=ready.reason if ready else phase,
        message=f"{run.metadata.name}: {ready.message if ready else phase}"[:1024],
        now=now,
    )
    return latest, {"last_execution": latest, "conditions": conditions}
