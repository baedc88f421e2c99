"""The operations that run as Kubernetes Jobs: their kind, their queue, and what a backup needs to start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from ..domain import restores, syncs
from ..domain.capacity import Priority
from ..domain.naming import RunOperation
from ..domain.plan import BackupPlan, RestorePlan, SyncPlan
from ..domain.planning import backed_up, backup_run
from ..domain.readiness import Obstacle, datasource_missing, missing_references
from ..errors import SpecInvalid
from ..kube.jobs import Limits
from ..resources import backup, datasource, restore, storage_location, sync
from ..resources.backup import BackupExecution
from ..resources.common import Kind, Resource
from .catalog import Catalog
from .in_use import folders_in_use, tried_before
from .prepared import Known, NotYet, Prepared, missing_backup, require_phase
from .restores import prepare_restore
from .syncs import prepare_sync

Prepare = Callable[[Catalog, Any], Awaitable[Prepared]]


@dataclass(frozen=True, kw_only=True)
class RunKind:
    """One operation: ``prepare`` raises NotYet to wait, and a DataGuardianError to refuse the run. ``decided`` are the
    fields of the run's status that follow from its plan."""

    operation: RunOperation
    kind: Kind[Any]
    queue: str
    prepare: Prepare
    plan: type[Any]
    decided: Callable[[Any, Any], Known]


async def prepare_backup(catalog: Catalog, execution: BackupExecution) -> Prepared:
    """Look up what the BackupExecution names, as the API server has it now."""
    namespace, name = execution.metadata.namespace, execution.spec.backup_job_ref.name
    job = await catalog.read(backup.BACKUP_JOB, namespace, name)
    if job is None:
        raise NotYet(
            Obstacle("BackupJobNotFound", f"BackupJob {name!r} does not exist. Create it, or delete this run.")
        )
    source = await catalog.read(datasource.KIND, namespace, job.spec.datasource_ref.name)
    locations = {
        location.name: await catalog.read(storage_location.KIND, namespace, location.name)
        for location in job.spec.storage.locations
    }
    missing = missing_references(job, source, locations)
    if missing or source is None:
        raise NotYet(missing or datasource_missing(job.spec.datasource_ref.name))
    there = [location for location in locations.values() if location]
    retried = await _retried_runs(catalog, execution)
    in_use = await folders_in_use(catalog, job, but=execution.metadata.uid) if job.spec.staging else []
    run = backup_run(execution, job, source, there, retried, in_use)
    return Prepared(
        datasources=[source],
        run=run,
        limits=Limits(active_deadline_seconds=job.spec.active_deadline_seconds, backoff_limit=job.spec.backoff_limit),
        template=job.spec.run_template,
        chosen=backed_up(cast(BackupPlan, run.plan)),
    )


async def _retried_runs(catalog: Catalog, execution: BackupExecution) -> list[BackupExecution]:
    """The failed run that is tried again, and the one that it tried again, and so on."""
    found = await tried_before(catalog, execution)
    if execution.spec.retry_of and not found:
        raise missing_backup("spec.retryOf", execution.spec.retry_of, "Failed")
    for failed in found:
        _require_failed(failed, execution)
    return found


def _require_failed(failed: BackupExecution, execution: BackupExecution) -> None:
    name = failed.metadata.name
    job = execution.spec.backup_job_ref.name
    if failed.spec.backup_job_ref.name != job:
        raise SpecInvalid(
            f"spec.retryOf: BackupExecution {name!r} is of BackupJob {failed.spec.backup_job_ref.name!r}, not {job!r}.",
            remedy="Name the same BackupJob in spec.backupJobRef.",
        )
    require_phase(
        failed,
        field="spec.retryOf",
        phase="Failed",
        refused=SpecInvalid,
        remedy="Retry a failed one, or run the BackupJob again with trigger Manual.",
    )


RUN_KINDS: dict[str, RunKind] = {
    "backup": RunKind(
        operation="backup",
        kind=backup.BACKUP_EXECUTION,
        queue="backup-queue",
        prepare=prepare_backup,
        plan=BackupPlan,
        decided=lambda _, plan: backed_up(plan),
    ),
    "restore": RunKind(
        operation="restore",
        kind=restore.KIND,
        queue="restore-queue",
        prepare=prepare_restore,
        plan=RestorePlan,
        decided=restores.decided,
    ),
    "sync": RunKind(
        operation="sync",
        kind=sync.DATABASE_SYNC_EXECUTION,
        queue="db-sync-queue",
        prepare=prepare_sync,
        plan=SyncPlan,
        decided=lambda _, plan: syncs.decided(plan),
    ),
}


def run_kind_of(resource: Resource[Any, Any]) -> RunKind:
    """The operation whose run object this is."""
    return next(run_kind for run_kind in RUN_KINDS.values() if isinstance(resource, run_kind.kind.model))


def priority_of(run: Resource[Any, Any]) -> Priority:
    """Whether somebody waits for the run, or a clock."""
    return "scheduled" if run.spec.trigger == "Schedule" else "manual"
