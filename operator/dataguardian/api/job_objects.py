"""The parts of BackupJobs and DatabaseSyncJobs that the sidecar keeps in memory; fields have the words of the API."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..domain.conditions import READY, RECOVERABLE, ConditionStatus
from ..domain.executions import State, as_state
from .objects import Object, Objectives, Part, Reference

TRUTH = {"True": True, "False": False}  # of a condition; one that is Unknown is neither


class Condition(Part):
    """What is said of a job."""

    type: str
    status: ConditionStatus
    reason: str = ""
    message: str = ""


class LastExecution(Part):
    """The latest run that ended."""

    name: str
    phase: str
    finished_at: datetime | None = msgspec.field(name="completionTime", default=None)

    @property
    def status(self) -> State | None:
        """How it ended."""
        return as_state(self.phase)


class Spec(Part):
    """When a job runs."""

    schedule: str | None = None
    time_zone: str = "UTC"
    suspend: bool = False
    jitter_seconds: int = 0


class Status(Part):
    """What became of a job's runs."""

    conditions: list[Condition] = msgspec.field(default_factory=list)
    last_execution: LastExecution | None = None
    missed_schedules: int = 0
    last_success_at: datetime | None = msgspec.field(name="lastSuccessfulTime", default=None)
    last_schedule_at: datetime | None = msgspec.field(name="lastScheduleTime", default=None)
    next_schedule_at: datetime | None = msgspec.field(name="nextScheduleTime", default=None)

    def condition(self, type: str) -> Condition | None:
        """The condition of a type."""
        return next((each for each in self.conditions if each.type == type), None)

    def holds(self, type: str) -> bool | None:
        """Whether it holds; None while that is unknown."""
        found = self.condition(type)
        return TRUTH.get(found.status) if found else None


class JobObject(Object):
    """What both kinds have."""

    spec: Spec
    status: Status = msgspec.field(default_factory=Status)

    @property
    def ready(self) -> bool | None:
        """Whether the last run that ended went well; None before the first one."""
        return self.status.holds(READY)


class Storage(Part):
    """Where backups go."""

    locations: list[Reference]
    strategy: str = "Replicate"
    min_copies: int = 1


class Retention(Part):
    """Which backups are kept."""

    max_backups: int | None = None
    max_age: str | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None
    auto_delete: bool = True
    unfinished_max_age: str | None = None


class BackupSpec(Spec, kw_only=True):
    """What is backed up."""

    datasource_ref: Reference
    storage: Storage
    retention: Retention = msgspec.field(default_factory=Retention)
    objectives: Objectives = msgspec.field(default_factory=Objectives)


class Recoverability(Part):
    """To when the database can be brought back."""

    recoverable_to: datetime | None = None
    backup: str | None = None
    verified_at: datetime | None = msgspec.field(name="verifiedTime", default=None)
    verified_backup: str | None = None
    failed_at: datetime | None = msgspec.field(name="failedTime", default=None)
    failed_backup: str | None = None
    restore_seconds: int | None = None
    restored_bytes: int | None = None
    restored_at: datetime | None = msgspec.field(name="restoredTime", default=None)


class BackupStatus(Status):
    """What became of the backups."""

    backups: int | None = None
    last_success_bytes: int | None = msgspec.field(name="lastSuccessfulSizeBytes", default=None)
    recoverability: Recoverability = msgspec.field(default_factory=Recoverability)


class BackupJob(JobObject):
    """A BackupJob."""

    spec: BackupSpec
    status: BackupStatus = msgspec.field(default_factory=BackupStatus)

    @property
    def recoverable(self) -> bool | None:
        """Whether its database can be brought back as its objectives demand."""
        return self.status.holds(RECOVERABLE)


class SyncSpec(Spec, kw_only=True):
    """What is copied where to."""

    source_ref: Reference
    target_ref: Reference
    strategy: str = "Transaction"
    storage_location_ref: Reference | None = None
    backup_job_ref: Reference | None = None


class SyncStatus(Status):
    """What became of the syncs."""

    masking_digest: str | None = None


class SyncJob(JobObject):
    """A DatabaseSyncJob."""

    spec: SyncSpec
    status: SyncStatus = msgspec.field(default_factory=SyncStatus)
