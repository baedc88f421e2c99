"""Which folders of a job somebody still needs who has not ended: they are no left-overs, however old they are."""

from __future__ import annotations

from ..domain.naming import run_folder, sync_backup_id
from ..resources import backup, sync
from ..resources.backup import BackupExecution, BackupJob
from .catalog import Catalog

RETRIES = 8  # of retries of retries: so many folders are looked at


async def folders_in_use(catalog: Catalog, job: BackupJob, *, but: str = "") -> list[str]:
    """The names of the folders of the job's runs that have not ended, of the failed runs that these try again, of
    backups that miss a copy: one may be on its way, and of syncs that may keep their dump as a backup of the job.
    ``but`` is the UID of a run that does not count."""
    namespace, name = job.metadata.namespace, job.metadata.name
    found: set[str] = set()
    for run in catalog.all(backup.BACKUP_EXECUTION):
        is_of_job = run.metadata.namespace == namespace and run.spec.backup_job_ref.name == name
        if is_of_job and run.metadata.uid != but:
            found.update(folder_of(each) for each in (run, *await tried_before(catalog, run)))
    for execution in catalog.all(sync.DATABASE_SYNC_EXECUTION):
        meta = execution.metadata
        if meta.namespace == namespace:
            found.add(run_folder(sync_backup_id(meta.uid), meta.creation_timestamp))
    for entry in catalog.entries.of_job(namespace, name):
        if entry.incomplete:
            found.update(copy.key.split("/")[-2] for copy in entry.copies if copy.key.count("/"))
    return sorted(found)


async def tried_before(catalog: Catalog, execution: BackupExecution) -> list[BackupExecution]:
    """The run that it tries again, and the one that that one tried again, and so on, as far as they exist."""
    found: list[BackupExecution] = []
    while (name := (found[-1] if found else execution).spec.retry_of) and len(found) < RETRIES:
        before = await catalog.read(backup.BACKUP_EXECUTION, execution.metadata.namespace, name)
        if before is None:
            break
        found.append(before)
    return found


def folder_of(execution: BackupExecution) -> str:
    """The name of a run's folder."""
    return run_folder(execution.metadata.uid, execution.metadata.creation_timestamp)
