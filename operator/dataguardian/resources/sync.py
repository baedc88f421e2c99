"""DatabaseSyncJob (keep a database a copy of another) and DatabaseSyncExecution (one run of it)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import (
    Column,
    Kind,
    Model,
    ObjectName,
    ObjectReference,
    Resource,
    Text,
    Timestamp,
    condition_column,
    immutable,
    rule,
    validated,
)
from .datasource import ExpectedTarget
from .execution import (
    RUN_NAME_MAX,
    BackoffLimit,
    Cancel,
    DeadlineSeconds,
    HistoryLimit,
    LastExecution,
    LockTimeoutSeconds,
    RunStatus,
)
from .masking import Masking
from .run_template import RunTemplate
from .schedule import ScheduleSpec, ScheduleStatus

Strategy = Literal["Transaction", "Swap"]
PRODUCTION = "production"  # the classification of Datasources that are no targets


class DatabaseSyncJobSpec(ScheduleSpec):
    """What is copied where to, how and when."""

    model_config = validated(
        rule("self.sourceRef.name != self.targetRef.name", "sourceRef and targetRef must be two Datasources"),
        rule("self.strategy == 'Swap' || self.keepPreviousSeconds == 0", "keepPreviousSeconds needs strategy Swap"),
        rule("!has(self.backupJobRef) || has(self.storageLocationRef)", "backupJobRef needs storageLocationRef"),
    )

    source_ref: ObjectReference = Field(description="Datasource that is copied. It is only read.")
    target_ref: ObjectReference = Field(description="Datasource that becomes a copy: all else in it goes.")
    strategy: Strategy = Field(
        default="Transaction",
        description="Transaction: all is replaced in one transaction; who reads the target waits meanwhile. Swap: the "
        "copy is made in a new database beside the target, which takes its name in the end.",
    )
    keep_previous_seconds: Annotated[int, Field(ge=0, le=2592000)] = Field(
        default=0, description="How long the database that was the target is kept after a Swap, under another name."
    )
    drop_existing: bool = Field(
        default=False, description="Replace what is in the target. Without it the target must be empty."
    )
    allow_production_target: bool = Field(
        default=False, description=f"Allow a target whose Datasource is classified as {PRODUCTION}."
    )
    expected_target: ExpectedTarget | None = Field(
        default=None,
        description="What the target must be, whatever its Datasource says by then; the sync is refused when it is "
        "another one.",
    )
    storage_location_ref: ObjectReference | None = Field(
        default=None,
        description="StorageLocation in which the same dump is kept as a backup of the source too. It becomes a backup "
        "of a BackupJob, whose retention applies.",
    )
    backup_job_ref: ObjectReference | None = Field(
        default=None,
        description="BackupJob of the source whose backup it becomes; when absent the first by name that backs up all "
        "of the source to the location.",
    )
    masking: Masking | None = Field(
        default=None, description="Columns that are masked before anyone can read the copy."
    )
    lock_timeout_seconds: LockTimeoutSeconds = Field(
        default=60,
        description="A sync waits no longer for other sessions that hold locks on what it replaces, then it fails.",
    )
    successful_history_limit: HistoryLimit = Field(
        default=3, description="DatabaseSyncExecutions that are kept of completed runs."
    )
    failed_history_limit: HistoryLimit = Field(
        default=5, description="DatabaseSyncExecutions that are kept of runs that failed or were cancelled."
    )
    active_deadline_seconds: DeadlineSeconds = Field(
        default=86400, description="A run that takes longer fails, and the target stays as it was."
    )
    backoff_limit: BackoffLimit = Field(
        default=2, description="Tries after the first one when a failure may pass, such as an unreachable server."
    )
    run_template: RunTemplate = Field(default=RunTemplate(), description="What the pods of the runs get in addition.")


class DatabaseSyncJobStatus(ScheduleStatus):
    """How fresh is the copy?"""

    last_successful_time: Timestamp | None = Field(default=None, description="When the latest good sync ended.")
    last_execution: LastExecution | None = Field(default=None, description="The latest run that ended.")
    masking_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="Hash of the masking rules that the copy in the target was made with."
    )


class DatabaseSyncJob(Resource[DatabaseSyncJobSpec, DatabaseSyncJobStatus]):
    """Keep a target database a copy of a source."""


class DatabaseSyncExecutionSpec(Model):
    """One run of a DatabaseSyncJob. Creating this object is the run."""

    model_config = immutable(but=("cancel",))

    database_sync_job_ref: ObjectReference = Field(description="DatabaseSyncJob that is run.")
    trigger: Literal["Manual", "Schedule"] = Field(
        default="Manual", description="Manual, or Schedule (made by the scheduler)."
    )
    scheduled_time: Timestamp | None = Field(default=None, description="Slot of a scheduled run.")
    cancel: Cancel = False


class PreviousDatabase(Model):
    """The database that was the target before a Swap."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Its name on the target's server.")
    server_identity: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Identity of that server; absent when the user may not read it."
    )
    drop_time: Timestamp = Field(description="When it is dropped.")
    dropped_time: Timestamp | None = Field(
        default=None, description="When it was dropped, or was found not to be there any more."
    )


class DatabaseSyncExecutionStatus(RunStatus):
    """The state of the sync; ``datasource`` is its target."""

    source: ObjectName | None = Field(default=None, description="Datasource that is copied.")
    strategy: Strategy | None = Field(default=None, description="How the target is replaced.")
    dump_bytes: int | None = Field(default=None, ge=0, description="Bytes of the dump that were loaded.")
    tables: int | None = Field(default=None, ge=0, description="Tables whose rows were copied.")
    rows: int | None = Field(default=None, ge=0, description="Rows in these tables.")
    removed: int | None = Field(
        default=None, ge=0, description="Tables that were in the target and that the source does not have."
    )
    masking_digest: Annotated[str, Field(max_length=71)] | None = Field(
        default=None, description="Hash of the masking rules; the target database has it in its comment."
    )
    masked_columns: int | None = Field(default=None, ge=0, description="Columns that were masked.")
    switch_milliseconds: int | None = Field(
        default=None, ge=0, description="Time in which no session could be in the target, at the end of a Swap."
    )
    previous_database: PreviousDatabase | None = Field(default=None, description="What a Swap keeps for a while.")
    backup_execution: ObjectName | None = Field(
        default=None,
        description="BackupExecution of the backup that the same dump was kept as; absent when its name was taken.",
    )
    note: Text | None = Field(default=None, description="What else is worth knowing.")


class DatabaseSyncExecution(Resource[DatabaseSyncExecutionSpec, DatabaseSyncExecutionStatus]):
    """One sync of a target with its source."""


DATABASE_SYNC_JOB = Kind(
    model=DatabaseSyncJob,
    plural="databasesyncjobs",
    short_name="dgs",
    rules=(rule("self.metadata.name.size() <= 40", "the name of a DatabaseSyncJob has 40 characters at most"),),
    columns=(
        Column("Source", ".spec.sourceRef.name"),
        Column("Target", ".spec.targetRef.name"),
        Column("Schedule", ".spec.schedule"),
        Column("Suspended", ".spec.suspend", type="boolean"),
        Column("Last-Result", ".status.lastExecution.phase"),
        Column("Last-Success", ".status.lastSuccessfulTime", type="date"),
        Column("Next", ".status.nextScheduleTime"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        condition_column("Reason", "Ready", "reason", priority=1),
    ),
)

DATABASE_SYNC_EXECUTION = Kind(
    model=DatabaseSyncExecution,
    plural="databasesyncexecutions",
    short_name="dgsx",
    rules=(
        rule(
            f"self.metadata.name.size() <= {RUN_NAME_MAX}",
            f"the name of a DatabaseSyncExecution has {RUN_NAME_MAX} characters at most",
        ),
    ),
    columns=(
        Column("Job", ".spec.databaseSyncJobRef.name"),
        Column("Target", ".status.datasource"),
        Column("Phase", ".status.phase"),
        Column("Step", ".status.progress.step"),
        Column("Rows", ".status.rows", type="integer"),
        Column("Duration", ".status.duration"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Error", ".status.error.message", priority=1),
    ),
)
