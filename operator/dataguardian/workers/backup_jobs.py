"""A BackupJob's status, kept true: what stands in its way, and when it runs next."""

from __future__ import annotations

from typing import Any

from ..domain.readiness import job_status, obstacle
from ..kube.status import change_status
from ..resources import datasource, storage_location
from ..resources.backup import BACKUP_JOB, BackupJob
from ..resources.common import Kind, Resource
from .context import Context, now
from .scheduler import Scheduler


async def judge(context: Context, scheduler: Scheduler, job: BackupJob) -> None:
    """Write the obstacle, if any, and the next slot."""
    namespace = job.metadata.namespace
    source = await context.catalog.find(datasource.KIND, namespace, job.spec.datasource_ref.name)
    locations = {
        location.name: await context.catalog.find(storage_location.KIND, namespace, location.name)
        for location in job.spec.storage.locations
    }
    found = obstacle(job, source, locations, now=now())
    following = scheduler.next_time(BACKUP_JOB, job)
    changed = await change_status(
        context.kube,
        BACKUP_JOB,
        job,
        lambda current: job_status(current, found, next_schedule=following, now=now()),
    )
    context.catalog.put(BACKUP_JOB, changed)


async def judge_dependents(
    context: Context, scheduler: Scheduler, kind: Kind[Any], changed: Resource[Any, Any]
) -> None:
    """Judge again the jobs that refer to a changed object."""
    name = changed.metadata.name
    for job in context.catalog.all(BACKUP_JOB):
        named = (
            {job.spec.datasource_ref.name}
            if kind is datasource.KIND
            else {location.name for location in job.spec.storage.locations}
        )
        if job.metadata.namespace == changed.metadata.namespace and name in named:
            await judge(context, scheduler, job)
