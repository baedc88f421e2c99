"""Databases that were a target before a Swap are dropped when their time is over, by a runner in a pod."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from ..domain.planning import expire_run
from ..domain.previous import Previous, dropped, why_left
from ..kube import events
from ..kube.jobs import Limits
from ..kube.status import change_status
from ..resources import datasource
from ..resources.run_template import RunTemplate
from ..resources.sync import DATABASE_SYNC_EXECUTION, DATABASE_SYNC_JOB, DatabaseSyncExecution
from . import side_jobs
from .context import Context, now
from .loop import attempt
from .side_jobs import Ended, SideJob, SideOperation

log = logging.getLogger(__name__)

TICK_S = 10.0
RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)


async def expire_all(context: Context) -> None:
    """Write what was dropped, and have dropped what is due; a step of the worker ``expire``."""
    await side_jobs.settle(context, EXPIRE)
    for each in context.catalog.previous.due(now()):
        if not side_jobs.has_room(context, EXPIRE):
            return
        is_open = side_jobs.is_open(context, each.namespace, _job_name(each.name))
        if not is_open and context.pauses.is_over(_pause(each.uid), now()):
            await attempt("expire", partial(_start, context, each))


async def _start(context: Context, due: Previous) -> None:
    execution = await context.catalog.read(DATABASE_SYNC_EXECUTION, due.namespace, due.name)
    if execution is None or execution.metadata.uid != due.uid:
        context.catalog.previous.forget(due.uid)
        return
    context.catalog.put(DATABASE_SYNC_EXECUTION, execution)
    kept = execution.status.previous_database
    if kept is None or not context.catalog.previous.is_kept(due.uid):
        return  # an older version of it was seen late
    target = await context.catalog.find(datasource.KIND, due.namespace, due.target)
    if target is None:
        await _later(context, execution, f"Datasource {due.target!r} does not exist.")
        return
    job = context.catalog.known(DATABASE_SYNC_JOB, due.namespace, execution.spec.database_sync_job_ref.name)
    wanted = SideJob(
        name=_job_name(due.name),
        kind=DATABASE_SYNC_EXECUTION,
        owner=execution,
        run=expire_run(target, kept.name),
        template=job.spec.run_template if job else RunTemplate(),
    )
    await side_jobs.start_all(context, EXPIRE, [wanted])


async def _ended(context: Context, end: Ended) -> None:
    execution = await context.catalog.read(DATABASE_SYNC_EXECUTION, end.namespace, end.name)
    if execution is None or execution.metadata.uid != end.uid:
        return
    kept = execution.status.previous_database
    if kept is None or kept.dropped_time is not None:
        return
    if why := why_left(end.report, kept):
        await _later(context, execution, why)
        return
    execution = await change_status(
        context.kube, DATABASE_SYNC_EXECUTION, execution, lambda current: dropped(current.status, now=now())
    )
    context.catalog.put(DATABASE_SYNC_EXECUTION, execution)
    context.pauses.forget(_pause(end.uid))
    log.info("Previous database is gone", extra={"action": "previous_gone", **_fields(execution)})


async def _later(context: Context, execution: DatabaseSyncExecution, why: str) -> None:
    """Try again after a while, and tell why; the event's name lets it be told once as long as it is there."""
    meta = execution.metadata
    context.pauses.begin(_pause(meta.uid), first=RETRY, longest=LONGEST_RETRY, now=now())
    log.warning("Previous database not dropped: %s", why, extra={"action": "previous_kept", **_fields(execution)})
    tell = partial(
        events.post,
        context.kube,
        DATABASE_SYNC_EXECUTION,
        execution,
        name=f"{meta.name}.{meta.uid}.previous",
        at=now(),
        reason="PreviousDatabaseNotDropped",
        message=f"Database {_database(execution)} is not known to be dropped, which is tried again: {why}",
        warning=True,
    )
    await attempt("expire", tell)


def _job_name(execution: str) -> str:
    return f"expire-{execution}"


def _pause(uid: str) -> tuple[str, str]:
    return "expire", uid


def _database(execution: DatabaseSyncExecution) -> str:
    kept = execution.status.previous_database
    return kept.name if kept else ""


def _fields(execution: DatabaseSyncExecution) -> dict[str, str]:
    return {
        "namespace": execution.metadata.namespace,
        "run": execution.metadata.name,
        "database": _database(execution),
    }


EXPIRE = SideOperation(
    worker="expire",
    operation="expire",
    owners=(DATABASE_SYNC_EXECUTION,),
    limits=Limits(active_deadline_seconds=600, backoff_limit=0),
    at_once=2,
    ended=_ended,
)
