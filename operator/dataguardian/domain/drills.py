"""RestoreDrills: what stands in the way of one, what its slots run, and what is kept in memory of what it ran."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from ..resources.backup import BackupJob
from ..resources.datasource import Datasource
from ..resources.drill import RestoreDrill
from ..resources.restore import VERIFY_PHRASE, RestoreRequest
from .readiness import Obstacle, backup_job_missing, datasource_missing, schedule_invalid, unhealthy
from .status import is_terminal
from .summary import Rank, rank


@dataclass(frozen=True, slots=True)
class DrillRun:
    """A RestoreRequest of a drill that has ended."""

    namespace: str
    name: str
    uid: str
    drill: str
    phase: str
    ended: datetime

    @property
    def rank(self) -> Rank:
        """Who has the higher one ended later."""
        return self.ended, self.name


def drill_run_of(request: RestoreRequest) -> DrillRun | None:
    """What is kept of a request; None for one that has not ended, is of no drill, or has restored nothing."""
    ref, meta, status = request.spec.restore_drill_ref, request.metadata, request.status
    if ref is None or not rehearses(request) or not is_terminal(status):
        return None
    return DrillRun(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        drill=intern(ref.name),
        phase=intern(status.phase or ""),
        ended=status.completion_time or meta.creation_timestamp,
    )


def rehearses(request: RestoreRequest) -> bool:
    """Whether the request restores a backup to look at it, and neither looks only nor changes a target."""
    return request.spec.verification_mode and not request.spec.dry_run


def untold(drill: RestoreDrill, runs: list[DrillRun], news: Collection[str] = ()) -> list[DrillRun]:
    """The runs that the drill's status does not know of yet, in the order in which they ended. ``news``: UIDs of such
    that are to be told although a later one has been."""
    latest = drill.status.last_execution
    new = runs if latest is None else [run for run in runs if run.rank > rank(latest) or run.uid in news]
    return sorted(new, key=lambda run: run.rank)


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
