"""A BackupJob's status, kept true: what stands in its way, and when it runs next."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from ..domain.readiness import job_status, obstacle, standing
from ..kube.status import change_status
from ..resources import datasource, storage_location
from ..resources.backup import BACKUP_JOB, BackupJob, BackupJobStatus
from ..resources.common import Kind
from ..resources.datasource import Datasource
from ..resources.storage_location import StorageLocation
from .context import Context, now
from .loop import attempt
from .scheduler import Scheduler

TICK_S = 0.2
AT_ONCE = 16  # jobs that are judged
RETRY_S = 5.0

Reference = Datasource | StorageLocation


def seen(context: Context, scheduler: Scheduler, job: BackupJob) -> None:
    """A job exists, or has changed: its schedule counts from now on, its status follows."""
    context.catalog.put(BACKUP_JOB, job)
    scheduler.next_time(BACKUP_JOB, job)
    context.unjudged[job.metadata.namespace, job.metadata.name] = None
    context.unassessed[job.metadata.namespace, job.metadata.name] = None


def gone(context: Context, scheduler: Scheduler, job: BackupJob) -> None:
    """A job was deleted."""
    context.catalog.drop(BACKUP_JOB, job)
    scheduler.forget(job)


def reference_seen(context: Context, kind: Kind[Any], reference: Reference) -> None:
    """A Datasource or StorageLocation exists, or has changed: the jobs that refer to it are judged again.

    They are not when it is as it was: thousands may refer to it, and each check of it changes its status.
    """
    context.catalog.put(kind, reference)
    found = standing(reference)
    if context.standings.get(reference.metadata.uid) != found:
        context.standings[reference.metadata.uid] = found
        _ask_dependents(context, kind, reference)


def reference_gone(context: Context, kind: Kind[Any], reference: Reference) -> None:
    """A Datasource or StorageLocation was deleted."""
    context.catalog.drop(kind, reference)
    context.standings.pop(reference.metadata.uid, None)
    _ask_dependents(context, kind, reference)


def _ask_dependents(context: Context, kind: Kind[Any], changed: Reference) -> None:
    name = changed.metadata.name
    for job in context.catalog.all(BACKUP_JOB):
        named = (
            {job.spec.datasource_ref.name}
            if kind is datasource.KIND
            else {location.name for location in job.spec.storage.locations}
        )
        if job.metadata.namespace == changed.metadata.namespace and name in named:
            context.unjudged[job.metadata.namespace, job.metadata.name] = None


async def judge_all(context: Context, scheduler: Scheduler) -> None:
    """Judge the jobs that ask for it, some at once; those that fail ask again. A step of the worker ``judge``."""
    failed: list[tuple[str, str]] = []

    async def judge_some() -> None:
        while context.unjudged and len(failed) < AT_ONCE:  # more of them tell no more
            key = next(iter(context.unjudged))
            del context.unjudged[key]
            job = context.catalog.known(BACKUP_JOB, *key)
            if job is not None and not await attempt("judge", partial(judge, context, scheduler, job)):
                failed.append(key)

    if not context.unjudged:
        return
    await asyncio.gather(*(judge_some() for _ in range(AT_ONCE)))
    if failed:
        context.unjudged.update(dict.fromkeys(failed))
        await asyncio.sleep(RETRY_S)


async def judge(context: Context, scheduler: Scheduler, job: BackupJob) -> None:
    """Write the obstacle, if any, and the next slot."""
    following = scheduler.next_time(BACKUP_JOB, job)
    namespace = job.metadata.namespace
    source = await context.catalog.find(datasource.KIND, namespace, job.spec.datasource_ref.name)
    locations = {
        location.name: await context.catalog.find(storage_location.KIND, namespace, location.name)
        for location in job.spec.storage.locations
    }
    found = obstacle(job, source, locations, now=now())

    def change(current: BackupJob) -> BackupJobStatus | None:
        if current.metadata.generation != job.metadata.generation:
            return None  # another spec, which is judged when it is seen
        return job_status(current, found, next_schedule=following, now=now())

    changed = await change_status(context.kube, BACKUP_JOB, job, change)
    if context.catalog.known(BACKUP_JOB, namespace, job.metadata.name) is job:
        context.catalog.put(BACKUP_JOB, changed)
