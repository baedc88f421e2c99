"""RestoreDrills: what stands in the way of one, what its slots run, and what it learns from its runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..resources.backup import BackupJob
from ..resources.datasource import Datasource
from ..resources.drill import RestoreDrill
from ..resources.restore import VERIFY_PHRASE, RestoreRequest
from .ended_runs import Lessons
from .naming import human_seconds
from .readiness import Obstacle, backup_job_missing, datasource_missing, schedule_invalid, unhealthy
from .summary import RESULTS, drill_summary


def drill_of(request: RestoreRequest) -> str | None:
    """The drill that the request is a run of; None for one of no drill, or that restores nothing."""
    ref = request.spec.restore_drill_ref
    return ref.name if ref and rehearses(request) else None


def rehearses(request: RestoreRequest) -> bool:
    """Whether the request restores a backup to look at it, and neither looks only nor changes a target."""
    return request.spec.verification_mode and not request.spec.dry_run


def obstacle(
    drill: RestoreDrill, job: BackupJob | None, target: Datasource | None, *, now: datetime
) -> Obstacle | None:
    """The first thing that stands in the way of the drill's next run. ``target`` is the Datasource that it names."""
    if job is None:
        return backup_job_missing(drill.spec.backup_job_ref.name)
    named = drill.spec.target_datasource_ref
    if named is not None and target is None:
        return datasource_missing(named.name)
    return schedule_invalid(drill.spec, now=now) or (unhealthy(target) if target else None)


def slot_details(drill: RestoreDrill) -> dict[str, Any]:
    """What the RestoreRequest of a slot has beside what each run of a slot has. Its backup is chosen when it starts."""
    spec = drill.spec
    target = spec.target_datasource_ref
    return {
        "verificationMode": True,
        "confirmationPhrase": VERIFY_PHRASE,
        "verificationTarget": spec.verification_target,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
        **({"targetDatasourceRef": target.wire()} if target else {}),
    }


def _praise(request: RestoreRequest) -> str:
    status = request.status
    took = "" if status.restore_seconds is None else f" in {human_seconds(status.restore_seconds)}"
    return f"BackupExecution {status.backup_execution} was restored and compared{took}."


LESSONS = Lessons(
    summary=drill_summary,
    reasons={phase: f"Drill{result}" for phase, result in RESULTS.items()},
    praise=_praise,
)
