"""BackupJobs: what is backed up, when, where to, and whether it can be brought back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_snake

from ..domain.conditions import RECOVERABLE
from ..resources import backup
from ..resources.common import ObjectName
from .endpoints import Call, Endpoint, Reply
from .executions import Execution
from .job_objects import BackupJob as Known
from .jobs import Filters, Job, JobsQuery, RunAsked, common_of, demand_run, known, page_of
from .models import Answer, Moment, Page
from .starting import started

# A part of the spec, with the words of the API.
AS_ANSWERED = ConfigDict(alias_generator=to_snake, json_schema_extra=None, from_attributes=True, frozen=True)


class BackupJobsQuery(JobsQuery):
    """Which BackupJobs."""

    datasource: ObjectName | None = Field(default=None, description="Only of this Datasource.")
    storage_location: ObjectName | None = Field(default=None, description="Only those that back up to it.")
    recoverable: bool | None = Field(
        default=None, description="Only those that meet their objectives, or do not; one that is unknown is in neither."
    )


class Retention(backup.Retention):
    """Which backups of the job are kept: those that any of the rules keeps. Without a rule all are."""

    model_config = AS_ANSWERED


class Objectives(backup.Objectives):
    """What the backups of the job must allow."""

    model_config = AS_ANSWERED


class Recoverability(Answer):
    """To when the database can be brought back, since when that is proven, and how long it takes."""

    recoverable: bool | None = Field(description="Whether the objectives are met; null when that is unknown.")
    reason: str | None = Field(description="Why, in one word.")
    message: str | None = Field(description="Why, and what to do about it.")
    recoverable_to: Moment | None = Field(description="Moment of the data in the newest good backup.")
    backup: str | None = Field(description="BackupExecution of the newest good backup.")
    verified_at: Moment | None = Field(description="When a backup was last restored and found to be whole.")
    verified_backup: str | None = Field(description="BackupExecution that was verified then.")
    failed_at: Moment | None = Field(description="When the latest verification found a backup that is not whole.")
    failed_backup: str | None = Field(description="BackupExecution that was found not to be whole.")
    restore_seconds: int | None = Field(description="Seconds that the last restore or verification took.")
    restored_bytes: int | None = Field(description="Bytes of the dump that it loaded.")
    restored_at: Moment | None = Field(description="When it ended.")


class BackupJob(Job):
    """A BackupJob."""

    datasource: str = Field(description="Datasource that is backed up.")
    strategy: Literal["Replicate", "Fallback"] = Field(description="To all locations, or to the first that works.")
    storage_locations: list[str] = Field(description="StorageLocations that receive the backups.")
    min_copies: int = Field(description="Verified copies that a run needs to be completed.")
    retention: Retention = Field(description="Which backups are kept.")
    objectives: Objectives = Field(description="What the backups must allow.")
    recoverability: Recoverability = Field(description="What they do allow.")
    backups: int | None = Field(description="Stored backups; null before they were counted.")
    last_success_bytes: int | None = Field(description="Stored size of the latest good backup.")


class BackupJobPage(Page[BackupJob]):
    """A page of BackupJobs, by namespace and name."""


FILTERS: Filters[Known] = {
    "suspended": lambda job: (job.spec.suspend,),
    "ready": lambda job: (job.ready,),
    "recoverable": lambda job: (job.recoverable,),
    "datasource": lambda job: (job.spec.datasource_ref.name,),
    "storage_location": lambda job: [location.name for location in job.spec.storage.locations],
}


async def list_jobs(call: Call) -> BackupJobPage:
    """A page of the BackupJobs that the caller may know of."""
    page, more = await page_of(call, "backup_jobs.read", call.state.backup_jobs, FILTERS)
    return BackupJobPage(data=[_told(job) for job in page], continue_=more)


async def show(call: Call) -> BackupJob:
    """One BackupJob."""
    return _told(await known(call, "backup_jobs.read", call.state.backup_jobs))


async def run(call: Call) -> Reply:
    """Start a run of the BackupJob, also of one that is suspended."""
    await demand_run(call, read="backup_jobs.read", run="backup_jobs.run", kind=backup.BACKUP_JOB)
    namespace, name = call.job
    spec = {"backupJobRef": {"name": name}, "trigger": "Manual"}
    return await started(call, "backup", namespace=namespace, prefix=name, spec=spec)


def _told(job: Known) -> BackupJob:
    spec, status = job.spec, job.status
    return BackupJob(
        **common_of(job),
        datasource=spec.datasource_ref.name,
        strategy=spec.storage.strategy,
        storage_locations=[location.name for location in spec.storage.locations],
        min_copies=spec.storage.min_copies,
        retention=Retention.model_validate(spec.retention),
        objectives=Objectives.model_validate(spec.objectives),
        recoverability=_recoverability(job),
        backups=status.backups,
        last_success_bytes=status.last_success_bytes,
    )


def _recoverability(job: Known) -> Recoverability:
    said, found = job.status.condition(RECOVERABLE), job.status.recoverability
    return Recoverability(
        recoverable=job.recoverable,
        reason=said.reason if said else None,
        message=said.message if said else None,
        **{name: getattr(found, name) for name in found.__struct_fields__},
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/backup-jobs",
        permission="backup_jobs.read",
        summary="BackupJobs, by namespace and name.",
        handler=list_jobs,
        query=BackupJobsQuery,
        answer=BackupJobPage,
    ),
    Endpoint(
        method="GET",
        path="/api/backup-jobs/{job_id}",
        permission="backup_jobs.read",
        summary="One BackupJob.",
        handler=show,
        answer=BackupJob,
    ),
    Endpoint(
        method="POST",
        action="backup_job.run",
        path="/api/backup-jobs/{job_id}/run",
        permission="backup_jobs.run",
        summary="Run a BackupJob now.",
        handler=run,
        body=RunAsked,
        answer=Execution,
        status=HTTPStatus.ACCEPTED,
        idempotent=True,
    ),
)
