"""The operations that run as Kubernetes Jobs: their kind, their queue, and what one run needs to start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..domain.capacity import Priority
from ..domain.naming import RunOperation
from ..domain.planning import Run, backup_run, restore_run
from ..domain.readiness import Obstacle, datasource_missing, location_missing, missing_references
from ..errors import DataGuardianError, NotFound, SpecInvalid
from ..kube.jobs import Limits
from ..resources import backup, datasource, restore, storage_location
from ..resources.backup import BackupExecution, Copy, RunTemplate
from ..resources.common import Kind, Resource
from ..resources.datasource import Datasource
from ..resources.restore import RestoreRequest
from .catalog import Catalog
from .in_use import folders_in_use, tried_before


class NotYet(Exception):
    """A run cannot start now, and may when the obstacle is gone; it fails as ``overdue`` when that takes too long."""

    def __init__(self, obstacle: Obstacle, *, overdue: type[DataGuardianError] = NotFound) -> None:
        super().__init__(obstacle.message)
        self.obstacle = obstacle
        self.overdue = overdue


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    run: Run
    source: Datasource  # that it uses
    limits: Limits
    template: RunTemplate
    chosen: Mapping[str, Any]  # fields of the run's status


Prepare = Callable[[Catalog, Any], Awaitable[Prepared]]


@dataclass(frozen=True)
class RunKind:
    """One operation: ``prepare`` raises NotYet to wait, and a DataGuardianError to refuse the run."""

    operation: RunOperation
    kind: Kind[Any]
    queue: str
    prepare: Prepare


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
    return Prepared(
        source=source,
        run=backup_run(execution, job, source, there, retried, in_use),
        limits=Limits(active_deadline_seconds=job.spec.active_deadline_seconds, backoff_limit=job.spec.backoff_limit),
        template=job.spec.run_template,
        chosen={"datasource": source.metadata.name},
    )


async def _retried_runs(catalog: Catalog, execution: BackupExecution) -> list[BackupExecution]:
    """The failed run that is tried again, and the one that it tried again, and so on."""
    found = await tried_before(catalog, execution)
    if execution.spec.retry_of and not found:
        raise NotFound(
            f"spec.retryOf: BackupExecution {execution.spec.retry_of!r} does not exist.",
            remedy="Name a failed one; `kubectl get backupexecutions` lists them.",
        )
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
    if failed.status.phase != "Failed":
        raise SpecInvalid(
            f"spec.retryOf: BackupExecution {name!r} is {failed.status.phase or 'not accepted yet'}, not Failed.",
            remedy="Retry a failed one, or run the BackupJob again with trigger Manual.",
        )


async def prepare_restore(catalog: Catalog, request: RestoreRequest) -> Prepared:
    """Choose the copy and the target, as the API server has them now."""
    namespace = request.metadata.namespace
    entry = await _completed_backup(catalog, request)
    copy = _choose_copy(entry, request)
    location = await catalog.read(storage_location.KIND, namespace, copy.location)
    if location is None:
        raise NotYet(location_missing(copy.location))
    target_name = _target_name(entry, request)
    target = await catalog.read(datasource.KIND, namespace, target_name)
    if target is None:
        raise NotYet(datasource_missing(target_name))
    job = await catalog.read(backup.BACKUP_JOB, namespace, entry.spec.backup_job_ref.name)
    return Prepared(
        source=target,
        run=restore_run(request, entry, location, copy.key, target),
        limits=Limits(active_deadline_seconds=request.spec.active_deadline_seconds, backoff_limit=0),
        template=job.spec.run_template if job else RunTemplate(),
        chosen={
            "datasource": target_name,
            "backup_job": entry.spec.backup_job_ref.name,
            "storage_location": copy.location,
        },
    )


async def _completed_backup(catalog: Catalog, request: RestoreRequest) -> BackupExecution:
    if request.spec.backup_execution_ref is None:
        raise SpecInvalid("spec.backupExecutionRef is missing.", remedy="Name a completed BackupExecution.")
    name = request.spec.backup_execution_ref.name
    entry = await catalog.read(backup.BACKUP_EXECUTION, request.metadata.namespace, name)
    if entry is None:
        raise NotFound(
            f"BackupExecution {name!r} does not exist.",
            remedy="Name a completed one; `kubectl get backupexecutions` lists them.",
        )
    if entry.status.phase != "Completed":
        raise SpecInvalid(
            f"BackupExecution {name!r} is {entry.status.phase or 'not accepted yet'}, not Completed.",
            remedy="Name a completed one; `kubectl get backupexecutions` lists them.",
        )
    return entry


def _choose_copy(entry: BackupExecution, request: RestoreRequest) -> Copy:
    wanted = request.spec.storage_location_ref
    for copy in entry.status.copies:
        if copy.state == "Stored" and (wanted is None or copy.location == wanted.name):
            return copy
    stored = ", ".join(copy.location for copy in entry.status.copies if copy.state == "Stored") or "none"
    raise NotFound(
        f"BackupExecution {entry.metadata.name!r} has no stored copy"
        + (f" in StorageLocation {wanted.name!r}." if wanted else "."),
        remedy=f"Locations with a copy: {stored}.",
    )


def _target_name(entry: BackupExecution, request: RestoreRequest) -> str:
    if request.spec.target_datasource_ref:
        return request.spec.target_datasource_ref.name
    if entry.status.datasource:
        return entry.status.datasource
    raise SpecInvalid(
        f"BackupExecution {entry.metadata.name!r} does not tell where it came from.",
        remedy="Set spec.targetDatasourceRef.",
    )


RUN_KINDS: dict[str, RunKind] = {
    "backup": RunKind("backup", backup.BACKUP_EXECUTION, "backup-queue", prepare_backup),
    "restore": RunKind("restore", restore.KIND, "restore-queue", prepare_restore),
}


def run_kind_of(resource: Resource[Any, Any]) -> RunKind:
    """The operation whose run object this is."""
    return next(run_kind for run_kind in RUN_KINDS.values() if isinstance(resource, run_kind.kind.model))


def priority_of(run: Resource[Any, Any]) -> Priority:
    """Whether somebody waits for the run, or a clock."""
    return "scheduled" if isinstance(run, BackupExecution) and run.spec.trigger == "Schedule" else "manual"
