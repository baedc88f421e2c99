"""Run objects → Kubernetes Jobs: the backup and the restore worker, and the sweep that needs no queue.

Queue entries are hints. An entry is acknowledged whatever came of it, because the sweep queues again each run object
that is still Queued; and a run is started once because its Kubernetes Job has one name.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain import status as moves
from ..domain.naming import OWNER_UID, kubernetes_job_name
from ..domain.outcome import finished, last_try, waiting_reason
from ..domain.readiness import Obstacle
from ..domain.report import Report
from ..errors import DataGuardianError, NotFound, NotStarted, RunnerLost, SpecInvalid
from ..kube.client import JSON, Absent, ApiRefused, Conflict, jobs_path
from ..kube.jobs import job_manifest
from ..kube.status import change_status
from ..queue import Entry, QueueUnavailable
from ..resources.backup import BackupExecution
from ..resources.common import Resource
from . import recorder
from .context import Context, now
from .loop import attempt, enrol
from .operations import RUN_KINDS, NotYet, Prepared, RunKind

log = logging.getLogger(__name__)

SWEEP_S = 30.0
TAKE = 8  # entries at once
BLOCK_MS = 2000
QUEUE_AWAY_S = 30.0  # after which runs start without the queue
QUEUE_DEADLINE = timedelta(hours=1)  # for a run whose references stay missing
START_DEADLINE = timedelta(minutes=10)  # for a pod that does not start
CURE = "Cure what the message says, and run again."
LOST_AFTER = timedelta(minutes=2)  # a Running run without a Kubernetes Job

Run = Resource[Any, Any]


async def accept(context: Context, run_kind: RunKind, run: Run) -> None:
    """Queued, from nothing: status, row, queue entry. An import is no run."""
    if isinstance(run, BackupExecution) and run.is_import:
        return
    meta = run.metadata
    run = await change_status(
        context.kube,
        run_kind.kind,
        run,
        lambda current: moves.accepted(current.status, uid=meta.uid, generation=current.metadata.generation, now=now()),
    )
    context.catalog.put(run_kind.kind, run)
    recorder.record_state(context, run_kind, run)
    await _push(context, run_kind, run)


async def work(context: Context, run_kind: RunKind) -> None:
    """The worker of one queue; never returns."""
    worker = f"{run_kind.operation}"

    async def step() -> None:
        for entry in await context.queue.take(run_kind.queue, count=TAKE, block_ms=BLOCK_MS):
            await attempt(worker, partial(dispatch_entry, context, run_kind, entry))
            await context.queue.ack(run_kind.queue, entry)

    enrol(worker)
    while True:
        if not await attempt(worker, step):
            await asyncio.sleep(BLOCK_MS / 1000)


async def dispatch_entry(context: Context, run_kind: RunKind, entry: Entry) -> None:
    """Start the run that an entry names, if it still waits."""
    run = await context.catalog.read(run_kind.kind, entry.namespace, entry.name)
    if run is not None and run.metadata.uid == entry.execution_id:
        await dispatch(context, run_kind, run)


async def dispatch(context: Context, run_kind: RunKind, run: Run) -> None:
    """Create the Kubernetes Job of a Queued run, or say in its status why not."""
    if run.status.phase != "Queued":
        return
    try:
        prepared = await run_kind.prepare(context.catalog, run)
        await _create_job(context, run_kind, run, prepared)
    except NotYet as wait:
        await _wait(context, run_kind, run, wait.obstacle)
        return
    except ApiRefused as refusal:
        await _wait(context, run_kind, run, Obstacle("KubernetesRefused", str(refusal)[:1024]))
        return
    except (SpecInvalid, NotFound) as refusal:
        await _end(context, run_kind, run, refusal)
        return
    run = await change_status(
        context.kube,
        run_kind.kind,
        run,
        lambda current: moves.started(current.status, now=now(), **prepared.chosen),
    )
    context.catalog.put(run_kind.kind, run)
    log.info("Run started", extra={"action": "run_started", **_fields(run_kind, run)})
    recorder.record_state(context, run_kind, run)


async def sweep(context: Context) -> None:
    """Bring every open run on its way again; a step of the worker ``sweep``."""
    for run_kind in RUN_KINDS.values():
        entries = await _entries(context, run_kind)
        for run in context.catalog.all(run_kind.kind):
            await attempt("sweep", partial(_bring_on, context, run_kind, run, entries))


async def _bring_on(context: Context, run_kind: RunKind, run: Run, entries: set[str] | None) -> None:
    match run.status.phase:
        case None:
            await accept(context, run_kind, run)
        case "Queued" if entries is None:
            await dispatch(context, run_kind, run)
        case "Queued" if entries is not None and run.metadata.uid not in entries:
            await _push(context, run_kind, run)
        case "Running":
            await _check_running(context, run_kind, run)


async def _entries(context: Context, run_kind: RunKind) -> set[str] | None:
    """Execution ids with an entry; None when the queue has been away for so long that runs start without it."""
    try:
        return await context.queue.waiting(run_kind.queue)
    except QueueUnavailable as error:
        away = context.queue.away_seconds()
        log.warning("%s", error, extra={"action": "queue_away", "seconds": round(away)})
        if away < QUEUE_AWAY_S:
            return {run.metadata.uid for run in context.catalog.all(run_kind.kind)}
        return None


async def _push(context: Context, run_kind: RunKind, run: Run) -> None:
    meta = run.metadata
    try:
        await context.queue.push(run_kind.queue, Entry(execution_id=meta.uid, namespace=meta.namespace, name=meta.name))
    except QueueUnavailable as error:
        log.warning("%s The sweep goes on.", error, extra={"action": "queue_away", **_fields(run_kind, run)})


async def _create_job(context: Context, run_kind: RunKind, run: Run, prepared: Prepared) -> None:
    name = kubernetes_job_name(run_kind.operation, run.metadata.name)
    body = job_manifest(
        name=name,
        operation=run_kind.operation,
        owner=run,
        kind=run_kind.kind,
        run=prepared.run,
        limits=prepared.limits,
        settings=context.runner,
        template=prepared.template,
    )
    try:
        await context.kube.create(jobs_path(run.metadata.namespace), body)
    except Conflict:
        there = await context.kube.get(jobs_path(run.metadata.namespace, name))
        if there["metadata"].get("labels", {}).get(OWNER_UID) != run.metadata.uid:
            raise SpecInvalid(
                f"A Kubernetes Job {name!r} exists that does not belong to this run.",
                remedy="Delete it, or create the run with another name.",
            ) from None


async def _wait(context: Context, run_kind: RunKind, run: Run, obstacle: Obstacle) -> None:
    queued = run.status.queued_time
    if queued and now() - queued > QUEUE_DEADLINE:
        overdue = NotFound(f"The run waited for an hour. {obstacle.message}", remedy=CURE)
        await _end(context, run_kind, run, overdue)
        return
    run = await change_status(
        context.kube,
        run_kind.kind,
        run,
        lambda current: moves.waiting(current.status, reason=obstacle.reason, message=obstacle.message, now=now()),
    )
    context.catalog.put(run_kind.kind, run)


async def _check_running(context: Context, run_kind: RunKind, run: Run) -> None:
    """End a run whose Kubernetes Job is gone, or whose pod cannot start."""
    age = now() - (run.status.start_time or now())
    name = kubernetes_job_name(run_kind.operation, run.metadata.name)
    path = jobs_path(run.metadata.namespace, name)
    if age > LOST_AFTER:
        try:
            job = await context.kube.get(path)
        except Absent:
            lost = reports.failed(RunnerLost("The Kubernetes Job of the run is gone.", remedy=CURE), _step(run))
            if report := await recorder.found_again(context, run, lost):
                await _end_with(context, run_kind, run, report)
            return
        if finished(job):
            return  # the recorder's
    pod = context.pods.get(run.metadata.uid)
    if age > START_DEADLINE:
        # The watch may not have told of the pod yet.
        reason = _not_started(pod or last_try(await context.kube.pods_of(run.metadata.namespace, name)))
        if reason:
            # Deleted first: a restore that is told to have failed must not start afterwards.
            await context.kube.delete(path)
            await _end(context, run_kind, run, NotStarted(f"The pod could not start. {reason}", remedy=CURE))
    elif pod and _pending(pod) and (reason := waiting_reason(pod)):
        held_up = partial(moves.held_up, message=reason, now=now())
        await change_status(context.kube, run_kind.kind, run, lambda current: held_up(current.status))


def _pending(pod: JSON) -> bool:
    return bool(pod["status"].get("phase") == "Pending")


def _not_started(pod: JSON | None) -> str | None:
    """Why the runner has not begun, though it had time to; None when it has."""
    if pod is None:
        return "The Kubernetes Job has no pod: its events name the quota, account or policy that refuses it."
    if not _pending(pod):
        return None
    return waiting_reason(pod) or "The pod waits for its image or a volume: its events tell for which."


async def _end(context: Context, run_kind: RunKind, run: Run, error: DataGuardianError) -> None:
    """Failed before, or without, a word of the runner."""
    await _end_with(context, run_kind, run, reports.failed(error, _step(run)))


async def _end_with(context: Context, run_kind: RunKind, run: Run, report: Report) -> None:
    run = await recorder.end(context, run_kind, run, report, ended_at=now())
    recorder.record_state(context, run_kind, run)


def _step(run: Run) -> str:
    """The last step that is known."""
    return run.status.progress.step if run.status.progress else "connect"


def _fields(run_kind: RunKind, run: Run) -> dict[str, str]:
    return {
        "operation": run_kind.operation,
        "namespace": run.metadata.namespace,
        "run": run.metadata.name,
        "execution": run.metadata.uid,
    }
