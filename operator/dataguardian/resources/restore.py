"""RestoreRequest: bring a backup back, or prove that it can be brought back."""

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
    immutable,
    rule,
)
from .datasource import ExpectedTarget
from .execution import (
    RUN_NAME_MAX,
    Cancel,
    Confirmed,
    DeadlineSeconds,
    LockTimeoutSeconds,
    ManifestSource,
    RunStatus,
    StorageKey,
)

RESTORE_PHRASE = "RESTAURAR"
VERIFY_PHRASE = "VERIFICAR RESTORE"

VerificationTarget = Literal["Datasource", "Ephemeral"]
Names = Annotated[list[Annotated[str, Field(max_length=160)]], Field(max_length=16)]
Sentences = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=8)]
VERIFICATION_TARGET_HELP = (
    "Datasource: a temporary database on the target's server. Ephemeral: a server of the same major that lives in the "
    "run's pod, so that no other server is touched."
)


class RestoreRequestSpec(Model):
    """Which backup comes back, and where to."""

    model_config = immutable(
        rule(
            "[has(self.backupExecutionRef), has(self.source), has(self.restoreDrillRef)].filter(x, x).size() == 1",
            "name one of backupExecutionRef, source and restoreDrillRef",
        ),
        rule("!has(self.source) || has(self.targetDatasourceRef)", "a restore from source needs targetDatasourceRef"),
        rule(
            "!has(self.storageLocationRef) || !has(self.source)",
            "source names its location itself: leave storageLocationRef out",
        ),
        rule(
            "self.dryRun || self.verificationMode || "
            f"(has(self.confirmationPhrase) && self.confirmationPhrase == '{RESTORE_PHRASE}')",
            f"confirmationPhrase must be {RESTORE_PHRASE}",
        ),
        rule(
            "self.dryRun || !self.verificationMode || "
            f"(has(self.confirmationPhrase) && self.confirmationPhrase == '{VERIFY_PHRASE}')",
            f"with verificationMode confirmationPhrase must be {VERIFY_PHRASE}",
        ),
        rule(
            "!self.verificationMode || !(self.dropExisting || self.safetyBackup || has(self.expectedTarget))",
            "a verification changes no target: leave out dropExisting, safetyBackup and expectedTarget",
        ),
        rule(
            "self.verificationMode || "
            "!(self.keepVerificationDatabase || self.verificationTarget == 'Ephemeral' || has(self.restoreDrillRef))",
            "keepVerificationDatabase, verificationTarget Ephemeral and restoreDrillRef need verificationMode",
        ),
        rule(
            "self.verificationTarget != 'Ephemeral' || "
            "!(self.keepVerificationDatabase || has(self.targetDatasourceRef) || has(self.source))",
            "verificationTarget Ephemeral allows no keepVerificationDatabase, targetDatasourceRef and source",
        ),
        rule("self.trigger != 'Schedule' || has(self.restoreDrillRef)", "trigger Schedule needs restoreDrillRef"),
        but=("cancel", "confirmed"),
    )

    backup_execution_ref: ObjectReference | None = Field(
        default=None, description="Completed BackupExecution whose backup is restored."
    )
    source: ManifestSource | None = Field(
        default=None, description="A stored backup that has no BackupExecution, or that shall be named by its key."
    )
    restore_drill_ref: ObjectReference | None = Field(
        default=None,
        description="RestoreDrill that this run is one of; it verifies the newest backup of its BackupJob.",
    )
    trigger: Literal["Manual", "Schedule"] = Field(
        default="Manual", description="Manual, or Schedule (made by the scheduler for a RestoreDrill)."
    )
    scheduled_time: Timestamp | None = Field(default=None, description="Slot of a scheduled run.")
    storage_location_ref: ObjectReference | None = Field(
        default=None,
        description="StorageLocation whose copy is read. When absent the best available one is, and the next one when "
        "that is away or corrupt.",
    )
    target_datasource_ref: ObjectReference | None = Field(
        default=None, description="Datasource that is written to; the one that was backed up when absent."
    )
    drop_existing: bool = Field(
        default=False,
        description="Replace the tables of the backup that exist in the target. Without it the target must be empty.",
    )
    confirmation_phrase: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description=f"Write {RESTORE_PHRASE}: a restore changes the target database. With verificationMode write "
        f"{VERIFY_PHRASE}. A dry run needs none.",
    )
    dry_run: bool = Field(default=False, description="Write into status.preview what would happen, and change nothing.")
    expected_target: ExpectedTarget | None = Field(
        default=None, description="What the target must be; the restore is refused when it is another one."
    )
    safety_backup: bool = Field(
        default=False,
        description="Back up the target first, by a BackupJob of it. That backup is kept until spec.confirmed is true.",
    )
    confirmed: Confirmed = False
    atomic: bool = Field(
        default=True,
        description="Restore in one transaction: whatever fails, the target is as it was. When false indexes are built "
        "by several connections at once, which is faster; a restore that fails then leaves a part.",
    )
    lock_timeout_seconds: LockTimeoutSeconds = Field(
        default=60,
        description="A restore waits no longer for other sessions that hold locks on what it replaces, then it fails.",
    )
    verification_mode: bool = Field(
        default=False,
        description="Restore into a temporary database, compare it with what was backed up, and remove it.",
    )
    keep_verification_database: bool = Field(
        default=False, description="Leave the temporary database; its name stands in status.verification."
    )
    verification_target: VerificationTarget = Field(default="Datasource", description=VERIFICATION_TARGET_HELP)
    active_deadline_seconds: DeadlineSeconds = Field(
        default=86400, description="A run that takes longer fails, and the target stays as it was."
    )
    cancel: Cancel = False


class VerificationStatus(Model):
    """What a verification found."""

    result: Literal["Passed", "Failed"] = Field(description="Whether all that was compared is as it was backed up.")
    tables: int = Field(ge=0, description="Tables that were compared.")
    rows: int = Field(ge=0, description="Rows in the restored tables.")
    sequences: int = Field(ge=0, description="Sequences that were compared.")
    sampled_rows: int = Field(ge=0, description="Rows whose hashes were compared.")
    difference_count: int = Field(ge=0, description="Differences that were found.")
    differences: Sentences = Field(default=[], description="The first differences; the proof has all of them.")
    database: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The temporary database, when it was kept."
    )
    proof_key: StorageKey | None = Field(
        default=None, description="Key of the dated proof beside the backup, in status.storageLocation."
    )


class ConnectionsStatus(Model):
    """Sessions in the target, by application."""

    application: Annotated[str, Field(max_length=64)] = Field(description="Name that the application gave itself.")
    sessions: int = Field(ge=0, description="Number of its sessions.")


class PreviewStatus(Model):
    """What the restore would do."""

    backup_tables: int = Field(ge=0, description="Tables in the backup.")
    backup_rows: int = Field(ge=0, description="Rows in them.")
    backup_bytes: int = Field(ge=0, description="Bytes of the dump.")
    backup_time: Timestamp = Field(description="Moment of the data.")
    backup_age: Annotated[str, Field(max_length=32)] = Field(description="How old the data was when the dry run ended.")
    target_identity: Annotated[str, Field(max_length=64)] = Field(description="Identity of the target's server.")
    target_version: Annotated[str, Field(max_length=64)] = Field(description="Version of the target's server.")
    target_tables: int = Field(ge=0, description="Tables in the target.")
    target_rows: int = Field(ge=0, description="Rows in them, as the server estimates.")
    target_bytes: int = Field(ge=0, description="Size of the target database.")
    dropped_count: int = Field(ge=0, description="Tables, views and sequences of the target that would be replaced.")
    dropped: Names = Field(default=[], description="The first of them.")
    connections: Annotated[list[ConnectionsStatus], Field(max_length=16)] = Field(
        default=[], description="Sessions in the target."
    )
    expected_duration: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="How long it would take, by an earlier restore of this BackupJob."
    )
    obstacles: Sentences = Field(default=[], description="Why the restore would be refused.")


class RestoreRequestStatus(RunStatus):
    """The state of the restore."""

    backup_job: ObjectName | None = Field(default=None, description="BackupJob that made the backup.")
    backup_execution: ObjectName | None = Field(default=None, description="BackupExecution whose backup is restored.")
    storage_location: ObjectName | None = Field(default=None, description="StorageLocation whose copy is read.")
    safety_backup: ObjectName | None = Field(
        default=None, description="BackupExecution of the target that was made first."
    )
    dump_bytes: int | None = Field(default=None, ge=0, description="Bytes of the dump that were loaded.")
    stored_bytes: int | None = Field(default=None, ge=0, description="Bytes that were read from the location.")
    tables: int | None = Field(default=None, ge=0, description="Tables in the target after the restore.")
    rows: int | None = Field(default=None, ge=0, description="Rows in these tables.")
    restore_seconds: int | None = Field(
        default=None, ge=0, description="Seconds from the start of the load to the end of the check."
    )
    preview: PreviewStatus | None = Field(default=None, description="What a dry run found.")
    verification: VerificationStatus | None = Field(default=None, description="What a verification found.")
    note: Text | None = Field(
        default=None, description="What else is worth knowing, such as a copy that was passed over."
    )


class RestoreRequest(Resource[RestoreRequestSpec, RestoreRequestStatus]):
    """One restore of a backup into a database, or one verification of it."""


KIND = Kind(
    model=RestoreRequest,
    plural="restorerequests",
    short_name="dgr",
    rules=(
        rule(
            f"self.metadata.name.size() <= {RUN_NAME_MAX}",
            f"the name of a RestoreRequest has {RUN_NAME_MAX} characters at most",
        ),
    ),
    columns=(
        Column("Backup", ".status.backupExecution"),
        Column("Target", ".status.datasource"),
        Column("Verify", ".spec.verificationMode", type="boolean"),
        Column("Phase", ".status.phase"),
        Column("Step", ".status.progress.step"),
        Column("Result", ".status.verification.result"),
        Column("Duration", ".status.duration"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Error", ".status.error.message", priority=1),
    ),
)
