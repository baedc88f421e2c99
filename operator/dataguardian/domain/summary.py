"""What a BackupJob's status says of its runs: is it safe?"""

from __future__ import annotations

from datetime import datetime

from ..resources.backup import BackupExecution, BackupJobStatus
from ..resources.execution import LastExecution
from .conditions import READY, with_condition


def job_summary(status: BackupJobStatus, run: BackupExecution, *, now: datetime) -> BackupJobStatus | None:
    """The status after this run has ended; a run older than the latest one changes nothing."""
    ended, phase = run.status.completion_time, run.status.phase
    if ended is None or phase is None:
        return None
    latest = status.last_execution
    if latest and (latest.name == run.metadata.name or latest.completion_time > ended):
        return None
    good = phase == "Completed"
    ready = next((condition for condition in run.status.conditions if condition.type == READY), None)
    changes: dict[str, object] = {
        "last_execution": LastExecution(name=run.metadata.name, phase=phase, completion_time=ended),
        "conditions": with_condition(
            status.conditions,
            READY,
            status="True" if good else "False",
            reason=ready.reason if ready else phase,
            message=f"{run.metadata.name}: {ready.message if ready else phase}"[:1024],
            now=now,
        ),
    }
    if good:
        changes["last_successful_time"] = ended
        changes["last_successful_size_bytes"] = run.status.stored_bytes
    return status.model_copy(update=changes)
