"""What keeps what runs by a schedule from running well: references and schedule, judged from the objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from ..errors import SpecInvalid
from ..resources.backup import BackupJob
from ..resources.common import Condition, Resource
from ..resources.datasource import Datasource
from ..resources.schedule import ScheduleSpec, ScheduleStatus
from ..resources.storage_location import StorageLocation
from .conditions import READY, STALLED, with_condition
from .schedule import next_slot

Referred = BackupJob | Datasource | StorageLocation
StatusT = TypeVar("StatusT", bound=ScheduleStatus)


@dataclass(frozen=True)
class Obstacle:
    """Why something cannot go on, as a condition says it: reason in CamelCase, message with the remedy."""

    reason: str
    message: str


def datasource_missing(name: str) -> Obstacle:
    """The named Datasource is not there."""
    return Obstacle("DatasourceNotFound", f"Datasource {name!r} does not exist. Create it, or correct the reference.")


def sync_job_missing(name: str) -> Obstacle:
    """The DatabaseSyncJob of a run is not there."""
    return Obstacle(
        "DatabaseSyncJobNotFound", f"DatabaseSyncJob {name!r} does not exist. Create it, or delete this run."
    )


def backup_job_missing(name: str) -> Obstacle:
    """The named BackupJob is not there."""
    return Obstacle("BackupJobNotFound", f"BackupJob {name!r} does not exist. Create it, or correct the reference.")


def location_missing(name: str) -> Obstacle:
    """The named StorageLocation is not there."""
    return Obstacle(
        "StorageLocationNotFound",
        f"StorageLocation {name!r} does not exist. Create it, or correct the reference.",
    )


def locations_read_only(names: Sequence[str]) -> Obstacle:
    """The named StorageLocations are frozen."""
    return Obstacle(
        "StorageLocationReadOnly",
        f"StorageLocation {', '.join(map(repr, names))} takes no new backups. Set its spec.accessMode to "
        "ReadWrite, or name another location.",
    )


def missing_references(
    job: BackupJob, datasource: Datasource | None, locations: Mapping[str, StorageLocation | None]
) -> Obstacle | None:
    """What a run of the job cannot start without."""
    if datasource is None:
        return datasource_missing(job.spec.datasource_ref.name)
    for name, location in locations.items():
        if location is None:
            return location_missing(name)
    read_only = [name for name, location in locations.items() if location and location.spec.access_mode == "ReadOnly"]
    if len(locations) - len(read_only) < job.spec.storage.min_copies:
        return locations_read_only(read_only)
    return None


def obstacle(
    job: BackupJob,
    datasource: Datasource | None,
    locations: Mapping[str, StorageLocation | None],
    *,
    now: datetime,
) -> Obstacle | None:
    """The first thing that stands in the way of the job's next run; None when nothing is known."""
    missing = missing_references(job, datasource, locations)
    if missing or datasource is None:
        return missing
    if invalid := schedule_invalid(job.spec, now=now):
        return invalid
    checked: list[Datasource | StorageLocation] = [datasource, *(found for found in locations.values() if found)]
    return next((found for each in checked if (found := unhealthy(each))), None)


def schedule_invalid(spec: ScheduleSpec, *, now: datetime) -> Obstacle | None:
    """A schedule that never comes."""
    if spec.schedule is None:
        return None
    try:
        next_slot(spec.schedule, spec.time_zone, now)
    except SpecInvalid as error:
        return Obstacle("ScheduleInvalid", str(error))
    return None


def standing(referred: Referred) -> tuple[object, ...]:
    """All of an object that those that refer to it are judged by: while it is the same, they are judged the same."""
    if isinstance(referred, BackupJob):
        return (referred.metadata.generation,)  # how its backups go matters to nobody
    return referred.metadata.generation, unhealthy(referred)


def judged_status(
    owner: Resource[Any, StatusT], found: Obstacle | None, *, next_schedule: datetime | None, now: datetime
) -> StatusT:
    """The object's status with what stands in its way; Ready stays what the last finished run made it."""
    conditions: Sequence[Condition] = owner.status.conditions
    if not any(condition.type == READY for condition in conditions):
        conditions = with_condition(
            conditions, READY, status="Unknown", reason="NoRunYet", message="No run has ended yet.", now=now
        )
    reason, message = (found.reason, found.message) if found else ("AsExpected", "Nothing stands in the way of a run.")
    conditions = with_condition(
        conditions, STALLED, status="True" if found else "False", reason=reason, message=message, now=now
    )
    return owner.status.model_copy(
        update={
            "observed_generation": owner.metadata.generation,
            "conditions": conditions,
            "next_schedule_time": next_schedule,
        }
    )


def unhealthy(checked: Datasource | StorageLocation) -> Obstacle | None:
    """What its last check found."""
    kind = type(checked).__name__
    for condition in checked.status.conditions:
        if condition.type == READY and condition.status == "False":
            return Obstacle(f"{kind}NotReady", f"{kind} {checked.metadata.name!r}: {condition.message}"[:1024])
    return None
