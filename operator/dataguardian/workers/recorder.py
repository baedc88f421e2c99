"""What happened → status, event, and the BackupJob's summary; and what is told to history.

A finished Kubernetes Job without a TTL is one whose result is not recorded: that mark survives every restart.
Nothing here waits for Postgres: ``rows`` and ``run_logs`` write what is left for them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain import status as moves
from ..domain.naming import OPERATION, OWNER_NAME, OWNER_UID
from ..domain.outcome import finished_at, going, lost, outcome
from ..domain.pods import runner_report
from ..domain.report import Report
from ..domain.summary import job_summary
from ..errors import Cancelled, DataGuardianError
from ..history import LogLine
from ..history.executions import RUN_DELETED
from ..kube.client import JSON
from ..kube.events import post_end
from ..kube.status import change_status
from ..resources import backup
from ..resources.backup import BackupExecution
from ..resources.common import Resource
from ..resources.sync import DatabaseSyncExecution
from . import audited, line, lost_results, rows, run_jobs, run_logs, sync_backups
from .context import Context, now
from .loop import attempt
from .operations import RUN_KINDS, RunKind
from .prepared import NOTHING, Known

log = logging.getLogger(__name__)

Run = Resource[Any, Any]


def observe(context: Context, job: JSON) -> None:
    """Note a finished Kubernetes Job of a run whose result is not recorded yet.

    One that is being deleted tells only that it is: what its pod said counts, and who deleted it sees to that.
    """
    uid = job["metadata"]["uid"]
    is_run = job["metadata"]["labels"][OPERATION] in RUN_KINDS
    recorded = uid in context.unlogged or job["spec"].get("ttlSecondsAfterFinished") is not None
    if is_run and not recorded and not going(job):
        context.unrecorded[uid] = job


def unobserve(context: Context, job: JSON) -> None:
    """Note that a Kubernetes Job is gone, and its log with it."""
    context.unrecorded.pop(job["metadata"]["uid"], None)
    context.unlogged.pop(job["metadata"]["uid"], None)


async def record_all(context: Context) -> None:
    """Write how each finished Kubernetes Job ended; a step of the worker ``recorder``."""
    for job in list(context.unrecorded.values()):
        await attempt("recorder", partial(_record, context, job))
    await _summarize_all(context)


async def _record(context: Context, job: JSON) -> None:
    meta = job["metadata"]
    run_kind = RUN_KINDS[meta["labels"][OPERATION]]
    namespace, name = meta["namespace"], meta["annotations"][OWNER_NAME]
    run = await context.catalog.read(run_kind.kind, namespace, name)
    if run is None or run.metadata.uid != meta["labels"][OWNER_UID]:
        await run_logs.let_go(context, namespace, meta["name"])
        context.unrecorded.pop(meta["uid"], None)
        return
    pods = await context.kube.pods_of(namespace, meta["name"])
    report = await found_again(context, run, outcome(job, pods, step=step_of(run)))
    if report is None:
        return
    known = run_jobs.chosen(run_kind, run, job)
    run = await end(context, run_kind, run, report, ended_at=finished_at(job) or now(), known=known)
    record_state(context, run_kind, run)
    row = rows.row_of(run_kind, run, observed_at=now())
    if row is not None:
        rows.keep(context, row)
        run_logs.expect(context, job, pods, row)  # last: with its log written, the Kubernetes Job may be collected
    context.unrecorded.pop(meta["uid"], None)


async def found_again(context: Context, run: Run, report: Report, *, is_lost: bool | None = None) -> Report | None:
    """How a run ended that ended like this as far as Kubernetes knows; None while the store is asked about it.

    A runner that left no word may have done its work all the same: its pod as it was last seen may tell, and for a
    backup the store. ``is_lost`` says whether there is no word; else the report does.
    """
    if moves.is_terminal(run.status) or not (lost(report) if is_lost is None else is_lost):
        return report
    word = runner_report(context.pods.get(run.metadata.uid))
    if word is not None and word.completed:
        return word
    return await lost_results.verdict(context, run, report) if isinstance(run, BackupExecution) else report


async def end(
    context: Context,
    run_kind: RunKind,
    run: Run,
    report: Report,
    *,
    ended_at: datetime,
    known: Known = NOTHING,
    only_queued: bool = False,
) -> Run:
    """Completed, Failed or Cancelled in status, event and summary. Doing it twice is doing it once. Returns the run as
    it is; with ``only_queued`` one that has started meanwhile stays as it is.

    ``known`` is what the Kubernetes Job knows, for a run that ended before its start could be written.
    """
    if isinstance(run, DatabaseSyncExecution):
        source = run.status.source or known.get("source")
        entry = await sync_backups.enter(context, run, report, source=source, ended=ended_at)
        known = {**known, "backup_execution": entry}
    moved = False

    def change(current: Run) -> Any:
        nonlocal moved
        missing = {name: value for name, value in known.items() if getattr(current.status, name) is None}
        ended = moves.ended(current.status.model_copy(update=missing), report, now=ended_at)
        moved = ended is not None and not (only_queued and current.status.phase != "Queued")
        return ended if moved else None

    run = await change_status(context.kube, run_kind.kind, run, change)
    context.catalog.put(run_kind.kind, run)
    if not moves.is_terminal(run.status):
        return run
    code = run.status.error.code if run.status.error else None
    ended = {"action": "run_ended", "phase": run.status.phase, "code": code, **fields(run_kind, run)}
    log.info("Run ended", extra=ended)
    await attempt("recorder", partial(post_end, context.kube, run_kind.kind, run))  # never in the way of the row
    if isinstance(run, BackupExecution):
        context.unsummarized[run.metadata.uid] = run
        await _summarize_all(context)
    if moved:
        await line.freed(context, run)
    return run


async def fail(context: Context, run_kind: RunKind, run: Run, error: DataGuardianError) -> None:
    """End a run whose runner never began."""
    run = await end(context, run_kind, run, reports.failed(error, step_of(run)), ended_at=now())
    record_state(context, run_kind, run)


def record_state(context: Context, run_kind: RunKind, run: Run, lines: Sequence[LogLine] = ()) -> None:
    """Have the row of a run brought to what its object says; also after its end, when its copies have changed.

    ``lines`` is its log, from who has read it before its pod went.
    """
    row = rows.row_of(run_kind, run, observed_at=now(), logs=lines)
    if row is not None:
        rows.keep(context, row)
    audited.tell_run(context, run)


def record_deleted(context: Context, run_kind: RunKind, run: Run) -> None:
    """The row of a run whose object was deleted before its end: its Kubernetes Job went with it."""
    error = Cancelled(RUN_DELETED, remedy="Run again.")
    status = moves.ended(run.status, reports.failed(error, step_of(run)), now=now())
    if status is not None and status.queued_time is not None:
        record_state(context, run_kind, run.model_copy(update={"status": status}))


async def forget(context: Context, run_kind: RunKind, run: Run) -> None:
    """Give up a run whose object is gone; its Kubernetes Job goes with it."""
    context.catalog.drop(run_kind.kind, run)
    record_deleted(context, run_kind, run)
    if not moves.is_terminal(run.status):
        await line.freed(context, run)


def step_of(run: Run) -> str:
    """The last step of a run that is known."""
    return run.status.progress.step if run.status.progress else "connect"


def fields(run_kind: RunKind, run: Run) -> dict[str, str]:
    """Which run a line of the operator's log is about."""
    return {
        "operation": run_kind.operation,
        "namespace": run.metadata.namespace,
        "run": run.metadata.name,
        "execution": run.metadata.uid,
    }


async def _summarize_all(context: Context) -> None:
    for uid, run in list(context.unsummarized.items()):
        if await attempt("recorder", partial(_summarize, context, run)):
            context.unsummarized.pop(uid, None)


async def _summarize(context: Context, run: BackupExecution) -> None:
    job = await context.catalog.read(backup.BACKUP_JOB, run.metadata.namespace, run.spec.backup_job_ref.name)
    if job is None:
        return
    job = await change_status(
        context.kube, backup.BACKUP_JOB, job, lambda current: job_summary(current.status, run, now=now())
    )
    context.catalog.put(backup.BACKUP_JOB, job)
