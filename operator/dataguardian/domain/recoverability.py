"""Whether a database can be brought back as its BackupJob asks: to when, proven when, and in how long.

Messages name moments and not ages, so that a judgement is written again only when it is another one.
docs/recoverability.md tells the rules to people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Final

from ..resources.backup import BackupJob, BackupJobSpec, BackupJobStatus, Recoverability
from ..resources.common import Condition, seconds_of, timestamp
from .catalogue import STORED, Entry
from .conditions import RECOVERABLE, ConditionStatus, with_condition
from .evidence import Evidence, proven
from .naming import human_bytes, human_seconds

MESSAGE_LIMIT: Final = 1024  # characters
VERIFY = "Create a RestoreRequest with verificationMode, or a RestoreDrill."


@dataclass(frozen=True)
class Miss:
    """Why a database may not come back as intended."""

    reason: str
    message: str  # with figures and a remedy
    status: ConditionStatus = "False"


@dataclass(frozen=True)
class _Case:
    """All that a job is judged by."""

    spec: BackupJobSpec
    entries: Collection[Entry]
    found: Recoverability
    now: datetime


def assessed(
    job: BackupJob,
    entries: Collection[Entry],
    evidence: Iterable[Evidence] = (),
    *,
    now: datetime,
    away: Collection[str] = (),
) -> BackupJobStatus:
    """The job's status with its recoverability and the condition Recoverable, judged by its entries and its spec.

    ``away``: names of the StorageLocations that nothing can be read from.
    """
    own = _own(job, entries)
    strange = {entry.name for entry in entries} - {entry.name for entry in own}
    known = reduce(proven, (each for each in evidence if each.backup not in strange), _known(job, strange))
    found = _found(known, own, away, now)
    misses = misses_of(job, own, found, now=now)
    worst = misses[0] if misses else None
    conditions = with_condition(
        job.status.conditions,
        RECOVERABLE,
        status=worst.status if worst else "True",
        reason=worst.reason if worst else "AsIntended",
        message=(" ".join(miss.message for miss in misses) or _good_news(found))[:MESSAGE_LIMIT],
        now=now,
        generation=job.metadata.generation,
    )
    return job.status.model_copy(update={"recoverability": found, "conditions": conditions})


def next_change(job: BackupJob, entries: Iterable[Entry], *, now: datetime) -> datetime | None:
    """When the job, as ``assessed`` has left it, is judged otherwise if nothing but time passes: the first moment."""
    found, objectives = job.status.recoverability or Recoverability(), job.spec.objectives
    limits = (
        (found.recoverable_to, objectives.recovery_point),
        (found.verified_time, objectives.verified_within),
    )
    moments = [_end(since, limit) + datetime.resolution for since, limit in limits if since and limit is not None]
    moments += [entry.dumped for entry in _own(job, entries) if entry.good]  # of one that is dated in the future
    return min((moment for moment in moments if moment > now), default=None)


def turn(before: Iterable[Condition], after: Iterable[Condition]) -> Condition | None:
    """The condition Recoverable when it has become True or False after it was something else."""
    old, new = (next((each for each in these if each.type == RECOVERABLE), None) for these in (before, after))
    if old is None or new is None or new.status == old.status or new.status == "Unknown":
        return None
    return new


def misses_of(job: BackupJob, entries: Collection[Entry], found: Recoverability, *, now: datetime) -> list[Miss]:
    """All that is not as intended, the worst first."""
    case = _Case(job.spec, entries, found, now)
    return [miss for rule in _RULES if (miss := rule(case))]


def _own(job: BackupJob, entries: Iterable[Entry]) -> list[Entry]:
    """The backups of what the job backs up now: its datasource may have been another one, or an earlier job's."""
    return [entry for entry in entries if entry.datasource in (None, job.spec.datasource_ref.name)]


def _known(job: BackupJob, strange: Collection[str]) -> Recoverability:
    """What the status says already, unless that was proven by backups of another datasource."""
    known = job.status.recoverability or Recoverability()
    return Recoverability() if {known.verified_backup, known.failed_backup} & set(strange) else known


def _found(known: Recoverability, entries: Collection[Entry], away: Collection[str], now: datetime) -> Recoverability:
    # A job that was made anew knows by the entries what an earlier one of its name has proven.
    known = reduce(proven, _passed(entries), known)
    newest = _newest(entry for entry in _good(entries, now) if not _places(entry) <= set(away))
    return known.model_copy(
        update={
            "recoverable_to": newest.dumped if newest else None,
            "backup": newest.name if newest else None,
        }
    )


def _good(entries: Iterable[Entry], now: datetime) -> list[Entry]:
    # One that is dated in the future has a wrong clock, and would hide for long that no newer one comes.
    return [entry for entry in entries if entry.good and entry.dumped <= now]


def _places(entry: Entry) -> set[str]:
    return {copy.location for copy in entry.copies if copy.state == STORED}


def _passed(entries: Iterable[Entry]) -> Iterable[Evidence]:
    for entry in entries:
        if entry.verified is not None:
            yield Evidence(
                namespace=entry.namespace,
                job=entry.job,
                backup=entry.name,
                began=entry.ended,
                ended=entry.verified,
                verdict="Passed",
            )


def _newest(entries: Iterable[Entry]) -> Entry | None:
    return max(entries, key=lambda entry: (entry.dumped, entry.name), default=None)


def _end(since: datetime, limit: str) -> datetime:
    return since + timedelta(seconds=seconds_of(limit))


def _no_backup(case: _Case) -> Miss | None:
    if case.found.backup is not None:
        return None
    if unread := _good(case.entries, case.now):
        names = ", ".join(map(repr, sorted(set().union(*map(_places, unread)))))
        what = f"All {len(unread)} good backups are in StorageLocations that do not answer or do not exist: {names}."
        return Miss("LocationUnavailable", f"{what} Their condition Ready tells why; create those that are gone again.")
    bad = sum(entry.phase == "Completed" and entry.stored for entry in case.entries)
    what = (
        f"None of the {bad} stored backups is good."
        if bad
        else f"No completed backup of Datasource {case.spec.datasource_ref.name!r} is stored."
    )
    return Miss("NoBackup", f"{what} {_run(case.spec)}")


def _recovery_point(case: _Case) -> Miss | None:
    limit, found = case.spec.objectives.recovery_point, case.found
    if limit is None or found.recoverable_to is None or case.now <= _end(found.recoverable_to, limit):
        return None
    return Miss(
        "RecoveryPointMissed",
        f"The newest good backup, {found.backup}, has the data of {timestamp(found.recoverable_to)}: that is older "
        f"than spec.objectives.recoveryPoint {limit} allows. {_run(case.spec)}",
    )


def _failed_verification(case: _Case) -> Miss | None:
    """The latest verification failed, or that of a backup which is newer than all that passed: an older one that
    passes shows where to restore from, and not that backups are good again."""
    passed = _newest(entry for entry in case.entries if entry.verification == "Passed")
    failed = _newest(entry for entry in case.entries if entry.stored and entry.verification == "Failed")
    found = case.found
    if found.failed_time is not None:
        what = f"The verification of {found.failed_backup} that ended at {timestamp(found.failed_time)} failed."
    elif failed is not None and (passed is None or passed.dumped < failed.dumped):
        what = f"The latest verification of {failed.name} failed, and no newer backup has passed one."
    else:
        return None
    whole = _newest(entry for entry in case.entries if entry.good and entry.verification == "Passed")
    known = f"{whole.name} of {timestamp(whole.dumped)} is the newest that passed" if whole else "none has passed"
    return Miss(
        "VerificationFailed",
        f"{what} Of the stored backups {known}. The failed RestoreRequest tells what differs; back up again, and "
        "verify that backup.",
    )


def _verified_within(case: _Case) -> Miss | None:
    limit, since = case.spec.objectives.verified_within, case.found.verified_time
    if limit is None:
        return None
    asked = f"spec.objectives.verifiedWithin {limit}"
    if since is None:
        return Miss("NeverVerified", f"No backup has passed a verification, as {asked} asks for. {VERIFY}")
    if case.now <= _end(since, limit):
        return None
    return Miss(
        "VerificationOverdue",
        f"The last verification that passed, of {case.found.verified_backup}, ended at {timestamp(since)}: that is "
        f"longer ago than {asked} allows. {VERIFY}",
    )


def _recovery_time(case: _Case) -> Miss | None:
    limit, seconds = case.spec.objectives.recovery_time, case.found.restore_seconds
    if limit is None:
        return None
    asked = f"spec.objectives.recoveryTime {limit}"
    if seconds is None:
        return Miss("RecoveryTimeUnknown", f"No restore was measured yet, to compare with {asked}. {VERIFY}", "Unknown")
    if seconds <= seconds_of(limit):
        return None
    return Miss(
        "RecoveryTimeExceeded",
        f"{_measured(case.found)}, which is longer than {asked} allows. Restore with atomic: false or on a faster "
        "server, or ask for less.",
    )


# The worst first; only the last one may leave it unknown.
_RULES: tuple[Callable[[_Case], Miss | None], ...] = (
    _no_backup,
    _recovery_point,
    _failed_verification,
    _verified_within,
    _recovery_time,
)


def _run(spec: BackupJobSpec) -> str:
    if spec.suspend:
        return "The job is suspended: set spec.suspend to false, or create a BackupExecution."
    if spec.schedule is None:
        return "The job has no schedule: set spec.schedule, or create a BackupExecution."
    return "The condition Ready tells how the last run ended; create a BackupExecution to run at once."


def _good_news(found: Recoverability) -> str:
    told = []
    if found.recoverable_to is not None:
        told.append(f"The data of {timestamp(found.recoverable_to)} can be brought back, by {found.backup}.")
    if found.verified_time is not None:
        told.append(f"{found.verified_backup} passed a verification at {timestamp(found.verified_time)}.")
    if found.restore_seconds is not None:
        told.append(f"{_measured(found)}.")
    return " ".join(told)


def _measured(found: Recoverability) -> str:
    size = f" for {human_bytes(found.restored_bytes)}" if found.restored_bytes is not None else ""
    return f"The last restore took {human_seconds(found.restore_seconds or 0)}{size}"
