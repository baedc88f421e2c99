"""The parts of the custom resources that the metrics need; the rest is skipped while an object is read."""

from __future__ import annotations

from datetime import datetime

import msgspec

Key = tuple[str, str]  # namespace and name


class Part(msgspec.Struct, rename="camel"):
    """A part of an object."""


class Metadata(Part):
    """Where it is."""

    namespace: str
    name: str


class Object(Part):
    """Any object."""

    metadata: Metadata

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name


class Objectives(Part):
    """What a BackupJob asks for."""

    recovery_point: str | None = None
    recovery_time: str | None = None
    verified_within: str | None = None


class JobSpec(Part):
    """What a job is."""

    schedule: str | None = None
    time_zone: str = "UTC"
    objectives: Objectives = msgspec.field(default_factory=Objectives)  # of a BackupJob, like the recoverability


class Condition(Part):
    """What is said of an object."""

    type: str
    status: str


class Recoverability(Part):
    """To when a BackupJob's database can be brought back."""

    recoverable_to: datetime | None = None
    verified_time: datetime | None = None
    restore_seconds: int | None = None


class JobStatus(Part):
    """What a job says of its runs."""

    last_successful_time: datetime | None = None
    last_successful_size_bytes: int | None = None
    next_schedule_time: datetime | None = None
    missed_schedules: int = 0
    recoverability: Recoverability = msgspec.field(default_factory=Recoverability)
    conditions: list[Condition] = []


class Job(Object):
    """A BackupJob or a DatabaseSyncJob."""

    spec: JobSpec
    status: JobStatus = msgspec.field(default_factory=JobStatus)


class Reference(Part):
    """Another object of the namespace."""

    name: str = ""


class RunSpec(Part):
    """What is run."""

    backup_job_ref: Reference = msgspec.field(default_factory=Reference)
    database_sync_job_ref: Reference = msgspec.field(default_factory=Reference)
    verification_mode: bool = False  # this and the next one: of a RestoreRequest
    dry_run: bool = False


class RunStatus(Part):
    """How far it is."""

    phase: str = "Queued"  # of one that nobody has accepted yet: it waits too
    start_time: datetime | None = None
    completion_time: datetime | None = None
    datasource: str | None = None


class Run(Object):
    """A run object."""

    spec: RunSpec
    status: RunStatus = msgspec.field(default_factory=RunStatus)

    @property
    def attempted(self) -> datetime | None:
        """When it was tried; None for one that still waits."""
        return self.status.start_time or self.status.completion_time


class CheckedStatus(Part):
    """What the last check found."""

    health: str | None = None
    phase: str | None = None


class Checked(Object):
    """A Datasource or a StorageLocation."""

    status: CheckedStatus = msgspec.field(default_factory=CheckedStatus)
