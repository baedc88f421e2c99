"""Old run objects of runs that left nothing are deleted; their rows in history stay."""

from __future__ import annotations

import logging
from functools import partial

from ..domain.catalogue import STORED, Entry
from ..domain.limits import superseded
from ..domain.naming import kubernetes_job_name
from ..domain.status import is_terminal
from ..kube.client import Absent, Conflict, jobs_path, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution
from .context import Context
from .entry_status import read_entry
from .loop import attempt

log = logging.getLogger(__name__)

TICK_S = 60.0


async def limit_all(context: Context) -> None:
    """Delete what is beyond the limits of each job that exists; a step of the worker ``history-limits``."""
    retried = {
        (run.metadata.namespace, run.spec.retry_of)
        for run in context.catalog.all(BACKUP_EXECUTION)
        if run.spec.retry_of is not None
    }
    for job in context.catalog.all(BACKUP_JOB):
        entries = context.catalog.entries.of_job(job.metadata.namespace, job.metadata.name)
        for entry in superseded(job, entries):
            if (entry.namespace, entry.name) not in retried:
                await attempt("history-limits", partial(_delete, context, entry))


async def _delete(context: Context, entry: Entry) -> None:
    execution = await read_entry(context, entry)
    if execution is None or _is_wanted(execution) or not await _is_recorded(context, entry):
        return
    path = objects_path(BACKUP_EXECUTION, entry.namespace, entry.name)
    try:
        await context.kube.delete(path, as_seen=execution.metadata)
    except Conflict:
        return  # it has changed, and is judged again
    context.catalog.entries.forget(entry)
    log.info("Run object deleted", extra={"action": "run_deleted", "namespace": entry.namespace, "run": entry.name})


def _is_wanted(execution: BackupExecution) -> bool:
    """Whether the object as it is now must stay."""
    return not is_terminal(execution.status) or any(copy.state == STORED for copy in execution.status.copies)


async def _is_recorded(context: Context, entry: Entry) -> bool:
    """Whether nothing of the run waits to be written: its Kubernetes Job, and so its log, goes with the object."""
    waiting = (entry.execution_id in context.unwritten, entry.uid in context.unsummarized)
    if any(waiting):
        return False
    try:
        job = await context.kube.get(jobs_path(entry.namespace, kubernetes_job_name("backup", entry.name)))
    except Absent:
        return True
    return job["spec"].get("ttlSecondsAfterFinished") is not None
