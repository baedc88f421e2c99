"""The kinds that run by a schedule: what a run of each is, what it refers to, and what stands in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic.alias_generators import to_camel

from ..domain.readiness import Obstacle, obstacle
from ..kube.client import JSON
from ..resources import datasource, storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from ..resources.common import API_VERSION, Kind, Resource, timestamp
from .catalog import Catalog
from .context import now

Scheduled = Resource[Any, Any]
Reference = tuple[str, str]  # plural of the kind, and name


@dataclass(frozen=True, kw_only=True)
class ScheduledKind:
    """A kind whose spec is a ScheduleSpec, and the kind of its runs."""

    kind: Kind[Any]
    run_kind: Kind[Any]
    reference: str  # field of the run's spec that names the scheduled object
    references: Callable[[Any], set[Reference]]  # what stands in its way follows from these
    obstacle: Callable[[Catalog, Any], Awaitable[Obstacle | None]]

    def owner_of(self, run: Resource[Any, Any]) -> str:
        """The name of the scheduled object that a run is one of."""
        return str(getattr(run.spec, self.reference).name)

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
            },
        }

    def is_run_of(self, run: Resource[Any, Any], owner: Scheduled, slot: datetime) -> bool:
        """Whether a run object was made for this slot of this object."""
        is_owners = self.owner_of(run) == owner.metadata.name
        return is_owners and run.spec.trigger == "Schedule" and run.spec.scheduled_time == slot


def _references_of_job(job: BackupJob) -> set[Reference]:
    locations = {(storage_location.KIND.plural, location.name) for location in job.spec.storage.locations}
    return {(datasource.KIND.plural, job.spec.datasource_ref.name), *locations}


async def _obstacle_of_job(catalog: Catalog, job: BackupJob) -> Obstacle | None:
    namespace = job.metadata.namespace
    source = await catalog.find(datasource.KIND, namespace, job.spec.datasource_ref.name)
    locations = {
        location.name: await catalog.find(storage_location.KIND, namespace, location.name)
        for location in job.spec.storage.locations
    }
    return obstacle(job, source, locations, now=now())


SCHEDULED = {
    BACKUP_JOB.plural: ScheduledKind(
        kind=BACKUP_JOB,
        run_kind=BACKUP_EXECUTION,
        reference="backup_job_ref",
        references=_references_of_job,
        obstacle=_obstacle_of_job,
    ),
}
