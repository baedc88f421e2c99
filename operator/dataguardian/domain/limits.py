"""History limits: which run objects of a job may be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources.backup import BackupJob
from .catalogue import Entry


def superseded(job: BackupJob, entries: Iterable[Entry]) -> list[Entry]:
    """The oldest entries beyond the job's limits, among its own that are stored nowhere.

    Each limit keeps so many of the newest: of failed and cancelled runs, and of completed runs whose backup is gone.
    """
    gone = sorted(
        (entry for entry in entries if _is_of(entry, job) and not entry.stored),
        key=lambda entry: (entry.ended, entry.name),
        reverse=True,
    )
    completed = [entry for entry in gone if entry.phase == "Completed"]
    others = [entry for entry in gone if entry.phase in ("Failed", "Cancelled")]
    spec = job.spec
    return [*completed[spec.successful_history_limit :], *others[spec.failed_history_limit :]]


def _is_of(entry: Entry, job: BackupJob) -> bool:
    return (entry.namespace, entry.job) == (job.metadata.namespace, job.metadata.name)
