"""Rows → history. Whoever has one leaves it here and goes on: nothing waits for Postgres but this worker."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from ..domain.executions import as_state, may_become
from ..domain.naming import RunOperation, sync_backup_id
from ..errors import DataGuardianError
from ..history import AuditRow, ExecutionRow, LogLine, RunRow, SyncRow
from ..history.run_rows import Trigger
from ..resources.backup import BackupExecution, Verdict
from ..resources.common import Resource
from ..resources.execution import RunStatus
from ..resources.restore import RestoreRequest
from ..resources.sync import DatabaseSyncExecution
from ..rfc3339 import written
from .context import Context
from .operations import RunKind

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.5
TRIGGERS: dict[str, Trigger] = {
    "Schedule": "schedule",
    "Manual": "manual",
    "Retry": "retry",
    "Import": "import",
    "Safety": "safety",
    "Sync": "sync",
}
VERDICTS: dict[Verdict, Literal["passed", "failed"]] = {"Passed": "passed", "Failed": "failed"}

RowT = TypeVar("RowT")


def execution_id_of(run: Resource[Any, Any]) -> str:
    """The id of the execution: an imported backup keeps that of its manifest, all else has the object's UID."""
    execution_id: str = run.status.execution_id or run.metadata.uid
    return execution_id


def row_of(
    run_kind: RunKind, run: Resource[Any, Any], *, observed_at: datetime, logs: Sequence[LogLine] = ()
) -> RunRow | None:
    """What the run object says, as a row; None for a run that is not accepted yet."""
    status = run.status
    state = as_state(status.phase)
    if state is None:
        return None
    row, told = ROWS[run_kind.operation]
    known = told(run)
    return row(
        id=execution_id_of(run),
        namespace=run.metadata.namespace,
        name=run.metadata.name,
        trigger=TRIGGERS[run.spec.trigger],
        status=state,
        # An imported backup was never queued.
        queued_at=status.queued_time or status.start_time or run.metadata.creation_timestamp,
        observed_at=observed_at,
        started_at=status.start_time,
        finished_at=status.completion_time,
        dump_bytes=status.dump_bytes,
        error_code=status.error.code if status.error else None,
        error_message=status.error.message if status.error else None,
        logs=logs,
        **{**known, "metadata": {**known.get("metadata", {}), **_progress(status, observed_at)}},
    )


def _progress(status: RunStatus, observed_at: datetime) -> dict[str, Any]:
    """How far a run is; what is left of it in the row of one that has ended says nothing."""
    return {"progress": {**status.progress.wire(), "at": written(observed_at)}} if status.progress else {}


def _of_backup(run: BackupExecution) -> dict[str, Any]:
    status = run.status
    return {
        "operation": "backup",
        "job": run.spec.backup_job_ref.name,
        "datasource": status.datasource,
        "stored_bytes": status.stored_bytes,
        "checksum": status.checksum,
        "copies": [copy.wire() for copy in status.copies],
        "kept_by": status.kept_by,
        "dumped_at": status.dump_time,
        "engine_version": status.engine_version,
        "verification": VERDICTS[status.last_verification] if status.last_verification else None,
        "verification_at": status.last_verification_time,
    }


def _of_restore(run: RestoreRequest) -> dict[str, Any]:
    spec, status = run.spec, run.status
    found = {"verification": status.verification, "preview": status.preview}
    told: dict[str, Any] = {name: model.wire() for name, model in found.items() if model is not None}
    return {
        "operation": "verify" if spec.verification_mode else "restore",
        "job": status.backup_job,
        "datasource": status.datasource,
        "stored_bytes": status.stored_bytes,
        "metadata": {**told, **({"dry_run": True} if spec.dry_run else {})},
    }


def _of_sync(run: DatabaseSyncExecution) -> dict[str, Any]:
    status = run.status
    figures = {name: getattr(status, name) for name in ("removed", "masked_columns", "switch_milliseconds")}
    return {
        "job": run.spec.database_sync_job_ref.name,
        "source": status.source,
        "target": status.datasource,
        "strategy": status.strategy.lower() if status.strategy else None,
        "tables": status.tables,
        "rows": status.rows,
        "masking_digest": status.masking_digest,
        "backup_execution_id": UUID(sync_backup_id(run.metadata.uid)) if status.backup_execution else None,
        "metadata": {name: figure for name, figure in figures.items() if figure is not None},
    }


ROWS: dict[RunOperation, tuple[type[RunRow], Callable[[Any], dict[str, Any]]]] = {
    "backup": (ExecutionRow, _of_backup),
    "restore": (ExecutionRow, _of_restore),
    "sync": (SyncRow, _of_sync),
}


def keep(context: Context, row: RunRow) -> None:
    """Have the row written soon. One of an earlier state than what waits already says nothing new."""
    waiting = context.unwritten.get(row.id)
    if waiting is None:
        context.unwritten[row.id] = row
    elif not may_become(row.status, waiting.status):
        context.unwritten[row.id] = row if row.logs else replace(row, logs=waiting.logs)


def audit(context: Context, row: AuditRow) -> None:
    """Have a row added to the audit log, once for its id; it waits in memory while history is away."""
    context.unaudited[row.id] = row


async def write_waiting(context: Context) -> None:
    """Write what waits; a step of the worker ``history``.

    Raises HistoryUnavailable or ConfigInvalid; what is not written goes on waiting.
    """
    await _write_all(context.unwritten, context.history.record)
    await write_audit(context)


async def write_audit(context: Context) -> None:
    """Write what waits for the audit log now. Raises HistoryUnavailable or ConfigInvalid."""
    await _write_all(context.unaudited, context.history.audit)


async def write(record: Callable[[RowT], Awaitable[object]], row: RowT) -> None:
    """Write one row. One that Postgres refuses is a bug, told with its reason; it would be refused again."""
    try:
        await record(row)
    except DataGuardianError:
        raise
    except Exception:  # kept, it would hold up all other rows
        log.exception("A row was refused by the history database", extra={"action": "row_refused"})


async def _write_all(waiting: dict[str, RowT], record: Callable[[RowT], Awaitable[object]]) -> None:
    for key, row in list(waiting.items()):
        await write(record, row)
        if waiting.get(key) is row:  # a newer one may have come meanwhile
            del waiting[key]
