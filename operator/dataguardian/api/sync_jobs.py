"""DatabaseSyncJobs: which database is kept a copy of which, and their runs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from pydantic import Field

from ..history import reading
from ..resources.common import ObjectName
from ..resources.sync import DATABASE_SYNC_JOB
from . import executions
from .endpoints import Call, Endpoint, Reply
from .executions import Execution, ExecutionPage, RunsQuery
from .job_objects import SyncJob as Known
from .jobs import Filters, Job, JobsQuery, RunAsked, common_of, demand_run, known, page_of
from .models import Page
from .starting import started


class SyncJobsQuery(JobsQuery):
    """Which DatabaseSyncJobs."""

    datasource: ObjectName | None = Field(default=None, description="Only with this Datasource as source or target.")


class SyncJob(Job):
    """A DatabaseSyncJob."""

    source: str = Field(description="Datasource that is copied.")
    target: str = Field(description="Datasource that becomes a copy.")
    strategy: Literal["Transaction", "Swap"] = Field(description="How the target is replaced.")
    storage_location: str | None = Field(description="StorageLocation in which the dump is kept as a backup too.")
    backup_job: str | None = Field(description="BackupJob whose backup it becomes, when one is named.")
    masking_digest: str | None = Field(description="Hash of the masking rules that the copy was made with.")


class SyncJobPage(Page[SyncJob]):
    """A page of DatabaseSyncJobs, by namespace and name."""


FILTERS: Filters[Known] = {
    "suspended": lambda job: (job.spec.suspend,),
    "ready": lambda job: (job.ready,),
    "datasource": lambda job: (job.spec.source_ref.name, job.spec.target_ref.name),
}


async def list_jobs(call: Call) -> SyncJobPage:
    """A page of the DatabaseSyncJobs that the caller may know of."""
    page, more = await page_of(call, "db_sync_jobs.read", call.state.sync_jobs, FILTERS)
    return SyncJobPage(data=[_told(job) for job in page], continue_=more)


async def show(call: Call) -> SyncJob:
    """One DatabaseSyncJob."""
    return _told(await known(call, "db_sync_jobs.read", call.state.sync_jobs))


async def list_executions(call: Call) -> ExecutionPage:
    """A page of the executions of one DatabaseSyncJob."""
    job = await known(call, "db_sync_jobs.read", call.state.sync_jobs)
    namespace, name = job.key
    await call.caller.demand("executions.read", namespace)
    query: RunsQuery = call.query
    wanted = reading.Filter(namespaces=frozenset({namespace}), job=name, operation="sync", **query.values())
    return await executions.page_of(call, wanted, {**query.filters(), "job_id": call.path("job_id")})


async def run(call: Call) -> Reply:
    """Start a run of the DatabaseSyncJob, also of one that is suspended."""
    await demand_run(call, read="db_sync_jobs.read", run="db_sync_jobs.run", kind=DATABASE_SYNC_JOB)
    namespace, name = call.job
    spec = {"databaseSyncJobRef": {"name": name}, "trigger": "Manual"}
    return await started(call, "sync", namespace=namespace, prefix=name, spec=spec)


def _told(job: Known) -> SyncJob:
    spec = job.spec
    return SyncJob(
        **common_of(job),
        source=spec.source_ref.name,
        target=spec.target_ref.name,
        strategy=spec.strategy,
        storage_location=spec.storage_location_ref.name if spec.storage_location_ref else None,
        backup_job=spec.backup_job_ref.name if spec.backup_job_ref else None,
        masking_digest=job.status.masking_digest,
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/db-sync-jobs",
        permission="db_sync_jobs.read",
        summary="DatabaseSyncJobs, by namespace and name.",
        handler=list_jobs,
        query=SyncJobsQuery,
        answer=SyncJobPage,
    ),
    Endpoint(
        method="GET",
        path="/api/db-sync-jobs/{job_id}",
        permission="db_sync_jobs.read",
        summary="One DatabaseSyncJob.",
        handler=show,
        answer=SyncJob,
    ),
    Endpoint(
        method="GET",
        path="/api/db-sync-jobs/{job_id}/executions",
        permission="executions.read",
        summary="Executions of a DatabaseSyncJob, newest first.",
        handler=list_executions,
        query=RunsQuery,
        answer=ExecutionPage,
    ),
    Endpoint(
        method="POST",
        action="db_sync_job.run",
        path="/api/db-sync-jobs/{job_id}/run",
        permission="db_sync_jobs.run",
        summary="Run a DatabaseSyncJob now.",
        handler=run,
        body=RunAsked,
        answer=Execution,
        status=HTTPStatus.ACCEPTED,
        idempotent=True,
    ),
)
