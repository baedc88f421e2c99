"""What the custom resources say, reduced to what the metrics need while it is read."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from ..domain.conditions import RECOVERABLE
from ..errors import DataGuardianError
from ..kube.client import Absent, Expired, Kubernetes
from ..kube.listing import pages
from ..resources import backup, datasource, restore, storage_location
from ..resources.common import seconds_of

log = logging.getLogger(__name__)

READ_S = 8.0  # for all objects; Prometheus gives up after 10 s unless told otherwise
SILENCE_S = 3.0
OBJECTS_FOR_S = 10.0  # how long an inventory is good

Key = tuple[str, str]  # namespace and name
HEALTHY = {"healthy": True, "warning": True, "critical": False}
AVAILABLE = {"Available": True, "Full": False, "Unreachable": False}
TRUE = {"True": True, "False": False}  # of a condition; one that is Unknown is neither
OBJECTIVES = ("recovery_point", "recovery_time", "verified_within")


class _Part(msgspec.Struct, rename="camel"):
    """The part of an object that is read; the rest is skipped."""


class _Metadata(_Part):
    namespace: str
    name: str


class _Object(_Part):
    metadata: _Metadata

    @property
    def key(self) -> Key:
        return self.metadata.namespace, self.metadata.name


class _Objectives(_Part):
    recovery_point: str | None = None
    recovery_time: str | None = None
    verified_within: str | None = None


class _JobSpec(_Part):
    objectives: _Objectives = msgspec.field(default_factory=_Objectives)


class _Condition(_Part):
    type: str
    status: str


class _Recoverability(_Part):
    recoverable_to: datetime | None = None
    verified_time: datetime | None = None
    restore_seconds: int | None = None


class _JobStatus(_Part):
    last_successful_time: datetime | None = None
    last_successful_size_bytes: int | None = None
    next_schedule_time: datetime | None = None
    recoverability: _Recoverability = msgspec.field(default_factory=_Recoverability)
    conditions: list[_Condition] = []


class _Job(_Object):
    spec: _JobSpec
    status: _JobStatus = msgspec.field(default_factory=_JobStatus)


class _Reference(_Part):
    name: str = ""


class _RunSpec(_Part):
    backup_job_ref: _Reference = msgspec.field(default_factory=_Reference)
    verification_mode: bool = False  # this and the next one: of a RestoreRequest
    dry_run: bool = False


class _RunStatus(_Part):
    phase: str = "Queued"  # of one that nobody has accepted yet: it waits too
    start_time: datetime | None = None
    completion_time: datetime | None = None
    datasource: str | None = None


class _Run(_Object):
    spec: _RunSpec
    status: _RunStatus = msgspec.field(default_factory=_RunStatus)

    @property
    def attempted(self) -> datetime | None:
        """When it was tried; None for one that still waits."""
        return self.status.start_time or self.status.completion_time


class _CheckedStatus(_Part):
    health: str | None = None
    phase: str | None = None


class _Checked(_Object):
    status: _CheckedStatus = msgspec.field(default_factory=_CheckedStatus)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The figures of all objects. Times are seconds since 1970; what is not known has no entry."""

    last_success: dict[Key, float] = field(default_factory=dict)
    last_attempt: dict[Key, float] = field(default_factory=dict)
    next_schedule: dict[Key, float] = field(default_factory=dict)
    size_bytes: dict[Key, float] = field(default_factory=dict)
    recoverable: dict[Key, float] = field(default_factory=dict)
    recoverable_to: dict[Key, float] = field(default_factory=dict)
    last_verified: dict[Key, float] = field(default_factory=dict)
    restore_measured: dict[Key, float] = field(default_factory=dict)
    objectives: dict[tuple[str, str, str], float] = field(default_factory=dict)  # by job and objective
    restored: dict[Key, float] = field(default_factory=dict)  # by target: the last success, and the last attempt
    restore_attempted: dict[Key, float] = field(default_factory=dict)
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
    jobs: set[Key] = set()
    async for page in pages(kube, backup.BACKUP_JOB, _Job, silence_s=SILENCE_S):
        for job in page:
            jobs.add(job.key)
            _note_job(found, job)
    async for runs in pages(kube, backup.BACKUP_EXECUTION, _Run, silence_s=SILENCE_S):
        for run in runs:
            _note_run(found, "backup", run)
            of_job = (run.metadata.namespace, run.spec.backup_job_ref.name)
            if of_job in jobs:
                _note_latest(found.last_attempt, of_job, run.attempted)
    async for runs in pages(kube, restore.KIND, _Run, silence_s=SILENCE_S):
        for run in runs:
            _note_run(found, "verify" if run.spec.verification_mode else "restore", run)
            _note_restore(found, run)
    async for checked in pages(kube, datasource.KIND, _Checked, silence_s=SILENCE_S):
        _note_checks(found.datasource_up, {each.key: each.status.health for each in checked}, HEALTHY)
    async for checked in pages(kube, storage_location.KIND, _Checked, silence_s=SILENCE_S):
        _note_checks(found.storage_up, {each.key: each.status.phase for each in checked}, AVAILABLE)
    return found


def _note_job(found: Inventory, job: _Job) -> None:
    status = job.status
    proven = status.recoverability
    _note_latest(found.last_success, job.key, status.last_successful_time)
    _note_latest(found.next_schedule, job.key, status.next_schedule_time)
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


def _note_run(found: Inventory, operation: str, run: _Run) -> None:
    found.executions[operation, run.status.phase] += 1


def _note_restore(found: Inventory, run: _Run) -> None:
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
