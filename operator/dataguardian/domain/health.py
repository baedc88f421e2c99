"""What a check says of a datasource or a storage location, and when the next one is due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from ..resources.common import Condition, Status
from ..resources.datasource import Datasource, DatasourceStatus
from ..resources.storage_location import StorageLocation, StorageLocationStatus
from .conditions import READY, ConditionStatus, reason_of, with_condition
from .report import Failure, Report

# An unhealthy object is checked this often, so that it heals soon after its cause is gone.
UNHEALTHY_INTERVAL = timedelta(seconds=30)

Health = Literal["up", "degraded", "down", "unknown"]  # of anything that is checked
# By the word in the status: ``health`` of a Datasource, ``phase`` of a StorageLocation. One that is full is read from.
HEALTH_OF: Mapping[str, Health] = {
    "healthy": "up",
    "warning": "degraded",
    "critical": "down",
    "Available": "up",
    "Full": "degraded",
    "Unreachable": "down",
}


def health_of(word: str | None) -> Health:
    """What the word in a status means; nothing is known of what was not checked yet."""
    return HEALTH_OF.get(word or "", "unknown")


def is_due(checked: Datasource | StorageLocation, *, now: datetime) -> bool:
    """Whether the object wants a check: never checked, changed since, or its interval is over."""
    status = checked.status
    if status.last_checked_time is None or status.observed_generation != checked.metadata.generation:
        return True
    interval = timedelta(seconds=checked.spec.check.interval_seconds)
    if not _is_ready(status):
        interval = min(interval, UNHEALTHY_INTERVAL)
    return now - status.last_checked_time >= interval


def is_usable(location: StorageLocation) -> bool:
    """Whether the location answers, so that its backups can be read; one without room does."""
    return location.status.phase in ("Available", "Full")


def datasource_status(checked: Datasource, report: Report, *, generation: int, now: datetime) -> DatasourceStatus:
    """The status after a check of this generation."""
    failure = report.failure
    slow = (report.latency_ms or 0) > checked.spec.check.latency_warning_ms
    if failure:
        health, ready, reason, message = "critical", "False", reason_of(failure.code), _sentence(failure)
    elif slow:
        health, ready, reason = "warning", "True", "Slow"
        message = f"A login and a query took {report.latency_ms} ms."
    else:
        health, ready, reason, message = "healthy", "True", "LoggedIn", "A login and a query went well."
    return checked.status.model_copy(
        update={
            "observed_generation": generation,
            "health": health,
            "latency_ms": report.latency_ms,
            "server_version": report.engine_version or checked.status.server_version,
            "last_checked_time": now,
            "conditions": _ready(checked.status, ready == "True", reason, message, generation, now),
        }
    )


def location_status(
    checked: StorageLocation, report: Report, *, generation: int, now: datetime
) -> StorageLocationStatus:
    """The status after a check of this generation."""
    failure = report.failure
    if failure is None:
        phase, reason, message = "Available", "Checked", "A small object was written, read and deleted."
        if checked.spec.access_mode == "ReadOnly":
            message = "The location was listed; it is never written to."
    else:
        phase = "Full" if failure.code == "storage-full" else "Unreachable"
        reason, message = reason_of(failure.code), _sentence(failure)
    return checked.status.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "last_checked_time": now,
            "conditions": _ready(checked.status, failure is None, reason, message, generation, now),
        }
    )


def _ready(status: Status, good: bool, reason: str, message: str, generation: int, now: datetime) -> list[Condition]:
    value: ConditionStatus = "True" if good else "False"
    return with_condition(
        status.conditions, READY, status=value, reason=reason, message=message, now=now, generation=generation
    )


def _is_ready(status: Status) -> bool:
    return any(condition.type == READY and condition.status == "True" for condition in status.conditions)


def _sentence(failure: Failure) -> str:
    return f"{failure.message} {failure.remedy}"
