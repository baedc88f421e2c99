"""What a sync needs to start: its job, both datasources, and what the dump is kept as, as the API server has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ..domain.plan import SyncPlan
from ..domain.readiness import backup_job_missing, datasource_missing, location_missing, sync_job_missing
from ..domain.sync_jobs import Kept, kept
from ..domain.syncs import decided, sync_run
from ..kube.jobs import Limits
from ..resources import datasource, storage_location
from ..resources.backup import BACKUP_JOB, BackupJob
from ..resources.datasource import Datasource
from ..resources.sync import DATABASE_SYNC_JOB, DatabaseSyncExecution, DatabaseSyncJob
from .catalog import Catalog
from .prepared import NotYet, Prepared


async def prepare_sync(catalog: Catalog, execution: DatabaseSyncExecution) -> Prepared:
    """Look up what the DatabaseSyncExecution's job names.

    Raises NotYet while something that is named is missing, and a NotFound or SpecInvalid to refuse the sync.
    """
    namespace, name = execution.metadata.namespace, execution.spec.database_sync_job_ref.name
    job = await catalog.read(DATABASE_SYNC_JOB, namespace, name)
    if job is None:
        raise NotYet(sync_job_missing(name))
    known = {each.metadata.name: each for each in await catalog.listed(datasource.KIND, namespace)}
    source, target = (_named(known, ref.name) for ref in (job.spec.source_ref, job.spec.target_ref))
    run = sync_run(execution, job, source, target, known.values(), await _kept(catalog, job))
    return Prepared(
        datasources=[target, source],
        run=run,
        limits=Limits(active_deadline_seconds=job.spec.active_deadline_seconds, backoff_limit=job.spec.backoff_limit),
        template=job.spec.run_template,
        chosen=decided(cast(SyncPlan, run.plan)),
    )


def _named(known: Mapping[str, Datasource], name: str) -> Datasource:
    if name not in known:
        raise NotYet(datasource_missing(name))
    return known[name]


async def _kept(catalog: Catalog, job: DatabaseSyncJob) -> Kept | None:
    namespace, reference = job.metadata.namespace, job.spec.storage_location_ref
    if reference is None:
        return None
    location = await catalog.read(storage_location.KIND, namespace, reference.name)
    if location is None:
        raise NotYet(location_missing(reference.name))
    return kept(job, location, await _backup_jobs(catalog, job))


async def _backup_jobs(catalog: Catalog, job: DatabaseSyncJob) -> list[BackupJob]:
    """The one that is named, else all that there are."""
    namespace, reference = job.metadata.namespace, job.spec.backup_job_ref
    if reference is None:
        return await catalog.listed(BACKUP_JOB, namespace)
    found = await catalog.read(BACKUP_JOB, namespace, reference.name)
    if found is None:
        raise NotYet(backup_job_missing(reference.name))
    return [found]
