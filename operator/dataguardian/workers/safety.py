"""The backup of the target before a restore changes it: made once, because it has one name."""

from __future__ import annotations

from dataclasses import replace

from ..domain.naming import RESTORE_REQUEST
from ..domain.readiness import Obstacle
from ..domain.safety import note_of, refuse_stranger, safety_backup, safety_job
from ..domain.status import is_terminal
from ..errors import SafetyBackupFailed, SpecInvalid
from ..kube.client import JSON, Conflict, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from ..resources.common import API_VERSION
from ..resources.restore import RestoreRequest
from .context import Context, now
from .prepared import Known, NotYet, Prepared


async def back_up_first(context: Context, request: RestoreRequest, prepared: Prepared) -> Prepared:
    """Return when the target has been backed up, if the restore asks for it; what is worth knowing of that is a note.

    Raises NotYet until then, SafetyBackupFailed when it could not be, and SpecInvalid when no BackupJob is of it, or
    when what has its name is no such backup.
    """
    name = safety_backup(request)
    if name is None or not prepared.datasources:
        return prepared
    (target,) = prepared.datasources
    source, restored = target.metadata.name, await _restored(context, request, prepared.chosen)
    backup = await context.catalog.read(BACKUP_EXECUTION, request.metadata.namespace, name)
    if backup is None:
        job = await _job(context, request, prepared.chosen["backup_job"], restored, source)
        backup = await _create(context, request, name, job)
    refuse_stranger(backup, source, restored)
    if backup.status.phase == "Completed":
        return replace(prepared, chosen={**prepared.chosen, "note": note_of(backup, now=now())})
    if is_terminal(backup.status):
        error = backup.status.error
        raise SafetyBackupFailed(
            f"BackupExecution {name!r}, the backup of the target, is {backup.status.phase}"
            + (f": {error.message}" if error else "."),
            remedy="Cure that and restore again; the target was not touched.",
        )
    told = f"BackupExecution {name!r} backs up the target first. The restore starts when it is completed."
    raise NotYet(Obstacle("SafetyBackupRunning", told), overdue=None, known=prepared.chosen)


async def _restored(context: Context, request: RestoreRequest, chosen: Known) -> str | None:
    """Of which part of its database the backup is that is restored, as a digest of options; None when not known."""
    name = chosen["backup_execution"]
    backup = await context.catalog.read(BACKUP_EXECUTION, request.metadata.namespace, name) if name else None
    return backup.status.options_digest if backup else None


async def _job(
    context: Context, request: RestoreRequest, own: str | None, restored: str | None, target: str
) -> BackupJob:
    found = await context.catalog.listed(BACKUP_JOB, request.metadata.namespace)
    job = safety_job(own, restored, target, found)
    if job is None:
        raise SpecInvalid(
            f"spec.safetyBackup: no BackupJob is known to back up all of Datasource {target!r} that is replaced.",
            remedy="Create one without options (it needs no schedule), or leave safetyBackup out.",
        )
    return job


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
