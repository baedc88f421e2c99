"""What an ended RestoreRequest says of the backup that it read: whether it is whole, and how long a restore takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..errors import BackupCorrupt, LoadFailed, VerificationFailed
from ..resources.backup import Recoverability, Verdict
from ..resources.restore import RestoreRequest
from .catalogue import Entry

# What a verification finds wrong with a backup. Missing rights, a server that is away, a cancel and all else that keeps
# it from its end say nothing about the backup.
FAULTS: Final = frozenset({VerificationFailed.code, BackupCorrupt.code, LoadFailed.code})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one run found. ``restore_seconds`` is None when it measured nothing."""

    namespace: str
    job: str
    backup: str  # BackupExecution
    began: datetime
    ended: datetime
    verdict: Verdict | None = None
    restore_seconds: int | None = None
    restored_bytes: int | None = None


def evidence_of(request: RestoreRequest) -> Evidence | None:
    """What the run says; None when that is nothing, or when no BackupExecution is known to be its backup's."""
    status, named = request.status, request.spec.backup_execution_ref
    backup = status.backup_execution or (named.name if named else None)
    if request.spec.dry_run or status.start_time is None or status.completion_time is None:
        return None
    if backup is None or status.backup_job is None:
        return None
    found = Evidence(
        namespace=request.metadata.namespace,
        job=status.backup_job,
        backup=backup,
        began=status.start_time,
        ended=status.completion_time,
        verdict=_verdict(request),
        restore_seconds=status.restore_seconds if status.phase == "Completed" else None,
        restored_bytes=status.dump_bytes if status.phase == "Completed" else None,
    )
    return found if found.verdict or found.restore_seconds is not None else None


def _verdict(request: RestoreRequest) -> Verdict | None:
    verifies, error, found = request.spec.verification_mode, request.status.error, request.status.verification
    if request.status.phase == "Completed":
        # Nothing is proven by a run that does not tell what it has compared, whatever its runner was.
        return "Passed" if verifies and found is not None and found.result == "Passed" else None
    # A restore may fail to load for what was in its target; the stored bytes are the same whoever reads them.
    faults = FAULTS if verifies else {BackupCorrupt.code}
    return "Failed" if request.status.phase == "Failed" and error and error.code in faults else None


def is_about(found: Evidence, entry: Entry) -> bool:
    """Whether the run read this backup, and not one whose name it has taken since."""
    return found.backup == entry.name and found.began >= entry.ended


def verification(
    found: Evidence, last: Verdict | None, judged: datetime | None, verified: datetime | None
) -> tuple[Verdict | None, datetime | None, datetime | None]:
    """What the latest verification of a backup found, when that ended, and when the latest one ended that found the
    backup to be whole. The same comes of all evidence, in whatever order it comes."""
    if found.verdict is None:
        return last, judged, verified
    if found.verdict == "Passed" and _is_later(found.ended, verified):
        verified = found.ended
    if judged is None or (found.ended, found.verdict == "Failed") > (judged, last == "Failed"):
        last, judged = found.verdict, found.ended
    return last, judged, verified


def proven(known: Recoverability, found: Evidence) -> Recoverability:
    """What is known of a job with this too. Older evidence changes nothing, in whatever order it comes."""
    changes: dict[str, object] = {}
    if found.restore_seconds is not None and _is_later(found.ended, known.restored_time):
        changes |= {
            "restore_seconds": found.restore_seconds,
            "restored_bytes": found.restored_bytes,
            "restored_time": found.ended,
        }
    if found.verdict == "Passed" and _is_later(found.ended, known.verified_time):
        changes |= {"verified_time": found.ended, "verified_backup": found.backup}
        if known.failed_time is not None and known.failed_time < found.ended:
            changes |= {"failed_time": None, "failed_backup": None}
    is_refuted = known.verified_time is not None and known.verified_time > found.ended
    if found.verdict == "Failed" and not is_refuted and _is_later(found.ended, known.failed_time):
        changes |= {"failed_time": found.ended, "failed_backup": found.backup}
    return known.model_copy(update=changes)


def _is_later(moment: datetime, known: datetime | None) -> bool:
    return known is None or moment > known
