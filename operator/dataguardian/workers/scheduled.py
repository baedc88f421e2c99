"""The kinds that run by a schedule: what a run of each is, what it refers to, and what stands in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic.alias_generators import to_camel

from ..domain import drills, sync_jobs
from ..domain.ended_runs import Lessons
from ..domain.readiness import Obstacle, obstacle
from ..kube.client import JSON
from ..resources import datasource, drill, restore, storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from ..resources.common import API_VERSION, Kind, ObjectReference, Resource, ResourceT, timestamp
from ..resources.drill import RestoreDrill
from ..resources.sync import DATABASE_SYNC_EXECUTION, DATABASE_SYNC_JOB, DatabaseSyncJob
from . import recoverability
from .catalog import Catalog
from .context import Context, now

Scheduled = Resource[Any, Any]
Names = Callable[[Any], Iterable[str] | None]  # None: all of the namespace


@dataclass(frozen=True, kw_only=True)
class ScheduledKind:
    """A kind whose spec is a ScheduleSpec, and the kind of its runs."""

    kind: Kind[Any]
    run_kind: Kind[Any]
    reference: str  # field of the run's spec that names the scheduled object
    references: Mapping[str, Names]  # what stands in its way follows from these: plural → names
    obstacle: Callable[[Catalog, Any], Awaitable[Obstacle | None]]
    details: Callable[[Any], JSON] = lambda _: {}  # of a run's spec, beside what those of all kinds have
    does_so: Callable[[Any], bool] = lambda _: True  # whether a run does what such a one is for
    # The status of an object with what else its first judgement can tell.
    begun: Callable[[Context, Any], Any] = lambda _, owner: owner.status
    # What the ends of its runs bring into its status, where not the recorder does that.
    lessons: Lessons | None = None

    def owner_of(self, run: Resource[Any, Any]) -> str | None:
        """The name of the scheduled object that a run is one of; None for a run of none."""
        named = getattr(run.spec, self.reference)
        return str(named.name) if named else None

    def run_object(self, owner: Scheduled, slot: datetime, name: str) -> JSON:
        """The run object of a slot."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.run_kind.name,
            "metadata": {"name": name, "namespace": owner.metadata.namespace},
            "spec": {
                to_camel(self.reference): {"name": owner.metadata.name},
                "trigger": "Schedule",
                "scheduledTime": timestamp(slot),
                **self.details(owner),
            },
        }

    def is_run_of(self, run: Resource[Any, Any], owner: Scheduled, slot: datetime) -> bool:
        """Whether a run object was made for this slot of this object."""
        is_owners = self.owner_of(run) == owner.metadata.name
        return is_owners and self.does_so(run) and run.spec.trigger == "Schedule" and run.spec.scheduled_time == slot


async def _obstacle_of_job(catalog: Catalog, job: BackupJob) -> Obstacle | None:
    namespace = job.metadata.namespace
    source = await catalog.find(datasource.KIND, namespace, job.spec.datasource_ref.name)
    locations = {
        location.name: await catalog.find(storage_location.KIND, namespace, location.name)
        for location in job.spec.storage.locations
    }
    return obstacle(job, source, locations, now=now())


async def _obstacle_of_drill(catalog: Catalog, owner: RestoreDrill) -> Obstacle | None:
    namespace, target = owner.metadata.namespace, owner.spec.target_datasource_ref
    job = await catalog.find(BACKUP_JOB, namespace, owner.spec.backup_job_ref.name)
    there = await catalog.find(datasource.KIND, namespace, target.name) if target else None
    return drills.obstacle(owner, job, there, now=now())


async def _around(catalog: Catalog, kind: Kind[ResourceT], namespace: str, *names: str) -> list[ResourceT]:
    """The objects of these names, and all others of the namespace that are known."""
    known = {each.metadata.name: each for each in catalog.all(kind) if each.metadata.namespace == namespace}
    found = [await catalog.find(kind, namespace, name) for name in names if name not in known]
    return [*known.values(), *(each for each in found if each)]


async def _obstacle_of_sync(catalog: Catalog, job: DatabaseSyncJob) -> Obstacle | None:
    namespace, spec = job.metadata.namespace, job.spec
    location, named = spec.storage_location_ref, (spec.source_ref.name, spec.target_ref.name)
    return sync_jobs.obstacle(
        job,
        {each.metadata.name: each for each in await _around(catalog, datasource.KIND, namespace, *named)},
        await catalog.find(storage_location.KIND, namespace, location.name) if location else None,
        await _backup_jobs(catalog, job),
        now=now(),
    )


async def _backup_jobs(catalog: Catalog, job: DatabaseSyncJob) -> list[BackupJob]:
    """The one that is named, else all that are known."""
    namespace, named = job.metadata.namespace, job.spec.backup_job_ref
    if named is None:
        return await _around(catalog, BACKUP_JOB, namespace)
    found = await catalog.find(BACKUP_JOB, namespace, named.name)
    return [found] if found else []


def _backup_jobs_of(job: DatabaseSyncJob) -> tuple[str, ...] | None:
    spec = job.spec
    any_may_fit = spec.storage_location_ref and not spec.backup_job_ref
    return None if any_may_fit else _named(spec.backup_job_ref)


def _named(ref: ObjectReference | None) -> tuple[str, ...]:
    return (ref.name,) if ref else ()


SCHEDULED = {
    BACKUP_JOB.plural: ScheduledKind(
        kind=BACKUP_JOB,
        run_kind=BACKUP_EXECUTION,
        reference="backup_job_ref",
        references={
            datasource.KIND.plural: lambda job: (job.spec.datasource_ref.name,),
            storage_location.KIND.plural: lambda job: (location.name for location in job.spec.storage.locations),
        },
        obstacle=_obstacle_of_job,
        begun=recoverability.begun,
    ),
    drill.KIND.plural: ScheduledKind(
        kind=drill.KIND,
        run_kind=restore.KIND,
        reference="restore_drill_ref",
        references={
            BACKUP_JOB.plural: lambda owner: (owner.spec.backup_job_ref.name,),
            datasource.KIND.plural: lambda owner: _named(owner.spec.target_datasource_ref),
        },
        obstacle=_obstacle_of_drill,
        details=drills.slot_details,
        does_so=drills.rehearses,
        lessons=drills.LESSONS,
    ),
    DATABASE_SYNC_JOB.plural: ScheduledKind(
        kind=DATABASE_SYNC_JOB,
        run_kind=DATABASE_SYNC_EXECUTION,
        reference="database_sync_job_ref",
        references={
            datasource.KIND.plural: lambda _: None,  # any may say that the target is production
            storage_location.KIND.plural: lambda job: _named(job.spec.storage_location_ref),
            BACKUP_JOB.plural: _backup_jobs_of,
        },
        obstacle=_obstacle_of_sync,
        lessons=sync_jobs.LESSONS,
    ),
}
