"""What happened → status, history, and the BackupJob's summary; then the Kubernetes Job may be collected.

A finished Kubernetes Job without a TTL is one whose result is not recorded: that mark survives every restart.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain import status as moves
from ..domain.executions import as_state
from ..domain.naming import DATASOURCE, OPERATION, OWNER_NAME, OWNER_UID
from ..domain.outcome import outcome
from ..domain.report import Report
from ..domain.summary import job_summary
from ..errors import Cancelled, DataGuardianError
from ..history import ExecutionRow, HistoryUnavailable, LogLine
from ..kube.client import JSON, Absent, jobs_path, pods_path
from ..kube.events import post_end
from ..kube.status import change_status
from ..resources import backup
from ..resources.backup import BackupExecution, BackupExecutionStatus
from ..resources.common import Resource, timestamp
from .context import Context, now
from .loop import attempt
from .operations import RUN_KINDS, RunKind

log = logging.getLogger(__name__)

Run = Resource[Any, Any]
TTL_SECONDS = 3600  # a recorded Kubernetes Job stays this long, for kubectl logs
LOG_LINES = 10_000  # of each try, the last ones: they tell how it ended


def observe(context: Context, job: JSON) -> None:
    """Note a finished Kubernetes Job of a run whose result is not recorded yet."""
    if job["metadata"]["labels"][OPERATION] in RUN_KINDS and job["spec"].get("ttlSecondsAfterFinished") is None:
        context.unrecorded[job["metadata"]["uid"]] = job


async def record_all(context: Context) -> None:
    """Record every finished Kubernetes Job; a step of the worker ``recorder``."""
    for uid, job in list(context.unrecorded.items()):
        if await attempt("recorder", partial(_record, context, job)):
            context.unrecorded.pop(uid, None)
    for row in list(context.unwritten.values()):
        if await attempt("recorder", partial(context.history.record, row)):
            context.unwritten.pop(row.id, None)
    await _summarize_all(context)


async def _record(context: Context, job: JSON) -> None:
    meta = job["metadata"]
    run_kind = RUN_KINDS[meta["labels"][OPERATION]]
    namespace, name = meta["namespace"], meta["annotations"][OWNER_NAME]
    pods = await context.kube.pods_of(namespace, meta["name"])
    run = await context.catalog.read(run_kind.kind, namespace, name)
    if run is not None and run.metadata.uid == meta["labels"][OWNER_UID]:
        step = run.status.progress.step if run.status.progress else "connect"
        report = outcome(job, pods, step=step)
        lines = await _log_lines(context, pods)
        run = await end(
            context, run_kind, run, report, ended_at=_ended_at(job), datasource=meta["annotations"].get(DATASOURCE)
        )
        await context.history.record(_row(run_kind, run, lines))
    try:
        await context.kube.patch(jobs_path(namespace, meta["name"]), {"spec": {"ttlSecondsAfterFinished": TTL_SECONDS}})
    except Absent:
        return


async def end(
    context: Context,
    run_kind: RunKind,
    run: Run,
    report: Report,
    *,
    ended_at: datetime,
    datasource: str | None = None,
) -> Run:
    """Completed or Failed in status, event and summary. Doing it twice is doing it once. Returns the run as it is.

    ``datasource`` is what the Kubernetes Job knows, for a run that ended before its start could be written.
    """

    def change(current: Run) -> Any:
        known = current.status.datasource or datasource
        return moves.ended(current.status.model_copy(update={"datasource": known}), report, now=ended_at)

    run = await change_status(context.kube, run_kind.kind, run, change)
    context.catalog.drop(run_kind.kind, run)
    log.info(
        "Run ended",
        extra={
            "action": "run_ended",
            "operation": run_kind.operation,
            "namespace": run.metadata.namespace,
            "run": run.metadata.name,
            "execution": run.metadata.uid,
            "phase": run.status.phase,
            "code": run.status.error.code if run.status.error else None,
        },
    )
    await attempt("recorder", partial(post_end, context.kube, run_kind.kind, run))  # never in the way of the row
    if isinstance(run, BackupExecution):
        context.unsummarized[run.metadata.uid] = run
        await _summarize_all(context)
    return run


async def record_state(context: Context, run_kind: RunKind, run: Run) -> None:
    """The row of a run as it is, without a log; kept and written later while history is away."""
    if as_state(run.status.phase) is None:
        return
    row = _row(run_kind, run, [])
    try:
        await context.history.record(row)
    except HistoryUnavailable as error:
        context.unwritten[row.id] = row
        log.warning("%s", error, extra={"action": "history_away", "execution": row.id})


async def record_deleted(context: Context, run_kind: RunKind, run: Run) -> None:
    """The row of a run whose object was deleted before its end: its Kubernetes Job went with it."""
    error = Cancelled("The run object was deleted.", remedy="Run again.")
    status = moves.ended(run.status, reports.failed(error, "connect"), now=now())
    if status is not None and status.queued_time is not None:
        await record_state(context, run_kind, run.model_copy(update={"status": status}))


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


async def _log_lines(context: Context, pods: list[JSON]) -> list[LogLine]:
    """The lines of all tries, oldest first. A pod whose log is gone adds nothing: the result counts more."""
    found: list[LogLine] = []
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        path = pods_path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
        try:
            async for line in context.kube.lines(path, {"tailLines": LOG_LINES}, silence_s=30):
                found.append(_log_line(line))
        except (Absent, DataGuardianError) as error:
            log.warning(
                "A log cannot be read: %s",
                error,
                extra={"action": "log_lost", "pod": pod["metadata"]["name"]},
            )
    return found


def _log_line(line: bytes) -> LogLine:
    """A line of the runner, or of something else in the pod as it is."""
    text = line.decode(errors="replace")
    try:
        fields = json.loads(text)
        return LogLine(ts=fields["ts"], level=fields["level"], message=fields["message"])
    except (ValueError, KeyError, TypeError):
        return LogLine(ts=timestamp(now()), level="info", message=text)


def _ended_at(job: JSON) -> datetime:
    """When the Kubernetes Job ended; the same however often it is asked."""
    for condition in job["status"].get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"])
    return now()


def _row(run_kind: RunKind, run: Run, lines: list[LogLine]) -> ExecutionRow:
    status = run.status
    state = as_state(status.phase)
    if state is None or status.queued_time is None:
        raise ValueError("a run that is not accepted has no row")
    is_backup = isinstance(run, BackupExecution)
    job = run.spec.backup_job_ref.name if is_backup else status.backup_job
    return ExecutionRow(
        id=run.metadata.uid,
        operation=run_kind.operation,
        namespace=run.metadata.namespace,
        job=job,
        name=run.metadata.name,
        datasource=status.datasource,
        trigger="schedule" if is_backup and run.spec.trigger == "Schedule" else "manual",
        status=state,
        queued_at=status.queued_time,
        started_at=status.start_time,
        finished_at=status.completion_time,
        dump_bytes=status.dump_bytes,
        stored_bytes=status.stored_bytes,
        checksum=status.checksum if isinstance(status, BackupExecutionStatus) else None,
        error_code=status.error.code if status.error else None,
        error_message=status.error.message if status.error else None,
        copies=[copy.wire() for copy in status.copies] if isinstance(status, BackupExecutionStatus) else None,
        logs=lines,
    )
