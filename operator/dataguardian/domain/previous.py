"""Databases that were a target before a Swap, and are kept for a while: when each of them goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..resources.sync import DatabaseSyncExecution, DatabaseSyncExecutionStatus, PreviousDatabase
from .report import Report
from .status import is_terminal

# The server that drops it goes by its own clock.
CLOCKS = timedelta(seconds=30)
OTHER_SERVER = (
    "The Datasource leads to another server than the one that has it, or its user may no longer read which one it is. "
    "Correct spec.host and spec.port; when that server is gone for good, delete this object."
)


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


def why_left(report: Report, kept: PreviousDatabase) -> str | None:
    """Why the database may still be there, as the runner tells that was to drop it; None when it is gone.

    Only a word about this database counts, and only from the server that the sync has seen, as far as that is known.
    """
    if report.failure:
        return f"{report.failure.message} {report.failure.remedy}"
    found = report.previous
    if found is None or found.name != kept.name:
        return "The runner has not told what became of it."
    if kept.server_identity not in (None, found.server_identity):
        return OTHER_SERVER
    return (found.reason or "It is still there.") if found.state == "left" else None


def dropped(status: DatabaseSyncExecutionStatus, *, now: datetime) -> DatabaseSyncExecutionStatus | None:
    """The status once the database is gone; None when it says so already."""
    kept = status.previous_database
    if kept is None or kept.dropped_time is not None:
        return None
    return status.model_copy(update={"previous_database": kept.model_copy(update={"dropped_time": now})})
