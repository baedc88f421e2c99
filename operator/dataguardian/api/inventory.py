"""What the custom resources say, reduced to what the metrics need while it is read."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..domain.conditions import RECOVERABLE
from ..domain.schedule import interval_after
from ..errors import DataGuardianError, SpecInvalid
from ..kube.client import Absent, Expired, Kubernetes
from ..kube.listing import pages
from ..resources import backup, datasource, restore, storage_location, sync
from ..resources.common import Kind, seconds_of
from .objects import Checked, Job, Key, Reference, Run, RunSpec

log = logging.getLogger(__name__)

READ_S = 8.0  # for all objects; Prometheus gives up after 10 s unless told otherwise
SILENCE_S = 3.0
OBJECTS_FOR_S = 10.0  # how long an inventory is good

HEALTHY = {"healthy": True, "warning": True, "critical": False}
AVAILABLE = {"Available": True, "Full": False, "Unreachable": False}
TRUE = {"True": True, "False": False}  # of a condition; one that is Unknown is neither
OBJECTIVES = ("recovery_point", "recovery_time", "verified_within")


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """The figures of all jobs of one kind, by job."""

    last_success: dict[Key, float] = field(default_factory=dict)
    last_attempt: dict[Key, float] = field(default_factory=dict)
    next_schedule: dict[Key, float] = field(default_factory=dict)
    expected_interval: dict[Key, float] = field(default_factory=dict)
    missed_schedules: dict[Key, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The figures of all objects. Times are seconds since 1970; what is not known has no entry."""

    jobs: dict[str, Jobs] = field(default_factory=dict)  # by operation
    size_bytes: dict[Key, float] = field(default_factory=dict)
    recoverable: dict[Key, float] = field(default_factory=dict)
    recoverable_to: dict[Key, float] = field(default_factory=dict)
    last_verified: dict[Key, float] = field(default_factory=dict)
    restore_measured: dict[Key, float] = field(default_factory=dict)
    objectives: dict[tuple[str, str, str], float] = field(default_factory=dict)  # by job and objective
    restored: dict[Key, float] = field(default_factory=dict)  # by target: the last success, and the last attempt
    restore_attempted: dict[Key, float] = field(default_factory=dict)
    existing: dict[str, set[Key]] = field(default_factory=dict)  # operation → what its runs are counted by
    executions: Counter[tuple[str, str]] = field(default_factory=Counter)  # by operation and phase
    datasource_up: dict[Key, float] = field(default_factory=dict)
    storage_up: dict[Key, float] = field(default_factory=dict)


async def read_inventory(kube: Kubernetes) -> Inventory | None:
    """Read all objects; None when the API server does not give them within READ_S."""
    try:
        async with asyncio.timeout(READ_S):
            return await _read(kube)
    except (DataGuardianError, Absent, Expired, TimeoutError) as error:
        extra = {"action": "inventory_missing", "reason": str(error) or f"not within {READ_S} s"}
        log.warning("Metrics of objects are missing: they cannot be listed", extra=extra)
        return None


async def _read(kube: Kubernetes) -> Inventory:
    found = Inventory()
    for job_kind in JOB_KINDS:
        await _read_jobs(kube, job_kind, found)
    async for runs in pages(kube, restore.KIND, Run, silence_s=SILENCE_S):
        for run in runs:
            _note_run(found, "verify" if run.spec.verification_mode else "restore", run)
            _note_restore(found, run)
    found.existing["verify"] = found.existing["backup"]
    targets = found.existing["restore"] = set()
    async for checked in pages(kube, datasource.KIND, Checked, silence_s=SILENCE_S):
        targets.update(each.key for each in checked)
        _note_checks(found.datasource_up, {each.key: each.status.health for each in checked}, HEALTHY)
    async for checked in pages(kube, storage_location.KIND, Checked, silence_s=SILENCE_S):
        _note_checks(found.storage_up, {each.key: each.status.phase for each in checked}, AVAILABLE)
    return found


async def _read_jobs(kube: Kubernetes, job_kind: JobKind, found: Inventory) -> None:
    figures, keys = Jobs(), set[Key]()
    found.jobs[job_kind.operation], found.existing[job_kind.operation] = figures, keys
    async for page in pages(kube, job_kind.kind, Job, silence_s=SILENCE_S):
        for job in page:
            keys.add(job.key)
            _note_job(figures, job)
            job_kind.note(found, job)
    async for runs in pages(kube, job_kind.run_kind, Run, silence_s=SILENCE_S):
        for run in runs:
            _note_run(found, job_kind.operation, run)
            of_job = (run.metadata.namespace, job_kind.job_of(run.spec).name)
            if of_job in keys:
                _note_latest(figures.last_attempt, of_job, run.attempted)


def _note_job(figures: Jobs, job: Job) -> None:
    status = job.status
    _note_latest(figures.last_success, job.key, status.last_successful_time)
    _note_latest(figures.next_schedule, job.key, status.next_schedule_time)
    figures.missed_schedules[job.key] = status.missed_schedules
    if job.spec.schedule and status.next_schedule_time:
        with suppress(SpecInvalid):  # its condition Ready tells
            interval = interval_after(job.spec.schedule, job.spec.time_zone, status.next_schedule_time)
            figures.expected_interval[job.key] = interval.total_seconds()


def _note_backups(found: Inventory, job: Job) -> None:
    """What a BackupJob says of its backups."""
    status = job.status
    proven = status.recoverability
    _note_latest(found.recoverable_to, job.key, proven.recoverable_to)
    _note_latest(found.last_verified, job.key, proven.verified_time)
    if status.last_successful_size_bytes is not None:
        found.size_bytes[job.key] = status.last_successful_size_bytes
    if proven.restore_seconds is not None:
        found.restore_measured[job.key] = proven.restore_seconds
    said = next((each.status for each in status.conditions if each.type == RECOVERABLE), None)
    _note_checks(found.recoverable, {job.key: said}, TRUE)
    for objective in OBJECTIVES:
        limit: str | None = getattr(job.spec.objectives, objective)
        if limit is not None:
            found.objectives[(*job.key, objective)] = seconds_of(limit)


def _note_run(found: Inventory, operation: str, run: Run) -> None:
    found.executions[operation, run.status.phase] += 1


def _note_restore(found: Inventory, run: Run) -> None:
    """A restore into a datasource; verifications and dry runs change none."""
    if run.status.datasource is None or run.spec.verification_mode or run.spec.dry_run:
        return
    target = (run.metadata.namespace, run.status.datasource)
    _note_latest(found.restore_attempted, target, run.attempted)
    if run.status.phase == "Completed":
        _note_latest(found.restored, target, run.status.completion_time)


def _note_latest(found: dict[Key, float], key: Key, moment: datetime | None) -> None:
    if moment is not None:
        found[key] = max(found.get(key, 0), moment.timestamp())


def _note_checks(found: dict[Key, float], said: dict[Key, str | None], meaning: dict[str, bool]) -> None:
    """What was checked; an object that was not yet is left out, it is neither up nor down."""
    found.update({key: meaning[word] for key, word in said.items() if word in meaning})


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """A kind that runs by a schedule, and the kind of its runs."""

    operation: str
    kind: Kind[Any]
    run_kind: Kind[Any]
    job_of: Callable[[RunSpec], Reference]
    note: Callable[[Inventory, Job], None] = lambda _found, _job: None  # what else its objects tell


JOB_KINDS = (
    JobKind(
        operation="backup",
        kind=backup.BACKUP_JOB,
        run_kind=backup.BACKUP_EXECUTION,
        job_of=lambda spec: spec.backup_job_ref,
        note=_note_backups,
    ),
    JobKind(
        operation="sync",
        kind=sync.DATABASE_SYNC_JOB,
        run_kind=sync.DATABASE_SYNC_EXECUTION,
        job_of=lambda spec: spec.database_sync_job_ref,
    ),
)
