"""The backup that a sync kept its dump as → its entry in the catalogue, as soon as the sync has ended, however it did.

What is lost here, because the runner could not tell of it or the operator died, a listing of the location finds.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from ..domain.imports import stored_by_sync
from ..domain.naming import SYNC_EXECUTION, job_of_key, sync_backup_id, sync_backup_name
from ..domain.report import Report, StoredCopy
from ..domain.synced import kept_backup, kept_copy
from ..kube.client import JSON, Conflict, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution
from ..resources.common import API_VERSION
from ..resources.sync import DatabaseSyncExecution
from .context import Context
from .entry_status import change_execution
from .imports import alone, entry_spec


async def enter(
    context: Context, sync: DatabaseSyncExecution, report: Report, *, source: str | None, ended: datetime
) -> str | None:
    """Make the entry of the backup that the report tells of, if it does. Doing it twice is doing it once.

    Returns its name; None when there is no entry of the backup under it. Raises KubernetesUnavailable; an entry that is
    refused is told, and is no reason for the sync not to end.
    """
    kept = kept_copy(report)
    if kept is None:
        return None
    name, execution_id = sync_backup_name(sync.metadata.uid), sync_backup_id(sync.metadata.uid)

    async def make() -> str | None:
        entry = await _create(context, sync, name, kept)
        job = await context.catalog.read(BACKUP_JOB, entry.metadata.namespace, entry.spec.backup_job_ref.name)
        change = partial(
            stored_by_sync,
            backup=kept_backup(report, kept, job),
            sync=sync.metadata.name,
            execution_id=execution_id,
            source=source,
            generation=entry.metadata.generation,
            ended=ended,
        )
        entry = await change_execution(context, entry, change)
        if entry.execution_id != execution_id:
            return None
        context.unsummarized[entry.metadata.uid] = entry
        return name

    return await alone(name, make())


async def _create(context: Context, sync: DatabaseSyncExecution, name: str, kept: StoredCopy) -> BackupExecution:
    """The entry, made now or before. Raises Conflict when another BackupExecution has its name."""
    namespace = sync.metadata.namespace
    path = objects_path(BACKUP_EXECUTION, namespace)
    body: JSON = {
        "apiVersion": API_VERSION,
        "kind": BACKUP_EXECUTION.name,
        "metadata": {"name": name, "namespace": namespace, "labels": {SYNC_EXECUTION: sync.metadata.name}},
        "spec": entry_spec("Sync", job_of_key(kept.key), kept.location, kept.key),
    }
    try:
        return BackupExecution.read(await context.kube.create(path, body))
    except Conflict:
        there = BackupExecution.read(await context.kube.get(f"{path}/{name}"))
        if there.spec.source is None or there.spec.source.key != kept.key:
            raise
        return there
