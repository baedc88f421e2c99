"""A BackupJob's retention: the policy that it is judged by, and what a judgement leaves in its status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..resources.backup import BackupExecutionStatus, BackupJob, RetentionStatus
from ..resources.common import seconds_of
from .catalogue import REMOVED, Entry
from .plan import RetentionPolicy
from .report import Report
from .told import BackupKept, BackupRemoved, RemovalDeferred, Told

RULE_LIMIT = 64  # characters of one rule in keptBy
RULES_LIMIT = 8
# A retry that was asked for in time may not be known yet, and clocks differ.
MARGIN = timedelta(minutes=10)


def retention_policy(job: BackupJob) -> RetentionPolicy | None:
    """The rules of the job; None when there is none, and everything is kept."""
    spec = job.spec.retention
    rules = {
        "max_backups": spec.max_backups,
        "max_age_seconds": None if spec.max_age is None else seconds_of(spec.max_age),
        "keep_daily": spec.keep_daily,
        "keep_weekly": spec.keep_weekly,
        "keep_monthly": spec.keep_monthly,
        "keep_yearly": spec.keep_yearly,
    }
    if spec.unfinished_max_age is None and all(value is None for value in rules.values()):
        return None
    return RetentionPolicy(**rules, time_zone=job.spec.time_zone)


def unfinished_max_age(job: BackupJob) -> timedelta | None:
    """How long what a run has left that did not complete is of use to a retry; None: for ever."""
    age = job.spec.retention.unfinished_max_age
    return None if age is None else timedelta(seconds=seconds_of(age))


def unfinished_before(job: BackupJob, *, now: datetime) -> datetime | None:
    """What is left of runs from before this moment is of no use to anybody; None: all of it is."""
    age = unfinished_max_age(job)
    return None if age is None else now - age - MARGIN


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
    backups: str,
    retry: datetime | None,
    look: datetime | None,
    now: datetime,
) -> RetentionStatus:
    """The status after the backups with the digest ``backups`` were judged. ``put_off``: why some could not be removed
    or seen; such a one is tried again at ``retry``, and so is a judgement that failed. ``look``: when the locations are
    looked at for what retention alone does not tell."""
    failure = report.failure
    before = known or RetentionStatus()
    reasons = [f"{failure.message} {failure.remedy}"] if failure else list(put_off)
    expiry = datetime.fromisoformat(report.next_expiry) if report.next_expiry else None
    times = [time for time in (expiry, retry, look) if time is not None]
    return RetentionStatus(
        last_checked_time=before.last_checked_time if failure else now,
        next_check_time=min(times, default=None),
        observed_generation=generation,
        observed_backups=backups,
        expired=before.expired if failure else report.expired or 0,
        message=" ".join(reasons)[:1024] or None,
    )


def put_off(report: Report, told: Iterable[Told], unusable: Iterable[str]) -> list[str]:
    """Why another cleanup is needed before long: what could not be seen, or not be removed."""
    refused = [line.reason for line in told if isinstance(line, RemovalDeferred)]
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
