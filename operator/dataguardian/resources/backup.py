"""BackupJob (what to back up, when, where to) and BackupExecution (one run, and then the entry of its backup)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import (
    Column,
    Duration,
    FolderPath,
    Kind,
    Model,
    ObjectName,
    ObjectReference,
    Resource,
    Text,
    Timestamp,
    condition_column,
    immutable,
    longer_than_nothing,
    rule,
    validated,
)
from .execution import (
    RUN_NAME_MAX,
    BackoffLimit,
    Cancel,
    Checksum,
    DeadlineSeconds,
    HistoryLimit,
    LastExecution,
    ManifestSource,
    RunStatus,
    StorageKey,
)
from .run_template import RunTemplate
from .schedule import ScheduleSpec, ScheduleStatus

Codec = Literal["zstd", "gzip", "none"]
CopyState = Literal["Stored", "Failed", "Missing", "Removed"]
Verdict = Literal["Passed", "Failed"]
Trigger = Literal["Schedule", "Manual", "Retry", "Import", "Safety", "Sync"]
# What pg_dump reads as a pattern: names with wildcards, schema and table parted by a dot.
RelationPattern = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$")]
Patterns = Annotated[list[RelationPattern], Field(max_length=64)]

MAX_LOCATIONS = 8  # of one job
MAX_COPIES = 16  # of one backup: a job may name other locations later
KeptPeriods = Annotated[int, Field(ge=1, le=1000)]


class LocationReference(Model):
    """One storage location."""

    name: ObjectName = Field(description="Name of the StorageLocation, in the same namespace.")


class BackupStorage(Model):
    """Where the backups of a job go."""

    model_config = validated(
        rule(
            "self.minCopies <= self.locations.size()",
            "minCopies must not be more than there are locations",
        ),
        rule(
            "self.strategy != 'Fallback' || self.minCopies == 1",
            "with strategy Fallback a backup has one copy: minCopies must be 1",
        ),
    )

    strategy: Literal["Replicate", "Fallback"] = Field(
        default="Replicate",
        description="Replicate: one dump goes to all locations at once. Fallback: to the first location that works, "
        "in the order of the list.",
    )
    locations: Annotated[
        list[LocationReference],
        Field(
            min_length=1,
            max_length=MAX_LOCATIONS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(description="StorageLocations that receive the backup.")
    min_copies: Annotated[int, Field(ge=1, le=MAX_LOCATIONS)] = Field(
        default=1,
        description="Verified copies that a run needs to be Completed; the others are made in the background.",
    )


class Staging(Model):
    """A volume that a dump is written to before it is uploaded."""

    claim_name: ObjectName = Field(description="PersistentVolumeClaim, in the same namespace.")
    path: FolderPath = Field(default="", description="Folder inside the volume; it is made when absent.")


class Retention(Model):
    """Which backups of the job are kept: those that any of the rules keeps. Without a rule all are."""

    model_config = validated(
        rule(f"!has(self.maxAge) || {longer_than_nothing('maxAge')}", "maxAge needs a duration such as 720h"),
        rule(
            f"!has(self.unfinishedMaxAge) || {longer_than_nothing('unfinishedMaxAge')}",
            "unfinishedMaxAge needs a duration such as 720h",
        ),
    )

    max_backups: Annotated[int, Field(ge=1, le=100000)] | None = Field(
        default=None, description="Keeps so many of the newest backups."
    )
    max_age: Duration | None = Field(default=None, description="Keeps backups that are younger, e.g. 720h.")
    keep_daily: KeptPeriods | None = Field(
        default=None, description="Keeps the newest backup of each of so many days (in the job's time zone)."
    )
    keep_weekly: KeptPeriods | None = Field(
        default=None, description="Keeps the newest backup of each of so many weeks (ISO 8601, from Monday)."
    )
    keep_monthly: KeptPeriods | None = Field(
        default=None, description="Keeps the newest backup of each of so many months."
    )
    keep_yearly: KeptPeriods | None = Field(
        default=None, description="Keeps the newest backup of each of so many years."
    )
    auto_delete: bool = Field(
        default=True, description="Delete what no rule keeps. When false, it is only told in the job's status."
    )
    unfinished_max_age: Duration | None = Field(
        default=None,
        description="Delete also what runs that did not complete left in the locations, such as dumps that wait for a "
        "retry, once it is older, e.g. 720h. Without it that stays for ever.",
    )


class Compression(Model):
    """How the dump is compressed."""

    model_config = validated(
        rule("self.codec != 'gzip' || self.level <= 9", "gzip has levels 1 to 9"),
    )

    codec: Codec = Field(default="zstd", description="zstd, gzip or none.")
    level: Annotated[int, Field(ge=1, le=19)] = Field(
        default=3, description="Level of the codec: higher is smaller and slower."
    )


class DumpOptions(Model):
    """Which part of the database is dumped; all of it when nothing is said."""

    schemas: Patterns = Field(default=[], description="Only these schemas (patterns of pg_dump --schema).")
    include_tables: Patterns = Field(default=[], description="Only these tables (patterns of pg_dump --table).")
    exclude_tables: Patterns = Field(default=[], description="Not these tables (pg_dump --exclude-table).")


class Objectives(Model):
    """What the backups of the job must allow; a condition, a column and metrics tell whether they do."""

    model_config = validated(
        *(
            rule(f"!has(self.{name}) || {longer_than_nothing(name)}", f"{name} needs a duration such as 24h")
            for name in ("recoveryPoint", "recoveryTime", "verifiedWithin")
        )
    )

    recovery_point: Duration | None = Field(
        default=None, description="The newest good backup is never older, e.g. 24h: more data than this is never lost."
    )
    recovery_time: Duration | None = Field(
        default=None, description="A restore takes no longer, e.g. 1h, as measured by the last one."
    )
    verified_within: Duration | None = Field(
        default=None, description="A backup of the job has been restored and checked within this time, e.g. 168h."
    )


class BackupJobSpec(ScheduleSpec):
    """What to back up, when and where to."""

    datasource_ref: ObjectReference = Field(description="Datasource that is backed up.")
    storage: BackupStorage = Field(description="Where the backups go.")
    compression: Compression = Field(default=Compression(), description="How the dump is compressed.")
    verification: Literal["ReadBack", "Size"] = Field(
        default="ReadBack",
        description="ReadBack reads the stored bytes again and compares their hash; Size compares sizes only.",
    )
    options: DumpOptions = Field(default=DumpOptions(), description="Which part of the database is dumped.")
    staging: Staging | None = Field(
        default=None,
        description="Volume that a dump is written to first and uploaded from, so that an upload can be tried again "
        "without another dump.",
    )
    retention: Retention = Field(default=Retention(), description="Which backups are kept.")
    objectives: Objectives = Field(
        default=Objectives(), description="What the backups must allow: see the condition Recoverable."
    )
    successful_history_limit: HistoryLimit = Field(
        default=3, description="BackupExecutions that are kept of completed runs whose backup is no longer stored."
    )
    failed_history_limit: HistoryLimit = Field(
        default=5, description="BackupExecutions that are kept of runs that failed or were cancelled."
    )
    active_deadline_seconds: DeadlineSeconds = Field(default=86400, description="A run that takes longer fails.")
    backoff_limit: BackoffLimit = Field(
        default=2,
        description="Tries after the first one when a failure may pass, such as an unreachable store.",
    )
    run_template: RunTemplate = Field(default=RunTemplate(), description="What the pods of the runs get in addition.")


class RetentionStatus(Model):
    """What retention found when it looked last."""

    last_checked_time: Timestamp | None = Field(default=None, description="When the stored backups were last judged.")
    next_check_time: Timestamp | None = Field(
        default=None, description="When the next backup becomes too old, or the locations are looked at again."
    )
    observed_generation: int | None = Field(default=None, ge=0, description="Generation that was judged by.")
    observed_backups: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Digest of the backups that were judged: another one means that there are others."
    )
    expired: int = Field(default=0, ge=0, description="Stored backups that no rule keeps and that are not deleted yet.")
    message: Text | None = Field(default=None, description="Why backups that no rule keeps are still stored.")


class Recoverability(Model):
    """To when the database can be brought back, since when that is proven, and how long it takes."""

    recoverable_to: Timestamp | None = Field(default=None, description="Moment of the data in the newest good backup.")
    backup: ObjectName | None = Field(default=None, description="BackupExecution of the newest good backup.")
    verified_time: Timestamp | None = Field(
        default=None, description="When a backup of the job was last restored and found to be whole."
    )
    verified_backup: ObjectName | None = Field(default=None, description="BackupExecution that was verified then.")
    failed_time: Timestamp | None = Field(
        default=None,
        description="When the latest verification found a backup that is not whole; absent after a good one.",
    )
    failed_backup: ObjectName | None = Field(
        default=None, description="BackupExecution that was found not to be whole."
    )
    restore_seconds: int | None = Field(
        default=None, ge=0, description="Seconds that the last restore or verification took, from start to end."
    )
    restored_bytes: int | None = Field(default=None, ge=0, description="Bytes of the dump that it loaded.")
    restored_time: Timestamp | None = Field(default=None, description="When it ended.")


class BackupJobStatus(ScheduleStatus):
    """Is it safe?"""

    recoverability: Recoverability | None = Field(
        default=None, description="To when the database can be brought back, proven when, in how long."
    )
    backups: int | None = Field(default=None, ge=0, description="Stored backups.")
    retention: RetentionStatus | None = Field(default=None, description="What retention found when it looked last.")

    last_successful_time: Timestamp | None = Field(default=None, description="When the latest good backup ended.")
    last_execution: LastExecution | None = Field(default=None, description="The latest run that ended.")
    last_successful_size_bytes: int | None = Field(
        default=None, ge=0, description="Stored size of the latest good backup."
    )


class BackupJob(Resource[BackupJobSpec, BackupJobStatus]):
    """What to back up, when, where to."""


class BackupExecutionSpec(Model):
    """One run of a BackupJob. Creating this object is the run."""

    model_config = immutable(
        rule("has(self.retryOf) == (self.trigger == 'Retry')", "retryOf and trigger Retry belong together"),
        rule(
            "has(self.source) == (self.trigger in ['Import', 'Sync'])",
            "source and the triggers Import and Sync belong together",
        ),
        but=("cancel",),
    )

    backup_job_ref: ObjectReference = Field(description="BackupJob that is run.")
    trigger: Trigger = Field(
        default="Manual",
        description="Schedule (made by the scheduler), Manual, Retry (of the run in retryOf), Import (found in a "
        "StorageLocation, nothing is run), Safety (asked for by a RestoreRequest, of its target) or Sync (stored by a "
        "DatabaseSyncExecution, nothing else is run).",
    )
    scheduled_time: Timestamp | None = Field(default=None, description="Slot of a scheduled run.")
    retry_of: ObjectName | None = Field(
        default=None,
        description="Failed BackupExecution of the same BackupJob whose upload is tried again: from its staged dump, "
        "else from a copy that was stored, else with a new dump.",
    )
    source: ManifestSource | None = Field(default=None, description="Where an imported backup was found.")
    cancel: Cancel = False


class Copy(Model):
    """A backup in one storage location."""

    location: ObjectName = Field(description="StorageLocation.")
    key: StorageKey = Field(description="Key of the manifest inside the location.")
    state: CopyState = Field(
        description="Stored; Failed (never written); Missing (its objects are gone); Removed (by retention)."
    )
    reason: Text | None = Field(default=None, description="Why it is not stored.")


class BackupExecutionStatus(RunStatus):
    """The state of the run, and the entry of its backup."""

    dump_bytes: int | None = Field(default=None, ge=0, description="Bytes of the dump before compression.")
    stored_bytes: int | None = Field(default=None, ge=0, description="Bytes of the stored dump.")
    stored_size: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="storedBytes for people, e.g. 273 MiB."
    )
    checksum: Checksum | None = Field(default=None, description="SHA-256 of the stored dump.")
    dump_time: Timestamp | None = Field(default=None, description="When the dump began; retention goes by it.")
    options_digest: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Digest of the options of its BackupJob that it was dumped with; absent when they are not known.",
    )
    copies: Annotated[list[Copy], Field(max_length=MAX_COPIES)] = Field(default=[], description="Where the backup is.")
    kept_by: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=8)] = Field(
        default=[], description="Rules of the job's retention that keep the backup, e.g. keepDaily 2026-11-24."
    )
    engine_version: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Version of the database server."
    )
    last_verified_time: Timestamp | None = Field(
        default=None, description="When the backup was last restored and found to be whole."
    )
    last_verification: Verdict | None = Field(
        default=None, description="What the latest verification of the backup found."
    )
    last_verification_time: Timestamp | None = Field(default=None, description="When that verification ended.")


class BackupExecution(Resource[BackupExecutionSpec, BackupExecutionStatus]):
    """One backup run and, once completed, the entry of the backup in the catalogue."""

    @property
    def execution_id(self) -> str:
        """The id of the execution: an imported backup has that of its manifest, every other one its object's UID."""
        return self.status.execution_id or self.metadata.uid

    @property
    def is_import(self) -> bool:
        """Whether the object is the entry of a backup that was found, or stored by a sync, and no run."""
        return self.spec.trigger in ("Import", "Sync")


BACKUP_JOB = Kind(
    model=BackupJob,
    plural="backupjobs",
    short_name="dgb",
    rules=(rule("self.metadata.name.size() <= 40", "the name of a BackupJob has 40 characters at most"),),
    columns=(
        Column("Schedule", ".spec.schedule"),
        Column("Suspended", ".spec.suspend", type="boolean"),
        Column("Last-Result", ".status.lastExecution.phase"),
        Column("Last-Success", ".status.lastSuccessfulTime", type="date"),
        Column("Next", ".status.nextScheduleTime"),
        Column("Size", ".status.lastSuccessfulSizeBytes", type="integer"),
        Column("Backups", ".status.backups", type="integer"),
        condition_column("Recoverable", "Recoverable", "status"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        condition_column("Reason", "Ready", "reason", priority=1),
    ),
)

BACKUP_EXECUTION = Kind(
    model=BackupExecution,
    plural="backupexecutions",
    short_name="dgbx",
    rules=(
        rule(
            f"self.metadata.name.size() <= {RUN_NAME_MAX}",
            f"the name of a BackupExecution has {RUN_NAME_MAX} characters at most",
        ),
    ),
    columns=(
        Column("Job", ".spec.backupJobRef.name"),
        Column("Phase", ".status.phase"),
        Column("Step", ".status.progress.step"),
        Column("Size", ".status.storedSize"),
        Column("Duration", ".status.duration"),
        Column("Verified", ".status.lastVerifiedTime", type="date"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Error", ".status.error.message", priority=1),
    ),
)
