"""The rows of executions: each class is the description of its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from ..domain.executions import State
from .logs import LogLine

Trigger = Literal["schedule", "manual", "retry", "sync", "import", "safety"]


@dataclass(frozen=True, kw_only=True)
class BaseRow:
    """What is known of an execution; None is not known (yet). Times have a zone, sizes are bytes.

    The fields are the columns, but for the logs. What may be None is filled in when it is known, and never erased.
    """

    table: ClassVar[str]
    goes_on: ClassVar[Sequence[str]]  # columns that may change after the end, by the latest look
    as_json: ClassVar[Sequence[str]] = ("metadata",)

    id: str  # a UUID
    namespace: str
    name: str
    trigger: Trigger
    status: State
    queued_at: datetime
    observed_at: datetime  # when the run object was as this row says
    job: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None  # known exactly when the state is terminal; the table insists
    dump_bytes: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    logs: Iterable[LogLine] = ()  # kept, capped, as metadata.execution_logs

    @classmethod
    def columns(cls) -> list[str]:
        """The columns of the table."""
        return [column.name for column in dataclasses.fields(cls) if column.name != "logs"]

    @classmethod
    def filled_in(cls) -> list[str]:
        """Those that need not be known from the beginning."""
        return [column.name for column in dataclasses.fields(cls) if column.default is None]


@dataclass(frozen=True, kw_only=True)
class ExecutionRow(BaseRow):
    """An attempt at a backup, a restore or a verification.

    A stored backup goes on: copies are made, lost, removed, and verified. What does not change is filled in after the
    end too, where an earlier release has recorded it.
    """

    table = "backup_executions"
    goes_on = ("copies", "kept_by", "dumped_at", "engine_version", "verification", "verification_at")
    as_json = ("metadata", "copies", "manifest")

    operation: Literal["backup", "restore", "verify"]
    datasource: str | None = None
    stored_bytes: int | None = None
    checksum: str | None = None  # sha256:…
    copies: Sequence[Mapping[str, Any]] | None = None
    kept_by: Sequence[str] | None = None  # rules of retention that keep the backup
    manifest: Mapping[str, Any] | None = None
    dumped_at: datetime | None = None  # the moment of a backup's data
    engine_version: str | None = None  # of the server that was backed up
    verification: Literal["passed", "failed"] | None = None  # what the latest one of the backup found
    verification_at: datetime | None = None  # when that ended


@dataclass(frozen=True, kw_only=True)
class SyncRow(BaseRow):
    """An attempt at a sync. The backup that its dump was kept as may be linked after its end."""

    table = "database_sync_executions"
    goes_on = ("backup_execution_id",)
    operation: ClassVar[Literal["sync"]] = "sync"

    source: str | None = None  # names of Datasources
    target: str | None = None
    strategy: Literal["transaction", "swap"] | None = None
    tables: int | None = None
    rows: int | None = None
    masking_digest: str | None = None
    backup_execution_id: UUID | None = None


RunRow = ExecutionRow | SyncRow
ROWS: tuple[type[RunRow], ...] = (ExecutionRow, SyncRow)
