"""Retention without a backup: a policy changed, a backup became too old, or a location is back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from ..domain import plan as plans
from ..domain.health import is_usable
from ..domain.naming import GENERATION
from ..domain.plan import BackupPlan
from ..domain.planning import cleanup_run
from ..domain.policies import (
    caught_up,
    has_backups,
    is_judged_again,
    put_off,
    retention_policy,
    retention_status,
)
from ..domain.report import Report
from ..domain.told import RemovalDeferred, Told
from ..errors import ConfigInvalid
from ..kube.client import JSON
from ..kube.jobs import Limits, planned
from ..kube.status import change_status
from ..resources import storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob, BackupJobStatus
from . import rows, side_jobs
from .context import Context, now
from .loop import attempt
from .news import News
from .pod_log import read_tries
from .removals import learn
from .side_jobs import Ended, SideJob, SideOperation

TICK_S = 5.0
# What is refused is tried again this late, so that a lock or a read-only location is not hammered.
RETRY = timedelta(hours=1)
LONGEST_RETRY = timedelta(days=1)
# A location that did not answer may be back before any check has seen it away.
UNREAD_RETRY = timedelta(minutes=1)


class Cleanup:
    """The worker: looks at the jobs when something has happened to them, their runs or their locations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news = News(context.catalog, BACKUP_JOB, BACKUP_EXECUTION, storage_location.KIND)

    async def step(self) -> None:
        """A step of the worker ``cleanup``."""
        if not self._news.is_there():
            await side_jobs.settle(self._context, CLEANUP)
        elif await clean_all(self._context):
            self._news.is_taken()


async def clean_all(context: Context) -> bool:
    """Act on ended cleanups, and start those that are due, as many as there is room for. True when none was due."""
    await side_jobs.settle(context, CLEANUP)
    if not context.catalog.entries.loaded:
        return False
    jobs = context.catalog.all(BACKUP_JOB)
    due = list(_due(context, jobs))
    wanted = (found for job in due if (found := _side_job(context, job)))
    await side_jobs.start_all(context, CLEANUP, wanted)
    for job in jobs:
        stored = context.catalog.entries.stored(job.metadata.namespace, job.metadata.name)
        if stored != (job.status.backups or 0):
            await attempt("cleanup", partial(_count, context, job, stored))
    return not due


def _due(context: Context, jobs: Iterable[BackupJob]) -> Iterator[BackupJob]:
    running = {
        (run.metadata.namespace, run.spec.backup_job_ref.name)
        for run in context.catalog.all(BACKUP_EXECUTION)
        if run.status.phase == "Running"
    }
    for job in jobs:
        meta = job.metadata
        # A backup that runs judges by itself at its end.
        if (meta.namespace, meta.name) not in running and _is_due(context, job):
            yield job


def _is_due(context: Context, job: BackupJob) -> bool:
    back, away = False, context.away.get(job.metadata.uid)
    if away is not None:
        context.away[job.metadata.uid], back = caught_up(away, _usable(context, job).keys())
    if not back and not is_judged_again(job, now=now()):
        return False
    return has_backups(job, context.catalog.entries.of_job(job.metadata.namespace, job.metadata.name))


def _names(context: Context, job: BackupJob) -> set[str]:
    """The locations that the job names, and those that have backups of it."""
    named = {location.name for location in job.spec.storage.locations}
    return named | context.catalog.entries.locations(job.metadata.namespace, job.metadata.name)


def _usable(context: Context, job: BackupJob) -> dict[str, storage_location.StorageLocation]:
    found = {
        name: context.catalog.known(storage_location.KIND, job.metadata.namespace, name)
        for name in sorted(_names(context, job))
    }
    return {name: location for name, location in found.items() if location and is_usable(location)}


def _side_job(context: Context, job: BackupJob) -> SideJob | None:
    policy, locations = retention_policy(job), _usable(context, job)
    if policy is None or not locations:
        return None
    return SideJob(
        name=f"cleanup-{job.metadata.name}",
        kind=BACKUP_JOB,
        owner=job,
        run=cleanup_run(job, policy, list(locations.values())),
        notes={GENERATION: str(job.metadata.generation)},
        template=job.spec.run_template,
    )


async def _ended(context: Context, end: Ended) -> None:
    job = await context.catalog.read(BACKUP_JOB, end.namespace, end.name)
    if job is None or job.metadata.uid != end.uid:
        return
    told = end.told or []
    await learn(context, end.namespace, told)
    # The log of this Kubernetes Job is all that knows of the removals: until they are written, nothing is judged.
    await rows.write_audit(context)
    await _judged(context, job, end.report, told, generation=int(end.notes[GENERATION]))


async def after_run(
    context: Context, kubernetes_job: JSON, pods: Sequence[JSON], run: BackupExecution, report: Report
) -> BackupExecution:
    """Learn what a backup's run says of the backups of its job; returns the run as it is then.

    Doing it twice is doing it once.
    """
    plan = _plan(kubernetes_job)
    if plan is None or plan.retention is None or not report.completed:
        return run  # it judged nothing
    tries = await read_tries(context.kube, kubernetes_job, pods, now=now())
    for lines in tries:  # one that was killed in the middle has removed backups too
        await learn(context, plan.namespace, lines)
    if report.backups is None:
        return await context.catalog.read(BACKUP_EXECUTION, plan.namespace, run.metadata.name) or run
    told = tries[-1] if tries else []
    job = await context.catalog.read(BACKUP_JOB, plan.namespace, plan.job_name)
    if job is not None and job.metadata.uid == plan.job_uid:
        known = job.status.retention
        is_current = retention_policy(job) == plan.retention
        generation = job.metadata.generation if is_current else (known.observed_generation if known else None)
        await _judged(context, job, report, told, generation=generation)
    return await context.catalog.read(BACKUP_EXECUTION, plan.namespace, run.metadata.name) or run


def _plan(kubernetes_job: JSON) -> BackupPlan | None:
    """What the run was told; None when somebody else has made its Kubernetes Job."""
    try:
        return plans.decode(planned(kubernetes_job), BackupPlan)
    except ConfigInvalid:
        return None


async def _judged(
    context: Context, job: BackupJob, report: Report, told: Sequence[Told], *, generation: int | None
) -> None:
    """Write what a judgement found into the job, and when the next one is due."""
    moment, key = now(), ("cleanup", job.metadata.uid)
    usable = _usable(context, job)
    unusable = sorted(_names(context, job) - usable.keys())
    waits = put_off(report, told, unusable, auto_delete=job.spec.retention.auto_delete)
    retry = moment
    if waits or report.failure:
        first, longest = (UNREAD_RETRY, RETRY) if report.unread else (RETRY, LONGEST_RETRY)
        retry = context.pauses.begin(key, first=first, longest=longest, now=moment)
        refused = {line.location for line in told if isinstance(line, RemovalDeferred)}
        context.away[job.metadata.uid] = {name: name not in usable for name in {*unusable, *report.unread, *refused}}
    else:
        context.pauses.forget(key)
        context.away.pop(job.metadata.uid, None)

    def change(current: BackupJob) -> BackupJobStatus:
        status = retention_status(
            current.status.retention, report, waits, generation=generation, retry=retry, now=moment
        )
        return current.status.model_copy(update={"retention": status})

    context.catalog.put(BACKUP_JOB, await change_status(context.kube, BACKUP_JOB, job, change))


async def _count(context: Context, job: BackupJob, stored: int) -> None:
    changed = await change_status(
        context.kube, BACKUP_JOB, job, lambda current: current.status.model_copy(update={"backups": stored})
    )
    context.catalog.put(BACKUP_JOB, changed)


CLEANUP = SideOperation(
    worker="cleanup",
    operation="cleanup",
    owners=(BACKUP_JOB,),
    limits=Limits(active_deadline_seconds=3600, backoff_limit=0),
    at_once=4,
    ended=_ended,
)
