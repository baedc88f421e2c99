"""Conditions of a status, as kstatus and kubectl wait read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from ..resources.common import Condition

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
RECOVERABLE = "Recoverable"  # of a BackupJob
ConditionStatus = Literal["True", "False", "Unknown"]


def with_condition(
    conditions: Iterable[Condition],
    type: str,
    *,
    status: ConditionStatus,
    reason: str,
    message: str,
    now: datetime,
    generation: int | None = None,
) -> list[Condition]:
    """The conditions with this one set; its transition time moves only when its status does."""
    current = {condition.type: condition for condition in conditions}
    before = current.get(type)
    since = before.last_transition_time if before and before.status == status else now
    current[type] = Condition(
        type=type,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )
    return [current[key] for key in sorted(current)]


def reason_of(code: str) -> str:
    """The condition reason of an error code: ``storage-unavailable`` → ``StorageUnavailable``."""
    return "".join(part.capitalize() for part in code.split("-"))
