"""History limits: which run objects may be deleted of what runs by a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..resources.backup import BackupJob, BackupJobSpec
from ..resources.drill import RestoreDrill, RestoreDrillSpec
from ..resources.sync import DatabaseSyncJob, DatabaseSyncJobSpec
from .catalogue import Entry
from .ended_runs import EndedRun
from .summary import rank

EndedT = TypeVar("EndedT", bound=Entry | EndedRun)


def superseded(job: BackupJob, entries: Iterable[Entry]) -> list[Entry]:
    """The oldest entries beyond the job's limits, among its own that are stored nowhere.

    Each limit keeps so many of the newest: of failed and cancelled runs, and of completed runs whose backup is gone.
    """
    return _beyond(job.spec, (entry for entry in entries if _is_of(entry, job) and not entry.stored))


def superseded_runs(owner: RestoreDrill | DatabaseSyncJob, runs: Iterable[EndedRun]) -> list[EndedRun]:
    """The oldest of its runs beyond its limits; never one that its status names, or does not know of yet."""
    latest = owner.status.last_execution
    return [run for run in _beyond(owner.spec, runs) if latest is not None and run.rank < rank(latest)]


def _beyond(limits: BackupJobSpec | RestoreDrillSpec | DatabaseSyncJobSpec, ended: Iterable[EndedT]) -> list[EndedT]:
    newest = sorted(ended, key=lambda run: (run.ended, run.name), reverse=True)
    completed = [run for run in newest if run.phase == "Completed"]
    others = [run for run in newest if run.phase in ("Failed", "Cancelled")]
    return [*completed[limits.successful_history_limit :], *others[limits.failed_history_limit :]]


def _is_of(entry: Entry, job: BackupJob) -> bool:
    return (entry.namespace, entry.job) == (job.metadata.namespace, job.metadata.name)
