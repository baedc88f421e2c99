"""Run objects → Kubernetes Jobs: what starts a run, from its entry in a queue or without one.

Queue entries are hints. An entry is acknowledged whatever came of it, because the sweep queues again each run object
that is still Queued; and a run is started once because its Kubernetes Job has one name.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import Any

from ..domain import status as moves
from ..domain.capacity import PRIORITIES
from ..domain.naming import OPERATION, OWNER_UID, kubernetes_job_name
from ..domain.outcome import finished
from ..domain.readiness import Obstacle
from ..domain.startup import REMEDIES, refusal
from ..errors import ConfigInvalid, DataGuardianError, NotFound, SafetyBackupFailed, SpecInvalid
from ..kube.client import Absent, ApiRefused, Conflict, jobs_path
from ..kube.jobs import SELECTOR
from ..kube.status import change_status
from ..queue import Entry
from ..resources import datasource, storage_location
from ..resources.backup import BackupExecution
from ..resources.common import Resource
from ..resources.restore import RestoreRequest
from . import cancel, cleanup, line, recorder, run_jobs, safety, side_jobs
from .context import Context, now
from .loop import attempt, beat, enrol
from .operations import RUN_KINDS, RunKind
from .prepared import NOTHING, Known, NotYet
from .slots import Full

log = logging.getLogger(__name__)

TAKE = 8  # entries at once
POLL_S = 5.0  # for entries that this process has not pushed itself
RETRY_S = 2.0
QUEUE_DEADLINE = timedelta(hours=1)  # for a run whose references stay missing
CURE = "Cure what the message says, and run again."

Run = Resource[Any, Any]


async def accept(context: Context, run_kind: RunKind, run: Run) -> None:
    """Queued, from nothing: status, row, queue entry. An import is no run."""
    if isinstance(run, BackupExecution) and run.is_import:
        return
    meta = run.metadata
    held, place = line.outlook(context, run)

    def move(current: Run) -> Any:
        generation = current.metadata.generation
        return moves.accepted(current.status, uid=meta.uid, generation=generation, now=now(), held=held, place=place)

    run = await change_status(context.kube, run_kind.kind, run, move)
    context.catalog.put(run_kind.kind, run)
    recorder.record_state(context, run_kind, run)
    if run.spec.cancel:
        await cancel.cancel(context, run_kind, run)
    else:
        await line.push(context, run_kind, run)


async def work(context: Context) -> None:
    """Start what the queues hold while there are free slots; never returns."""
    for worker in ("dispatcher", *RUN_KINDS):
        enrol(worker)
    while True:
        taken: list[Entry] = []
        await attempt("dispatcher", partial(take_turn, context, taken))
        for operation in RUN_KINDS:  # a turn is one for each queue, also when a full system takes nothing
            beat(operation)
        if not taken:
            await context.slots.news(POLL_S)


async def take_turn(context: Context, taken: list[Entry]) -> None:
    """Take entries of the first queue that has some, no more than there are free slots, and start their runs.

    The manual ones of every queue come before the scheduled ones of any. A full system takes nothing.
    """
    for priority in PRIORITIES:
        for run_kind in RUN_KINDS.values():
            if not (room := context.slots.capacity().room):
                return
            taken += await context.queue.take(run_kind.queue, priority, count=min(room, TAKE))
            if taken:
                await asyncio.gather(*(_work_off(context, run_kind, entry) for entry in taken))
                return


async def _work_off(context: Context, run_kind: RunKind, entry: Entry) -> None:
    await attempt(run_kind.operation, partial(dispatch_entry, context, run_kind, entry))
    await attempt(run_kind.operation, partial(context.queue.ack, run_kind.queue, entry))


async def dispatch_entry(context: Context, run_kind: RunKind, entry: Entry) -> None:
    """Start the run that an entry names, if it still waits."""
    run = await context.catalog.read(run_kind.kind, entry.namespace, entry.name)
    if run is not None and run.metadata.uid == entry.execution_id:
        await dispatch(context, run_kind, run)
    elif gone := context.slots.find(entry.execution_id):
        await recorder.forget(context, *gone)


async def dispatch_known(context: Context, run_kind: RunKind, run: Run) -> None:
    """Start a run of the catalog, if it is still there: the deletion of one may not have been told."""
    there = await _still_there(context, run_kind, run)
    if there is not None:
        await dispatch(context, run_kind, there)


async def dispatch(context: Context, run_kind: RunKind, run: Run) -> None:
    """Create the Kubernetes Job of a Queued run, or say in its status why not. Two callers do it once."""
    uid = run.metadata.uid
    if run.status.phase != "Queued" or uid in context.dispatching:
        return
    context.dispatching.add(uid)
    try:
        context.catalog.put(run_kind.kind, run)
        await _dispatch(context, run_kind, run)
    except (Absent, Conflict):
        context.slots.release(uid)
        if await _still_there(context, run_kind, run) is not None:
            raise
    finally:
        context.dispatching.discard(uid)


async def _dispatch(context: Context, run_kind: RunKind, run: Run) -> None:
    if context.slots.is_starting(run.metadata.uid) and await _is_made(context, run_kind, run):
        return
    context.slots.release(run.metadata.uid)
    if run.spec.cancel:
        await cancel.cancel(context, run_kind, run)
        return
    try:
        prepared = await run_kind.prepare(context.catalog, run)
        if isinstance(run, RestoreRequest):
            cleanup.spare(context, run, prepared)
            prepared = await safety.back_up_first(context, run, prepared)
        if full := context.slots.reserve(run, prepared.datasources, now=now()):
            await _stand_in_line(context, run_kind, run, prepared.chosen, full)
            return
        await run_jobs.create(context, run_kind, run, prepared)
    except NotYet as wait:
        context.slots.release(run.metadata.uid)
        text = f"The run could not start for an hour. {wait.obstacle.message}"
        overdue = wait.overdue(text, remedy=CURE) if wait.overdue else None
        await _wait(context, run_kind, run, wait.obstacle, overdue, wait.known)
    except ApiRefused as refused:
        kind = refusal(refused.what)
        context.slots.release(run.metadata.uid)
        held = Obstacle("KubernetesRefused", str(refused)[:1024])
        too_long = kind(f"The run could not start for an hour. {refused.what}", remedy=REMEDIES[kind])
        await _wait(context, run_kind, run, held, too_long)
    except (SpecInvalid, NotFound, ConfigInvalid, SafetyBackupFailed) as refused:
        await recorder.fail(context, run_kind, run, refused)
    else:
        await _started(context, run_kind, run, prepared.chosen)


async def _is_made(context: Context, run_kind: RunKind, run: Run) -> bool:
    """Go on with a run that holds a slot already, if it has its Kubernetes Job: it is not judged again."""
    job = await run_jobs.find(context, run_kind, run)
    if job is not None:
        await _started(context, run_kind, run, run_jobs.chosen(run_kind, run, job))
    return job is not None


async def _still_there(context: Context, run_kind: RunKind, run: Run) -> Run | None:
    """The run as it is now; one that is gone is forgotten, and its slot is free."""
    meta = run.metadata
    there: Run | None = await context.catalog.read(run_kind.kind, meta.namespace, meta.name)
    if there is not None and there.metadata.uid == meta.uid:
        return there
    await recorder.forget(context, run_kind, run)
    return None


async def take_over(context: Context) -> None:
    """Return when it is known what is open and what holds a slot; nothing may be started before."""
    while True:
        if await attempt("dispatcher", partial(_take_over, context)):
            return
        await asyncio.sleep(RETRY_S)


async def _take_over(context: Context) -> None:
    await context.catalog.load(
        datasource.KIND, storage_location.KIND, *(run_kind.kind for run_kind in RUN_KINDS.values())
    )
    jobs, _ = await context.kube.list(jobs_path(), label_selector=SELECTOR)
    for job in jobs:
        meta = job["metadata"]
        if meta["labels"][OPERATION] not in RUN_KINDS:
            side_jobs.observe(context, "ADDED", job)
            continue
        found = context.slots.find(meta["labels"][OWNER_UID])
        if found and found[1].status.phase == "Queued" and not finished(job):
            run_kind, run = found
            status = run.status.model_copy(update=dict(run_jobs.chosen(run_kind, run, job)))
            context.slots.take_over(run.model_copy(update={"status": status}))


async def _stand_in_line(context: Context, run_kind: RunKind, run: Run, chosen: Known, full: Full) -> None:
    """Back to the queue when another one was faster; else wait for its datasources, and start who may have them now."""
    context.held_since.pop(run.metadata.uid, None)
    if full.place is None:
        await line.push(context, run_kind, run)
        return
    await line.wait(context, run_kind, run, full.obstacle, place=full.place, known=chosen)
    for other in full.others:
        if found := context.slots.find(other.execution_id):
            await dispatch_known(context, *found)


async def _started(context: Context, run_kind: RunKind, run: Run, chosen: Known) -> None:
    """Running, once there is a Kubernetes Job."""

    def move(current: Run) -> Any:
        return moves.started(current.status, now=now(), **chosen)

    run = await change_status(context.kube, run_kind.kind, run, move)
    context.catalog.put(run_kind.kind, run)
    context.slots.release(run.metadata.uid)
    context.held_since.pop(run.metadata.uid, None)
    if run.status.phase == "Cancelled":  # while its Kubernetes Job was being made
        name = kubernetes_job_name(run_kind.operation, run.metadata.name)
        await context.kube.delete(jobs_path(run.metadata.namespace, name))
        return
    log.info("Run started", extra={"action": "run_started", **recorder.fields(run_kind, run)})
    recorder.record_state(context, run_kind, run)
    if run.spec.cancel:
        await cancel.cancel(context, run_kind, run)


async def _wait(
    context: Context,
    run_kind: RunKind,
    run: Run,
    held: Obstacle,
    overdue: DataGuardianError | None,
    known: Known = NOTHING,
) -> None:
    """Wait for somebody to cure what stands in the way; not for ever, unless it ends by itself."""
    if overdue is None:
        context.held_since.pop(run.metadata.uid, None)
    elif now() - context.held_since.setdefault(run.metadata.uid, now()) > QUEUE_DEADLINE:
        await recorder.fail(context, run_kind, run, overdue)
        return
    await line.wait(context, run_kind, run, held, known=known)
