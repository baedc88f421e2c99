"""DatabaseSyncJobs: what stands in the way of one, what its dump is kept as, and what it learns from its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import DataGuardianError, EngineMismatch, NotFound, ProductionTarget, SameDatabase, SpecInvalid
from ..resources.backup import BackupJob
from ..resources.datasource import Datasource
from ..resources.storage_location import StorageLocation
from ..resources.sync import PRODUCTION, DatabaseSyncExecution, DatabaseSyncJob
from .conditions import reason_of
from .ended_runs import Lessons
from .planning import options_digest
from .readiness import (
    Obstacle,
    backup_job_missing,
    datasource_missing,
    location_missing,
    locations_read_only,
    schedule_invalid,
    unhealthy,
)
from .safety import WHOLE
from .summary import sync_summary
from .targets import is_read_only


@dataclass(frozen=True)
class Kept:
    """Where a sync keeps its dump as a backup too, and of which job."""

    job: BackupJob
    location: StorageLocation


def job_of(execution: DatabaseSyncExecution) -> str:
    """The DatabaseSyncJob that the execution is a run of."""
    return execution.spec.database_sync_job_ref.name


def obstacle(
    job: DatabaseSyncJob,
    datasources: Mapping[str, Datasource],
    location: StorageLocation | None,
    backup_jobs: Sequence[BackupJob],
    *,
    now: datetime,
) -> Obstacle | None:
    """The first thing that stands in the way of the job's next run.

    ``datasources`` are those of its namespace, by their names; ``location`` is the one that it names, and
    ``backup_jobs`` are those that ``kept`` asks for.
    """
    spec = job.spec
    source, target = (datasources.get(each.name) for each in (spec.source_ref, spec.target_ref))
    if source is None:
        return datasource_missing(spec.source_ref.name)
    if target is None:
        return datasource_missing(spec.target_ref.name)
    if spec.storage_location_ref and location is None:
        return location_missing(spec.storage_location_ref.name)
    if spec.backup_job_ref and not backup_jobs:
        return backup_job_missing(spec.backup_job_ref.name)
    if refused := refusal(job, source, target, datasources.values()):
        return Obstacle(reason_of(refused.code), str(refused))
    if location and (unkept := _unkept(job, location, backup_jobs)):
        return unkept
    if invalid := schedule_invalid(spec, now=now):
        return invalid
    checked: list[Datasource | StorageLocation] = [source, target, *([location] if location else [])]
    return next((found for each in checked if (found := unhealthy(each))), None)


def _unkept(job: DatabaseSyncJob, location: StorageLocation, backup_jobs: Iterable[BackupJob]) -> Obstacle | None:
    if is_read_only(location):
        return locations_read_only([location.metadata.name])
    try:
        kept(job, location, backup_jobs)
    except DataGuardianError as refused:
        return Obstacle(reason_of(refused.code), str(refused))
    return None


def refusal(
    job: DatabaseSyncJob, source: Datasource, target: Datasource, known: Iterable[Datasource]
) -> DataGuardianError | None:
    """Why no run of the job may copy the one into the other, as far as that can be seen without asking a server.

    ``known`` are the Datasources of the namespace: what one of them calls production is protected under all names.
    """
    ours, theirs = source.spec, target.spec
    if ours.engine != theirs.engine:
        return EngineMismatch(
            f"spec.targetRef: Datasource {target.metadata.name!r} is {theirs.engine}, and the source is {ours.engine}.",
            remedy="Name a target of the same engine.",
        )
    if _address(source) == _address(target):
        return SameDatabase(
            f"spec.targetRef: Datasource {target.metadata.name!r} is the same database as the source.",
            remedy="Name another target, or correct the host or database of one of the two Datasources.",
        )
    same = (each for each in (target, *known) if _address(each) == _address(target))
    protecting = next((each for each in same if _is_production(each)), None)
    if protecting and not job.spec.allow_production_target:
        return ProductionTarget(
            f"spec.targetRef: the database of Datasource {target.metadata.name!r} is classified as {PRODUCTION}, by "
            f"Datasource {protecting.metadata.name!r}.",
            remedy="Name another target; or set spec.allowProductionTarget if all that it holds may be replaced.",
        )
    return None


def kept(job: DatabaseSyncJob, location: StorageLocation, jobs: Iterable[BackupJob]) -> Kept:
    """The BackupJob whose backup the dump becomes: the one that is named, else the first by name that backs up all of
    the source to the location.

    ``jobs`` are the one that is named, or all that there are. Raises SpecInvalid or NotFound when none will do.
    """
    if is_read_only(location):
        raise SpecInvalid(
            f"spec.storageLocationRef: StorageLocation {location.metadata.name!r} is read-only.",
            remedy="Set its spec.accessMode to ReadWrite, or name another location.",
        )
    reasons = {each.metadata.name: (each, _unfit(each, job, location)) for each in jobs}
    fit = [name for name, (_, reason) in reasons.items() if reason is None]
    if fit:
        return Kept(reasons[min(fit)][0], location)
    source, where = job.spec.source_ref.name, location.metadata.name
    if job.spec.backup_job_ref:
        name = job.spec.backup_job_ref.name
        raise SpecInvalid(
            f"spec.backupJobRef: BackupJob {name!r} {reasons[name][1]}.",
            remedy=f"Name one that backs up all of Datasource {source!r} to StorageLocation {where!r}.",
        )
    raise NotFound(
        f"spec.storageLocationRef: no BackupJob backs up all of Datasource {source!r} to StorageLocation {where!r}.",
        remedy="Create one without options (it needs no schedule): its retention is the kept backup's. Or leave "
        "storageLocationRef out.",
    )


def _unfit(found: BackupJob, job: DatabaseSyncJob, location: StorageLocation) -> str | None:
    """Why the dump cannot become a backup of this BackupJob."""
    source, where = found.spec.datasource_ref.name, location.metadata.name
    if source != job.spec.source_ref.name:
        return f"backs up Datasource {source!r}, and not {job.spec.source_ref.name!r}"
    if where not in [each.name for each in found.spec.storage.locations]:
        return f"does not have StorageLocation {where!r} among its own"
    if options_digest(found.spec.options) != WHOLE:
        return "backs up a part of the database, by its options"
    return None


def _address(datasource: Datasource) -> tuple[str, int, str]:
    spec = datasource.spec
    return spec.host.lower(), spec.port, spec.database


def _is_production(datasource: Datasource) -> bool:
    return any(each.lower() == PRODUCTION for each in datasource.spec.classification)


def _praise(execution: DatabaseSyncExecution) -> str:
    status = execution.status
    took = f" in {status.duration}" if status.duration else ""
    counted = "" if status.tables is None else f": {status.tables} tables and {status.rows or 0} rows"
    return f"Datasource {status.source} was copied to {status.datasource}{took}{counted}."


LESSONS = Lessons(
    summary=sync_summary,
    reasons={"Completed": "SyncCompleted", "Failed": "SyncFailed", "Cancelled": "SyncCancelled"},
    praise=_praise,
)
