"""The backup of the target before a restore changes it: if there is one, by which job, and what is taken for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..errors import SpecInvalid
from ..resources.backup import BackupExecution, BackupJob, DumpOptions
from ..resources.common import timestamp
from ..resources.restore import RestoreRequest
from .catalogue import STORED
from .naming import safety_run_name
from .planning import options_digest

WHOLE = options_digest(DumpOptions())
FRESH = timedelta(minutes=10)  # what was written to the target since the data of its backup, nobody tells of


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


def refuse_stranger(found: BackupExecution, target: str, restored: str | None) -> None:
    """Raise SpecInvalid for a BackupExecution with the name of the safety backup that is, or has become, none: anybody
    may make one of this name. ``restored`` is the part that is replaced, as a digest of options."""
    if why := _strange(found, target, restored):
        raise SpecInvalid(
            f"BackupExecution {found.metadata.name!r} is no backup of the target that the restore can count on: {why}.",
            remedy="Create the RestoreRequest anew: its target is then backed up under another name.",
        )


def _strange(found: BackupExecution, target: str, restored: str | None) -> str | None:
    status = found.status
    if found.spec.trigger != "Safety":
        return f"its trigger is {found.spec.trigger}"
    if status.phase != "Completed":
        return None
    if status.datasource != target:
        named = f"Datasource {status.datasource!r}" if status.datasource else "no known Datasource"
        return f"it is of {named} and not of {target!r}"
    if not covers(status.options_digest, restored):
        return "it is of a part of what is replaced"
    if all(copy.state != STORED for copy in status.copies):
        return "it has no stored copy"
    return None


def note_of(found: BackupExecution, *, now: datetime) -> str | None:
    """What is worth knowing of the safety backup when the restore starts, which may have waited for long."""
    dumped = found.status.dump_time or found.status.start_time
    if dumped is None or now - dumped <= FRESH:
        return None
    name = found.metadata.name
    return f"The backup of the target, {name}, has its data of {timestamp(dumped)}; what came later it has not."
