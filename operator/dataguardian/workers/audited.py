"""What the operator does to data beside retention, as rows of the audit log: restores, syncs, copies, drops.

Each row follows from the object or the end that it tells of, so that telling it again after a restart leaves one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from ..domain.naming import PROGRAM
from ..domain.status import is_terminal
from ..domain.told import DatabaseSwept, PreviousDropped
from ..history import AuditRow
from ..history.audit import Outcome
from ..resources import restore
from ..resources.common import Resource
from ..resources.restore import RestoreRequest
from ..resources.sync import DATABASE_SYNC_EXECUTION, DatabaseSyncExecution
from . import rows
from .context import Context, now

if TYPE_CHECKING:
    from .side_jobs import Ended

COPIED = "backup.copied"
DROPPED: dict[type[Any], str] = {
    DatabaseSwept: "temporary_database.dropped",
    PreviousDropped: "previous_database.dropped",
}


def deeds_of(run: Resource[Any, Any]) -> list[AuditRow]:
    """What a run has done to its target by now: nothing, its start, or its start and its end.

    A verification and a dry run change no target; a run that never started did not either.
    """
    match run:
        case RestoreRequest() if not (run.spec.dry_run or run.spec.verification_mode):
            return list(_run(run, "restore", restore.KIND.name, {"backup": run.status.backup_execution}))
        case DatabaseSyncExecution():
            about = {"job": run.spec.database_sync_job_ref.name, "source": run.status.source}
            return list(_run(run, "sync", DATABASE_SYNC_EXECUTION.name, about))
    return []


def _run(run: Resource[Any, Any], what: str, kind: str, about: dict[str, Any]) -> Iterator[AuditRow]:
    status, uid = run.status, run.metadata.uid

    def row(action: str, at: datetime, outcome: Outcome, **more: Any) -> AuditRow:
        detail = {**about, "target": status.datasource, "trigger": run.spec.trigger, **more}
        return AuditRow(
            id=_id(action, uid),
            at=at,
            who=PROGRAM,
            action=action,
            namespace=run.metadata.namespace,
            object_kind=kind,
            object_name=run.metadata.name,
            outcome=outcome,
            detail={name: value for name, value in detail.items() if value is not None},
            execution_id=uid,
        )

    if status.start_time is not None:
        yield row(f"{what}.started", status.start_time, "success")
    has_run = status.start_time is not None or status.phase == "Completed"
    if has_run and is_terminal(status) and status.completion_time is not None:
        outcome: Outcome = "success" if status.phase == "Completed" else "failed"
        code = status.error.code if status.error else None
        yield row(f"{what}.ended", status.completion_time, outcome, phase=status.phase, code=code)


def tell_run(context: Context, run: Resource[Any, Any]) -> None:
    """Have what a run has done by now written into the audit log."""
    for row in deeds_of(run):
        rows.audit(context, row)


def tell_copies(context: Context, end: Ended, locations: Sequence[str]) -> None:
    """Have the copies that were made written: they replace what was left of that backup in these locations."""
    made = {copy.location: copy.key for copy in end.report.copies if copy.stored and copy.location in locations}
    for location, key in made.items():
        rows.audit(context, _of_end(end, COPIED, location, {"location": location, "key": key}))


async def tell_drops(context: Context, end: Ended) -> None:
    """Write which databases a check or an expiry dropped: the log of its Kubernetes Job is all that knows of them.

    Raises HistoryUnavailable or ConfigInvalid.
    """
    dropped = [line for line in end.told or [] if isinstance(line, DatabaseSwept | PreviousDropped)]
    for line in dropped:
        rows.audit(context, _of_end(end, DROPPED[type(line)], line.database, {"database": line.database}))
    if dropped:
        await rows.write_audit(context)


def _of_end(end: Ended, action: str, what: str, detail: dict[str, Any]) -> AuditRow:
    return AuditRow(
        id=_id(action, end.uid, end.began.isoformat(), what),
        at=now(),
        who=PROGRAM,
        action=action,
        namespace=end.namespace,
        object_kind=end.kind,
        object_name=end.name,
        outcome="success",
        detail=detail,
    )


def _id(*parts: str) -> str:
    return str(uuid5(NAMESPACE_URL, ":".join(("dataguardian", *parts))))
