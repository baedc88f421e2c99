"""What stands in the way of trying the upload of a failed backup again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from ..resources.backup import BackupExecution, BackupJob
from .policies import unfinished_max_age
from .report import KEPT
from .status import is_terminal

# The steps of a failure that leaves the dump whole: with staging on its volume, without it in a location.
LEFT_STAGED: Final = frozenset({"upload", "verify", "finalize"})
LEFT_STORED: Final = frozenset({"finalize"})  # beside the copies that are told as kept


class Refusal(NamedTuple):
    """Why something is not done, and what to do about it."""

    what: str
    remedy: str


def refusal(
    failed: BackupExecution, job: BackupJob | None, retries: Iterable[BackupExecution], *, now: datetime
) -> Refusal | None:
    """Why the run's upload is not tried again; None when nothing stands in the way.

    ``job`` is the BackupJob of its name, ``retries`` are the runs that have tried this one again.
    """
    run = failed.metadata.name
    if failed.status.phase != "Failed":
        return Refusal(
            f"BackupExecution {run!r} is {failed.status.phase or 'not accepted yet'}, not Failed.",
            "Only the upload of a failed backup is tried again; run the BackupJob for a new backup.",
        )
    return _of_job(failed, job, now) or _of_retries(retries)


def _of_job(failed: BackupExecution, job: BackupJob | None, now: datetime) -> Refusal | None:
    name, again = failed.spec.backup_job_ref.name, "Run the BackupJob again."
    if job is None or job.metadata.creation_timestamp > failed.metadata.creation_timestamp:
        return Refusal(
            f"The BackupJob {name!r} that the run belongs to does not exist any more.",
            "Run the BackupJob that is there now, or make one.",
        )
    if not _is_left(failed, job):
        step = failed.status.error.step if failed.status.error else "connect"
        return Refusal(
            f"The run failed in the step {step!r} and left no whole dump"
            + ("." if job.spec.staging else ": its BackupJob has no spec.staging."),
            again if job.spec.staging else f"{again} With spec.staging a dump outlives an upload that fails.",
        )
    age = unfinished_max_age(job)
    if age is not None and now - failed.metadata.creation_timestamp >= age:
        return Refusal(
            f"What the run left is older than retention.unfinishedMaxAge, {job.spec.retention.unfinished_max_age}.",
            again,
        )
    return None


def _is_left(failed: BackupExecution, job: BackupJob) -> bool:
    step = failed.status.error.step if failed.status.error else ""
    is_kept = any(copy.reason == KEPT for copy in failed.status.copies)
    return is_kept or step in (LEFT_STAGED if job.spec.staging else LEFT_STORED)


def _of_retries(retries: Iterable[BackupExecution]) -> Refusal | None:
    for retry in retries:
        name = retry.metadata.name
        if not is_terminal(retry.status):
            return Refusal(f"Its retry {name!r} is under way.", "Wait for its end, or cancel it.")
        if retry.status.phase == "Completed":
            return Refusal(f"Its retry {name!r} has completed the backup.", f"Restore the backup of {name!r}.")
    return None
