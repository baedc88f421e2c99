"""How a run's status follows from what happened: the named moves between phases."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from ..resources.backup import BackupExecutionStatus
from ..resources.execution import Progress, RunError, RunStatus
from ..resources.restore import RestoreRequestStatus
from ..resources.sync import DatabaseSyncExecutionStatus
from .capacity import TURN
from .catalogue import copies_of
from .conditions import READY, RECONCILING, STALLED, ConditionStatus, reason_of, with_condition
from .executions import TERMINAL, as_state, may_become
from .naming import human_bytes, human_seconds
from .readiness import Obstacle
from .report import Report
from .restored import restore_result
from .synced import sync_result

StatusT = TypeVar("StatusT", bound=RunStatus)
BRIEF = 200  # characters of a message in the conditions beside Ready: a status stays under 8 KiB


def is_terminal(status: RunStatus) -> bool:
    """Whether the run has ended; its phase never changes again."""
    return as_state(status.phase) in TERMINAL


def accepted(
    status: StatusT, *, uid: str, generation: int, now: datetime, held: Obstacle = TURN, place: int | None = None
) -> StatusT | None:
    """Queued, from nothing."""
    if status.phase is not None:
        return None
    return _moved(
        status,
        phase="Queued",
        execution_id=uid,
        observed_generation=generation,
        queued_time=now,
        queue_position=place,
        conditions=_conditions(status, "False", held.reason, held.message, now, busy=True),
    )


def waiting(
    status: StatusT, held: Obstacle, *, now: datetime, place: int | None = None, **known: Any
) -> StatusT | None:
    """Still Queued, with what it waits for; ``place`` in the line, and other fields as far as they are known."""
    if status.phase != "Queued":
        return None
    return _moved(
        status,
        queue_position=place,
        **{name: value for name, value in known.items() if value is not None},
        conditions=_conditions(status, "False", held.reason, held.message, now, busy=True),
    )


def started(status: StatusT, *, now: datetime, **chosen: Any) -> StatusT | None:
    """Running, from Queued; ``chosen`` are fields of the status that were decided at the start."""
    if not may_become(as_state(status.phase), "running"):
        return None
    return _moved(
        status,
        phase="Running",
        start_time=now,
        queue_position=None,
        conditions=_conditions(status, "False", "Running", "The run is being done.", now, busy=True),
        **chosen,
    )


def progressed(status: StatusT, *, step: str, bytes: int, now: datetime) -> StatusT | None:
    """Further on, while Running."""
    if status.phase != "Running":
        return None
    conditions = _conditions(status, "False", "Running", "The run is being done.", now, busy=True)
    return _moved(status, progress=Progress(step=step, bytes=bytes), conditions=conditions)


def held_up(status: StatusT, *, message: str, now: datetime) -> StatusT | None:
    """Still Running, with what its pod waits for."""
    if status.phase != "Running":
        return None
    return _moved(status, conditions=_conditions(status, "False", "PodWaiting", message[:1024], now, busy=True))


def ended(status: StatusT, report: Report, *, now: datetime) -> StatusT | None:
    """Completed or Failed, with the result; a run that ended before keeps what it has."""
    if is_terminal(status):
        return None
    start = status.start_time or status.queued_time or now
    common: dict[str, Any] = {
        "completion_time": now,
        "duration": human_seconds((now - start).total_seconds()),
        "progress": None,
        "queue_position": None,
    }
    if report.failure is None:
        reason = "CompletedWithWarnings" if report.warnings else "Completed"
        message = " ".join(["The run is completed.", *report.warnings])
        conditions = _conditions(status, "True", reason, message, now, busy=False)
        return _moved(status, phase="Completed", conditions=conditions, **common, **_result(status, report, now))
    failure = report.failure
    message = f"{failure.message} {failure.remedy}"
    cancelled = failure.code == "cancelled"
    return _moved(
        status,
        phase="Cancelled" if cancelled else "Failed",
        error=RunError(code=failure.code, step=failure.step, message=failure.message, remedy=failure.remedy),
        conditions=_conditions(status, "False", reason_of(failure.code), message, now, busy=False),
        **common,
        **_left(status, report, now),
    )


def _left(status: RunStatus, report: Report, now: datetime) -> dict[str, Any]:
    """What a run that failed has left all the same."""
    if isinstance(status, BackupExecutionStatus):
        return {"copies": copies_of(report)}
    return _result(status, report, now)


def _result(status: RunStatus, report: Report, now: datetime) -> dict[str, Any]:
    match status:
        case BackupExecutionStatus():
            return {
                "dump_bytes": report.dump_bytes,
                "stored_bytes": report.stored_bytes,
                "stored_size": human_bytes(report.stored_bytes or 0),
                "checksum": report.checksum,
                "engine_version": report.engine_version,
                "dump_time": datetime.fromisoformat(report.dump_time) if report.dump_time else None,
                "copies": copies_of(report),
            }
        case RestoreRequestStatus():
            return restore_result(report, now=now, note=status.note)
        case DatabaseSyncExecutionStatus():
            return sync_result(report)
    return {}


def _conditions(
    status: RunStatus, ready: ConditionStatus, reason: str, message: str, now: datetime, *, busy: bool
) -> list[Any]:
    stalled = ready == "False" and not busy
    wanted: dict[str, ConditionStatus] = {
        READY: ready,
        RECONCILING: "True" if busy else "False",
        STALLED: "True" if stalled else "False",
    }
    conditions = status.conditions
    for name, value in wanted.items():
        text = message if name == READY else message[:BRIEF]
        conditions = with_condition(conditions, name, status=value, reason=reason, message=text, now=now)
    return conditions


def _moved(status: StatusT, **changes: Any) -> StatusT:
    return status.model_copy(update=changes)
