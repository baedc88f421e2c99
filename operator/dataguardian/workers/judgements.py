"""What a judgement of a job's backups found, written into the job, with the time at which the next one is due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ..domain.health import is_usable
from ..domain.policies import put_off, retention_status
from ..domain.report import Report
from ..domain.told import RemovalDeferred, Told
from ..kube.status import change_status
from ..resources import storage_location
from ..resources.backup import BACKUP_JOB, BackupJob, BackupJobStatus
from ..resources.storage_location import StorageLocation
from .context import Context, now

# What is refused is tried again this late, so that a lock or a read-only location is not hammered.
RETRY = timedelta(hours=1)
LONGEST_RETRY = timedelta(days=1)
# A location that did not answer may be back before any check has seen it away.
UNREAD_RETRY = timedelta(minutes=1)


def usable_locations(context: Context, job: BackupJob) -> dict[str, StorageLocation]:
    """Those of the job's locations that can be used now, by their names."""
    found = {
        name: context.catalog.known(storage_location.KIND, job.metadata.namespace, name)
        for name in sorted(_names(context, job))
    }
    return {name: location for name, location in found.items() if location and is_usable(location)}


async def write_judgement(
    context: Context,
    job: BackupJob,
    report: Report,
    told: Sequence[Told] | None = None,
    *,
    generation: int,
    backups: str,
    look: datetime | None,
) -> None:
    """Write what a judgement found into the job, and when the next one is due. ``told``: by a cleanup."""
    moment = now()
    away = _names(context, job) - usable_locations(context, job).keys()
    waits = [] if told is None else put_off(report, told, sorted(away))
    retry = None
    if waits or report.failure:
        retry = _put_off(context, job, report, told or ())
    else:
        context.pauses.forget(("cleanup", job.metadata.uid))
        context.away.pop(job.metadata.uid, None)

    def change(current: BackupJob) -> BackupJobStatus:
        status = retention_status(
            current.status.retention,
            report,
            waits,
            generation=generation,
            backups=backups,
            retry=retry,
            look=look,
            now=moment,
        )
        stored = context.catalog.entries.stored(job.metadata.namespace, job.metadata.name)
        return current.status.model_copy(update={"retention": status, "backups": stored})

    context.catalog.put(BACKUP_JOB, await change_status(context.kube, BACKUP_JOB, job, change))


def _put_off(context: Context, job: BackupJob, report: Report, told: Iterable[Told]) -> datetime:
    """When what could not be done is tried again."""
    uid, usable = job.metadata.uid, usable_locations(context, job)
    refused = {line.location for line in told if isinstance(line, RemovalDeferred)}
    names = {*(_names(context, job) - usable.keys()), *report.unread, *refused}
    context.away[uid] = {name: name not in usable for name in names}
    first, longest = (UNREAD_RETRY, RETRY) if report.unread else (RETRY, LONGEST_RETRY)
    return context.pauses.begin(("cleanup", uid), first=first, longest=longest, now=now())


def _names(context: Context, job: BackupJob) -> set[str]:
    """The locations that the job names, and those that have backups of it."""
    named = {location.name for location in job.spec.storage.locations}
    return named | context.catalog.entries.locations(job.metadata.namespace, job.metadata.name)
