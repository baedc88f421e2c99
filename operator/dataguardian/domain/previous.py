"""Databases that were a target before a Swap, and are kept for a while: when each of them goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..resources.sync import DatabaseSyncExecution, DatabaseSyncExecutionStatus
from .report import Report
from .status import is_terminal

# The server that drops it goes by its own clock.
CLOCKS = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Previous:
    """What a DatabaseSyncExecution has left on the server of its target."""

    namespace: str
    name: str  # of the execution
    uid: str
    target: str  # Datasource
    drop_time: datetime

    @property
    def due(self) -> datetime:
        """When it may be dropped for certain."""
        return self.drop_time + CLOCKS


def previous_of(execution: DatabaseSyncExecution) -> Previous | None:
    """What the execution has left; None when that is nothing, is dropped, or is not certain yet."""
    meta, status = execution.metadata, execution.status
    kept = status.previous_database
    if kept is None or kept.dropped_time is not None or status.datasource is None or not is_terminal(status):
        return None
    return Previous(meta.namespace, meta.name, meta.uid, status.datasource, kept.drop_time)


def why_left(report: Report, name: str) -> str | None:
    """Why the database is still there, as the runner tells that was to drop it; None when it is gone.

    A runner leaves what it cannot drop, and says so in a warning: there may be others that it can.
    """
    if report.failure:
        return f"{report.failure.message} {report.failure.remedy}"
    return next((warning for warning in report.warnings if name in warning), None)


def dropped(status: DatabaseSyncExecutionStatus, *, now: datetime) -> DatabaseSyncExecutionStatus | None:
    """The status once the database is gone; None when it says so already."""
    kept = status.previous_database
    if kept is None or kept.dropped_time is not None:
        return None
    return status.model_copy(update={"previous_database": kept.model_copy(update={"dropped_time": now})})
