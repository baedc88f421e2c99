"""RestoreDrill: verify the newest backup of a BackupJob on a schedule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .common import (
    Column,
    Duration,
    Kind,
    ObjectReference,
    Resource,
    Timestamp,
    condition_column,
    longer_than_nothing,
    rule,
    validated,
)
from .execution import DeadlineSeconds, HistoryLimit, LastExecution
from .restore import VERIFICATION_TARGET_HELP, VerificationTarget
from .schedule import ScheduleSpec, ScheduleStatus


class RestoreDrillSpec(ScheduleSpec):
    """Which backups are verified, when and where."""

    model_config = validated(
        rule(longer_than_nothing("maxBackupAge"), "maxBackupAge needs a duration such as 168h"),
        rule(
            "self.verificationTarget != 'Ephemeral' || !has(self.targetDatasourceRef)",
            "verificationTarget Ephemeral needs no targetDatasourceRef: leave it out",
        ),
    )

    backup_job_ref: ObjectReference = Field(description="BackupJob whose newest completed backup is verified.")
    max_backup_age: Duration = Field(
        default="168h", description="A backup that is older is not verified; without a younger one the drill fails."
    )
    verification_target: VerificationTarget = Field(default="Datasource", description=VERIFICATION_TARGET_HELP)
    target_datasource_ref: ObjectReference | None = Field(
        default=None, description="Datasource on whose server it is restored; the one that was backed up when absent."
    )
    active_deadline_seconds: DeadlineSeconds = Field(default=86400, description="A run that takes longer fails.")
    successful_history_limit: HistoryLimit = Field(
        default=3, description="RestoreRequests that are kept of drills that were passed."
    )
    failed_history_limit: HistoryLimit = Field(
        default=5, description="RestoreRequests that are kept of drills that were not."
    )


class RestoreDrillStatus(ScheduleStatus):
    """What the drills found."""

    last_drill_time: Timestamp | None = Field(default=None, description="When the latest drill ended.")
    last_result: Literal["Passed", "Failed", "Cancelled"] | None = Field(default=None, description="How it ended.")
    last_passed_time: Timestamp | None = Field(default=None, description="When the latest drill ended that was passed.")
    last_restore_seconds: int | None = Field(
        default=None, ge=0, description="Seconds that its restore took, with the check."
    )
    last_execution: LastExecution | None = Field(default=None, description="RestoreRequest of the latest drill.")


class RestoreDrill(Resource[RestoreDrillSpec, RestoreDrillStatus]):
    """Restore the newest backup of a BackupJob on a schedule, and check it."""


KIND = Kind(
    model=RestoreDrill,
    plural="restoredrills",
    short_name="dgrd",
    rules=(rule("self.metadata.name.size() <= 40", "the name of a RestoreDrill has 40 characters at most"),),
    columns=(
        Column("Job", ".spec.backupJobRef.name"),
        Column("Schedule", ".spec.schedule"),
        Column("Suspended", ".spec.suspend", type="boolean"),
        Column("Last-Result", ".status.lastResult"),
        Column("Last-Passed", ".status.lastPassedTime", type="date"),
        Column("Next", ".status.nextScheduleTime"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        condition_column("Reason", "Ready", "reason", priority=1),
    ),
)
