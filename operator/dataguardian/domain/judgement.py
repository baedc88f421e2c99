"""The operator's own judgement of a job's backups, by their entries: only what it cannot settle needs a cleanup.

A cleanup judges again, by the manifests in the stores, before it deletes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from ..errors import SpecInvalid
from ..resources.backup import BackupJob, RetentionStatus
from . import report as reports
from .catalogue import STORED, Entry
from .naming import job_folder
from .plan import RetentionPolicy
from .policies import retention_policy
from .report import Report
from .retention import NOTHING_HELD, Backup, judge
from .told import BackupKept, RemovalDeferred, Told


@dataclass(frozen=True)
class Judged:
    """What a cleanup would report if it found in the stores what the entries say, and which rules keep each backup."""

    report: Report
    told: Sequence[BackupKept] = ()
    needs_cleanup: bool = False  # there is something to delete


def held_backups(entries: Iterable[Entry], holds: Mapping[str, str]) -> dict[str, str]:
    """Id of each backup that a restore holds → why. ``holds``: the same by the name of its run."""
    return {entry.execution_id: holds[entry.name] for entry in entries if entry.name in holds}


def is_due(job: BackupJob, entries: Sequence[Entry], *, now: datetime, held: Mapping[str, str] = NOTHING_HELD) -> bool:
    """Whether the job's backups are to be judged: the rules or the backups are others, or a time has come."""
    known = job.status.retention or RetentionStatus()
    is_new = known.observed_generation != job.metadata.generation or known.observed_backups != digest(entries, held)
    return (is_new or _time_has_come(known, now)) and retention_policy(job) is not None and _leaves(job, entries)


def judged(
    job: BackupJob,
    policy: RetentionPolicy,
    entries: Iterable[Entry],
    *,
    now: datetime,
    held: Mapping[str, str] = NOTHING_HELD,
) -> Judged:
    """Judge the job's backups as its entries tell of them."""
    try:
        judgement = judge(stored_backups(job, entries), policy, now, held)
    except SpecInvalid as error:
        return Judged(reports.failed(error, "cleanup"))
    spec, known = job.spec.retention, job.status.retention or RetentionStatus()
    expired = sum(1 for verdict in judgement.verdicts if not verdict.kept_by)
    # Only the stores know what else is in them.
    is_new = known.observed_generation != job.metadata.generation
    looks = spec.unfinished_max_age is not None and (is_new or _time_has_come(known, now))
    report = Report(
        completed=True,
        backups=len(judgement.verdicts),
        expired=expired,
        next_expiry=judgement.next_expiry.isoformat() if judgement.next_expiry else None,
    )
    told = [
        BackupKept(
            execution_id=verdict.backup.execution_id,
            execution_name=verdict.backup.execution_name,
            kept_by=verdict.kept_by,  # nothing, for one that is to be deleted
        )
        for verdict in judgement.verdicts
    ]
    return Judged(report, told, needs_cleanup=spec.auto_delete and (expired > 0 or looks))


def refuted(entries: Iterable[Entry]) -> list[str]:
    """Ids of the stored backups whose latest verification failed. They count as damaged: none pushes a good one out."""
    return sorted(entry.execution_id for entry in entries if entry.stored and entry.verification == "Failed")


def stored_backups(job: BackupJob, entries: Iterable[Entry]) -> list[Backup]:
    """What is stored that the job itself has made; backups of an earlier job of its name are none of its own."""
    folder = job_folder(job.metadata.namespace, job.metadata.name, job.metadata.uid) + "/"
    found = {}
    for entry in entries:
        own = [copy for copy in entry.copies if copy.state == STORED and copy.key.startswith(folder)]
        if own:
            found[entry.execution_id] = Backup(
                execution_id=entry.execution_id,
                execution_name=entry.name,
                job_uid=job.metadata.uid,
                time=entry.dumped,
                copies={copy.location: entry.verification != "Failed" for copy in own},
            )
    return list(found.values())


def digest(entries: Collection[Entry], held: Collection[str] = ()) -> str:
    """A text that is another one when other backups are stored, or other ones of these are held or refuted."""
    return _digest(entries, held, refuted(entries))


def _digest(entries: Iterable[Entry], held: Collection[str], refuted: Collection[str]) -> str:
    ids = sorted(entry.execution_id for entry in entries if entry.stored)
    lines = [each + " held" * (each in held) + " refuted" * (each in refuted) for each in ids]
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def observed(
    entries: Iterable[Entry],
    told: Iterable[Told],
    *,
    began: datetime,
    held: Collection[str] = (),
    refuted: Collection[str] = (),
) -> str:
    """The digest of the backups that a cleanup has judged which began then, with those held and refuted that were so
    then: not of those that came meanwhile."""
    ids = {line.execution_id for line in told if isinstance(line, BackupKept | RemovalDeferred)}
    judged = (entry for entry in entries if entry.seen <= began or entry.execution_id in ids)
    return _digest(judged, held, refuted)


def _leaves(job: BackupJob, entries: Sequence[Entry]) -> bool:
    """Whether the job's runs have left anything in the stores."""
    return bool(stored_backups(job, entries)) or (bool(entries) and job.spec.retention.unfinished_max_age is not None)


def _time_has_come(known: RetentionStatus, now: datetime) -> bool:
    return known.next_check_time is not None and known.next_check_time <= now
