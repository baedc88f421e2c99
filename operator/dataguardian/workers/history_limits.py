"""Old run objects of runs that left nothing are deleted; their rows in history stay."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from ..domain.catalogue import STORED, Entry
from ..domain.ended_runs import EndedRun
from ..domain.limits import superseded, superseded_runs
from ..domain.naming import kubernetes_job_name
from ..domain.previous import previous_of
from ..domain.status import is_terminal
from ..kube.client import Absent, Conflict, jobs_path, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution
from ..resources.common import Kind, Resource
from ..resources.sync import DatabaseSyncExecution
from . import rows
from .context import Context, now
from .loop import attempt
from .operations import RunKind, run_kind_of
from .scheduled import SCHEDULED

log = logging.getLogger(__name__)

TICK_S = 60.0

Run = Resource[Any, Any]
Old = tuple[Kind[Any], Entry | EndedRun]


async def limit_all(context: Context) -> None:
    """Delete what is beyond the limits of each object that runs by a schedule; a step of the worker ``history-limits``.

    Raises HistoryUnavailable: without history nothing is known to be recorded.
    """
    old = [*_old_backups(context), *_old_runs(context)]
    if old:
        await context.history.check()
    for kind, ended in old:
        await attempt("history-limits", partial(_delete, context, kind, ended))


def _old_backups(context: Context) -> list[Old]:
    retried = {
        (run.metadata.namespace, run.spec.retry_of)
        for run in context.catalog.all(BACKUP_EXECUTION)
        if run.spec.retry_of is not None
    }
    return [
        (BACKUP_EXECUTION, entry)
        for job in context.catalog.all(BACKUP_JOB)
        for entry in superseded(job, context.catalog.entries.of_job(job.metadata.namespace, job.metadata.name))
        if (entry.namespace, entry.name) not in retried
    ]


def _old_runs(context: Context) -> list[Old]:
    catalog = context.catalog
    return [
        (scheduled.run_kind, run)
        for scheduled in SCHEDULED.values()
        if (ended := catalog.ended_runs.get(scheduled.run_kind.plural))
        for owner in catalog.all(scheduled.kind)
        for run in superseded_runs(owner, ended.of_owner(owner.metadata.namespace, owner.metadata.name))
        if not catalog.previous.is_kept(run.uid)  # it is dropped by what its run says
    ]


async def _delete(context: Context, kind: Kind[Any], old: Entry | EndedRun) -> None:
    run = await context.catalog.read(kind, old.namespace, old.name)
    if run is not None and run.metadata.uid == old.uid:
        if _is_wanted(run) or not await _is_recorded(context, run_kind_of(run), run):
            return
        try:
            await context.kube.delete(objects_path(kind, old.namespace, old.name), as_seen=run.metadata)
        except Conflict:
            return  # it has changed, and is judged again
        log.info("Run object deleted", extra={"action": "run_deleted", "namespace": old.namespace, "run": old.name})
    if isinstance(old, Entry):
        context.catalog.entries.forget(old)
    else:
        context.catalog.ended_runs[kind.plural].forget(old)


def _is_wanted(run: Run) -> bool:
    """Whether the object as it is now must stay."""
    is_stored = isinstance(run, BackupExecution) and any(copy.state == STORED for copy in run.status.copies)
    has_left = isinstance(run, DatabaseSyncExecution) and previous_of(run) is not None
    return is_stored or has_left or not is_terminal(run.status)


async def _is_recorded(context: Context, run_kind: RunKind, run: Run) -> bool:
    """Whether history has all of the run: its Kubernetes Job, and so its log, goes with the object."""
    row = rows.row_of(run_kind, run, observed_at=now())
    uid = run.metadata.uid
    if row is None or row.id in context.unwritten or uid in context.unsummarized or uid in context.unproven:
        return False
    known = (await context.history.recorded([row])).get(row.id)
    if known is None or known.is_behind(row):
        return False
    meta = run.metadata
    try:
        job = await context.kube.get(jobs_path(meta.namespace, kubernetes_job_name(run_kind.operation, meta.name)))
    except Absent:
        return True
    return job["spec"].get("ttlSecondsAfterFinished") is not None
