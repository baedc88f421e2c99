"""The backup of the target before a restore changes it: whether there is one, and by which job."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources.backup import BackupJob, DumpOptions
from ..resources.restore import RestoreRequest
from .naming import safety_run_name
from .planning import options_digest

WHOLE = options_digest(DumpOptions())


def safety_backup(request: RestoreRequest) -> str | None:
    """Name of the BackupExecution of the target that the restore asks for first; None when it asks for none."""
    wanted = request.spec.safety_backup and not request.spec.dry_run
    return safety_run_name(request.metadata.uid) if wanted else None


def covers(part: str | None, restored: str | None) -> bool:
    """Whether a backup of this part of the target has all that a restore of that part replaces, as far as is known.

    Both are digests of options; None is unknown.
    """
    return part == WHOLE or (part is not None and part == restored)


def safety_job(own: str | None, restored: str | None, target: str, jobs: Iterable[BackupJob]) -> BackupJob | None:
    """The BackupJob that backs up the target before it is changed: one that covers what is ``restored``, the widest
    first; of several that which made the backup, ``own``, else the first by name."""

    def part(job: BackupJob) -> str:
        return options_digest(job.spec.options)

    found = [job for job in jobs if job.spec.datasource_ref.name == target and covers(part(job), restored)]
    return min(found, key=lambda job: (part(job) != WHOLE, job.metadata.name != own, job.metadata.name), default=None)
