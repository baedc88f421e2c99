"""RestoreRequest: bring a backup back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .common import Column, Kind, Model, ObjectName, ObjectReference, Resource, immutable, rule
from .execution import RUN_NAME_MAX, Cancel, RunStatus

RESTORE_PHRASE = "RESTAURAR"


class RestoreRequestSpec(Model):
    """Which backup comes back, and where to."""

    model_config = immutable(
        rule(f"self.confirmationPhrase == '{RESTORE_PHRASE}'", f"confirmationPhrase must be {RESTORE_PHRASE}"),
        but="cancel",
    )

    backup_execution_ref: ObjectReference = Field(description="Completed BackupExecution whose backup is restored.")
    storage_location_ref: ObjectReference | None = Field(
        default=None, description="StorageLocation whose copy is read; the first stored copy when absent."
    )
    target_datasource_ref: ObjectReference | None = Field(
        default=None, description="Datasource that is written to; the one that was backed up when absent."
    )
    drop_existing: bool = Field(
        default=False,
        description="Replace the tables of the backup that exist in the target. Without it the target must be empty.",
    )
    confirmation_phrase: Annotated[str, Field(max_length=64)] = Field(
        description=f"Write {RESTORE_PHRASE}: a restore changes the target database."
    )
    active_deadline_seconds: Annotated[int, Field(ge=1, le=604800)] = Field(
        default=86400, description="A run that takes longer fails, and the target stays as it was."
    )
    cancel: Cancel = False


class RestoreRequestStatus(RunStatus):
    """The state of the restore."""

    backup_job: ObjectName | None = Field(default=None, description="BackupJob that made the backup.")
    storage_location: ObjectName | None = Field(default=None, description="StorageLocation whose copy is read.")
    dump_bytes: int | None = Field(default=None, ge=0, description="Bytes of the dump that were loaded.")
    stored_bytes: int | None = Field(default=None, ge=0, description="Bytes that were read from the location.")
    tables: int | None = Field(default=None, ge=0, description="Tables in the target after the restore.")
    rows: int | None = Field(default=None, ge=0, description="Rows in these tables.")


class RestoreRequest(Resource[RestoreRequestSpec, RestoreRequestStatus]):
    """One restore of a backup into a database."""


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
        Column("Backup", ".spec.backupExecutionRef.name"),
        Column("Target", ".status.datasource"),
        Column("Phase", ".status.phase"),
        Column("Step", ".status.progress.step"),
        Column("Duration", ".status.duration"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Error", ".status.error.message", priority=1),
    ),
)
