"""A BackupJob's retention: the policy that the runner judges by, and when it is to be judged again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..resources.backup import BackupExecutionStatus, BackupJob, RetentionStatus
from .catalogue import REMOVED, STORED, Entry
from .naming import job_folder
from .plan import RetentionPolicy
from .report import Report
from .told import BackupKept, BackupRemoved, RemovalDeferred, Told

RULE_LIMIT = 64  # characters of one rule in keptBy
RULES_LIMIT = 8
_UNITS = {"h": 3600, "m": 60, "s": 1}


def retention_policy(job: BackupJob) -> RetentionPolicy | None:
    """The rules of the job; None when there is none, and all backups are kept."""
    spec = job.spec.retention
    rules = {
        "max_backups": spec.max_backups,
        "max_age_seconds": None if spec.max_age is None else _seconds(spec.max_age),
        "keep_daily": spec.keep_daily,
        "keep_weekly": spec.keep_weekly,
        "keep_monthly": spec.keep_monthly,
        "keep_yearly": spec.keep_yearly,
    }
    if all(value is None for value in rules.values()):
        return None
    return RetentionPolicy(**rules, auto_delete=spec.auto_delete, time_zone=job.spec.time_zone)


def _seconds(duration: str) -> int:
    """A duration in Go's form: ``1h30m`` → 5400."""
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


def has_backups(job: BackupJob, entries: Iterable[Entry]) -> bool:
    """Whether anything is stored that the job itself has made; those of an earlier job of its name are none."""
    folder = job_folder(job.metadata.namespace, job.metadata.name, job.metadata.uid) + "/"
    return any(copy.state == STORED and copy.key.startswith(folder) for entry in entries for copy in entry.copies)


def is_judged_again(job: BackupJob, *, now: datetime) -> bool:
    """Whether the stored backups are to be judged without waiting for a run: the rules are new, or a time has come."""
    known = job.status.retention
    is_new = known is None or known.observed_generation != job.metadata.generation
    time = known.next_check_time if known else None
    return (is_new or (time is not None and time <= now)) and retention_policy(job) is not None


def caught_up(away: Mapping[str, bool], usable: Collection[str]) -> tuple[dict[str, bool], bool]:
    """What is known of locations where removals wait, and whether one of them has come back.

    ``away``: location → whether it was seen to be away since the removals were put off.
    """
    back = any(gone and location in usable for location, gone in away.items())
    return {location: gone or location not in usable for location, gone in away.items()}, back


def retention_status(
    known: RetentionStatus | None,
    report: Report,
    put_off: Sequence[str],
    *,
    generation: int | None,
    retry: datetime,
    now: datetime,
) -> RetentionStatus:
    """The status after the backups were judged. ``put_off``: why some could not be removed or seen; such a one is
    tried again at ``retry``, and so is a judgement that failed."""
    failure = report.failure
    before = known or RetentionStatus()
    reasons = [f"{failure.message} {failure.remedy}"] if failure else list(put_off)
    expiry = datetime.fromisoformat(report.next_expiry) if report.next_expiry else None
    times = [time for time in (expiry, retry if reasons else None) if time is not None]
    return RetentionStatus(
        last_checked_time=before.last_checked_time if failure else now,
        next_check_time=min(times, default=None),
        observed_generation=generation,
        expired=before.expired if failure else report.expired or 0,
        message=" ".join(reasons)[:1024] or None,
    )


def put_off(report: Report, told: Iterable[Told], unusable: Iterable[str], *, auto_delete: bool) -> list[str]:
    """Why another judgement is needed before long: what could not be seen, or not be removed.

    With ``auto_delete`` off nothing is to be removed, so nothing waits for that.
    """
    refused = [line.reason for line in told if isinstance(line, RemovalDeferred)] if auto_delete else []
    unread = [f"StorageLocation {name!r} could not be read." for name in report.unread]
    away = [f"StorageLocation {name!r} is not available." for name in unusable]
    return list(dict.fromkeys([*refused, *unread, *away]))


@dataclass
class Decision:
    """What retention decided about one backup."""

    kept_by: list[str] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)  # locations

    def changes(self, entry: Entry) -> bool:
        """Whether the entry does not show it yet."""
        gone = any(copy.location in self.removed and copy.state != REMOVED for copy in entry.copies)
        return gone or tuple(self.kept_by) != entry.kept_by

    def applied(self, status: BackupExecutionStatus) -> BackupExecutionStatus:
        """The status with it."""
        copies = [
            copy.model_copy(update={"state": REMOVED, "reason": None}) if copy.location in self.removed else copy
            for copy in status.copies
        ]
        return status.model_copy(update={"copies": copies, "kept_by": self.kept_by})


def decisions(told: Iterable[Told]) -> dict[str, Decision]:
    """Execution id → what the lines of a judgement say of its backup."""
    found: dict[str, Decision] = {}
    for line in told:
        match line:
            case BackupKept():
                rules = [rule[:RULE_LIMIT] for rule in line.kept_by[:RULES_LIMIT]]
                found.setdefault(line.execution_id, Decision()).kept_by = rules
            case BackupRemoved():
                found.setdefault(line.execution_id, Decision()).removed.add(line.location)
            case RemovalDeferred():
                found.setdefault(line.execution_id, Decision())
    return found
