"""The backup of the target before a restore changes it: made once, because it has one name."""

from __future__ import annotations

from ..domain.naming import RESTORE_REQUEST
from ..domain.readiness import Obstacle
from ..domain.safety import safety_backup, safety_job
from ..domain.status import is_terminal
from ..errors import SafetyBackupFailed, SpecInvalid
from ..kube.client import JSON, Conflict, objects_path
from ..kube.listing import pages
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from ..resources.common import API_VERSION
from ..resources.restore import RestoreRequest
from .context import Context
from .prepared import Known, NotYet, Prepared

SILENCE_S = 30.0


async def back_up_first(context: Context, request: RestoreRequest, prepared: Prepared) -> None:
    """Return when the target has been backed up, if the restore asks for it.

    Raises NotYet until then, SafetyBackupFailed when it could not be, and SpecInvalid when no BackupJob is of it.
    """
    name, target = safety_backup(request), prepared.source
    if name is None or target is None:
        return
    namespace = request.metadata.namespace
    backup = await context.catalog.read(BACKUP_EXECUTION, namespace, name)
    if backup is None:
        job = await _job(context, request, prepared.chosen, target.metadata.name)
        backup = await _create(context, request, name, job)
    if backup.status.phase == "Completed":
        return
    if is_terminal(backup.status):
        error = backup.status.error
        raise SafetyBackupFailed(
            f"BackupExecution {name!r}, the backup of the target, is {backup.status.phase}"
            + (f": {error.message}" if error else "."),
            remedy="Cure that and restore again; the target was not touched.",
        )
    told = f"BackupExecution {name!r} backs up the target first. The restore starts when it is completed."
    raise NotYet(Obstacle("SafetyBackupRunning", told), overdue=None, known=prepared.chosen)


async def _job(context: Context, request: RestoreRequest, chosen: Known, target: str) -> BackupJob:
    found: list[BackupJob] = []
    async for page in pages(context.kube, BACKUP_JOB, dict, silence_s=SILENCE_S, namespace=request.metadata.namespace):
        found += [BackupJob.read(body) for body in page]
    job = safety_job(chosen["backup_job"], await _part(context, request, chosen), target, found)
    if job is None:
        raise SpecInvalid(
            f"spec.safetyBackup: no BackupJob is known to back up all of Datasource {target!r} that is replaced.",
            remedy="Create one without options (it needs no schedule), or leave safetyBackup out.",
        )
    return job


async def _part(context: Context, request: RestoreRequest, chosen: Known) -> str | None:
    """Of which part of its database the backup is that is restored, as a digest of options; None when not known."""
    name = chosen["backup_execution"]
    backup = await context.catalog.read(BACKUP_EXECUTION, request.metadata.namespace, name) if name else None
    return backup.status.options_digest if backup else None


async def _create(context: Context, request: RestoreRequest, name: str, job: BackupJob) -> BackupExecution:
    namespace = request.metadata.namespace
    path = objects_path(BACKUP_EXECUTION, namespace)
    body: JSON = {
        "apiVersion": API_VERSION,
        "kind": BACKUP_EXECUTION.name,
        "metadata": {"name": name, "namespace": namespace, "labels": {RESTORE_REQUEST: request.metadata.name}},
        "spec": {"backupJobRef": {"name": job.metadata.name}, "trigger": "Safety"},
    }
    try:
        return BackupExecution.read(await context.kube.create(path, body))
    except Conflict:  # the answer to an earlier try was lost
        return BackupExecution.read(await context.kube.get(f"{path}/{name}"))
