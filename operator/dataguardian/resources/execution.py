"""What the run objects share: phase, progress, error."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from .common import Model, ObjectName, ObjectReference, Status, Text, Timestamp, rule

Phase = Literal["Queued", "Running", "Completed", "Failed", "Cancelled"]
# Longer than any name that DataGuardian makes itself: <job, 40>-<UTC slot, 12>.
# Its Kubernetes Job puts a word and a dash before it, and a label's value ends at 63.
RUN_NAME_MAX = 54
Checksum = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
StorageKey = Annotated[str, Field(min_length=1, max_length=1024)]
# Bounds that the kinds with runs share.
HistoryLimit = Annotated[int, Field(ge=0, le=1000)]
DeadlineSeconds = Annotated[int, Field(ge=1, le=604800)]
BackoffLimit = Annotated[int, Field(ge=0, le=10)]
LockTimeoutSeconds = Annotated[int, Field(ge=1, le=86400)]


def _switch(description: str, message: str) -> FieldInfo:
    """A field that is set to true once, and never back."""
    once = {"x-kubernetes-validations": [rule("self || !oldSelf", message)]}
    return cast(FieldInfo, Field(description=description, json_schema_extra=cast(JsonDict, once)))


Cancel = Annotated[
    bool,
    _switch(
        "Set to true to end the run: it stops within seconds, removes what it has written, and ends as Cancelled.",
        "a run that was cancelled stays cancelled",
    ),
]
Confirmed = Annotated[
    bool,
    _switch(
        "Set to true when the restored database has proven good: its safety backup is then kept by the rules of its "
        "BackupJob alone.",
        "a restore that was confirmed stays confirmed",
    ),
]


class ManifestSource(Model):
    """A stored backup, by the key of its manifest."""

    storage_location_ref: ObjectReference = Field(description="StorageLocation that has it.")
    key: StorageKey = Field(description="Key of its manifest inside the location.")


class LastExecution(Model):
    """The latest run that ended."""

    name: ObjectName = Field(description="Name of the run object.")
    phase: Phase = Field(description="How it ended.")
    completion_time: Timestamp = Field(description="When it ended.")


class RunError(Model):
    """Why a run failed."""

    code: Annotated[str, Field(max_length=63, pattern="^[a-z0-9-]+$")] = Field(
        description="Kind of failure, e.g. storage-unavailable."
    )
    step: Annotated[str, Field(max_length=32)] = Field(description="Step that failed.")
    message: Text = Field(description="What happened.")
    remedy: Text = Field(description="What to do about it.")


class Progress(Model):
    """How far a run is."""

    step: Annotated[str, Field(max_length=32)] = Field(description="The step that is being done.")
    bytes: int = Field(default=0, ge=0, description="Bytes of the dump read or written so far.")


class RunStatus(Status):
    """The state of a run."""

    phase: Phase | None = Field(default=None, description="Queued, Running, Completed, Failed or Cancelled.")
    execution_id: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Id of the execution in logs, Postgres and the API: the object's UID."
    )
    datasource: ObjectName | None = Field(default=None, description="Datasource of the run.")
    queued_time: Timestamp | None = Field(default=None, description="When the run was accepted.")
    start_time: Timestamp | None = Field(default=None, description="When the run's Kubernetes Job was created.")
    completion_time: Timestamp | None = Field(default=None, description="When the run ended.")
    duration: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Time from start to end.")
    queue_position: int | None = Field(
        default=None, ge=1, description="Place in the queue when it was last looked at; 1 is next."
    )
    progress: Progress | None = Field(default=None, description="How far the run is.")
    error: RunError | None = Field(default=None, description="Why the run failed.")
