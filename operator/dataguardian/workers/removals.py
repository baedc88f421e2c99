"""What retention decided, written down: entries, events, and the audit log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from uuid import NAMESPACE_URL, uuid5

from ..domain.naming import PROGRAM
from ..domain.policies import decisions
from ..domain.told import BackupRemoved, Told, UnfinishedRemoved
from ..history import AuditRow
from ..kube import events
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from . import rows
from .context import Context, now
from .entry_status import change_entry, read_entry
from .loop import attempt

log = logging.getLogger(__name__)

ACTION = "backup.removed"
UNFINISHED = "unfinished.removed"


async def learn(context: Context, job: BackupJob, told: Sequence[Told]) -> None:
    """Write what retention decided into the entries of the job's backups, with an audit row for each removal, and an
    event for that of a backup. Doing it twice is doing it once.
    """
    namespace, entries = job.metadata.namespace, context.catalog.entries
    for execution_id, decision in decisions(told).items():
        entry = entries.of_id(namespace, execution_id)
        if entry is not None and decision.changes(entry):
            await change_entry(context, entry, decision.applied)
    for line in told:
        if isinstance(line, BackupRemoved):
            await _tell(context, job, line)
        elif isinstance(line, UnfinishedRemoved):
            _tell_unfinished(context, job, line)


def _tell_unfinished(context: Context, job: BackupJob, line: UnfinishedRemoved) -> None:
    row = AuditRow(
        id=str(uuid5(NAMESPACE_URL, f"dataguardian:{UNFINISHED}:{line.folder}:{line.location}")),
        at=now(),
        who=PROGRAM,
        action=UNFINISHED,
        namespace=job.metadata.namespace,
        object_kind=BACKUP_JOB.name,
        object_name=job.metadata.name,
        outcome="success",
        detail={"location": line.location, "folder": line.folder, "stored_bytes": line.stored_bytes},
    )
    rows.audit(context, row)
    fields = {"action": "unfinished_removed", "location": line.location, "folder": line.folder}
    log.info("What a run left was removed", extra=fields)


async def _tell(context: Context, job: BackupJob, line: BackupRemoved) -> None:
    namespace = job.metadata.namespace
    entry = context.catalog.entries.of_id(namespace, line.execution_id)
    id_ = uuid5(NAMESPACE_URL, f"dataguardian:{ACTION}:{line.execution_id}:{line.location}")
    row = AuditRow(
        id=str(id_),
        at=now(),
        who=PROGRAM,
        action=ACTION,
        namespace=namespace,
        object_kind=BACKUP_EXECUTION.name,
        object_name=entry.name if entry else line.execution_name,
        outcome="success",
        detail={
            "backup_job": job.metadata.name,
            "location": line.location,
            "key": line.key,
            "reason": line.reason,
        },
        execution_id=line.execution_id,
    )
    rows.audit(context, row)
    log.info(
        "Backup removed",
        extra={"action": "backup_removed", "execution": line.execution_id, "location": line.location, "key": line.key},
    )
    execution = await read_entry(context, entry) if entry else None
    if execution is not None:
        event = partial(
            events.post,
            context.kube,
            BACKUP_EXECUTION,
            execution,
            name=f"{execution.metadata.name}.{id_}",
            at=now(),
            reason="BackupRemoved",
            message=f"Removed from StorageLocation {line.location!r}: {line.reason}",
            warning=False,
        )
        await attempt("cleanup", event)  # never in the way of what is left to learn
