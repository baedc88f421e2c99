"""What stands in the way of trying an upload again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataguardian.domain.report import KEPT
from dataguardian.domain.retries import refusal
from dataguardian.resources.backup import BackupExecution, BackupJob

from ..objects import backup_job, execution

STAGING = {"claimName": "spool"}
CREATED = datetime(2026, 11, 24, 2, tzinfo=UTC)
SOON = CREATED + timedelta(hours=1)


def failed(step: str = "upload", *, copies: tuple[str, ...] = (), phase: str = "Failed") -> BackupExecution:
    """A run that ended in this step; ``copies`` are the reasons of those that it tells of."""
    error = {"code": "storage-unavailable", "step": step, "message": "Away.", "remedy": "Wait."}
    told = [{"location": "primary", "key": "a/manifest.json", "state": "Failed", "reason": why} for why in copies]
    return execution(status={"phase": phase, "error": error, "copies": told})


def staged(**spec: Any) -> BackupJob:
    return backup_job(staging=STAGING, **spec)


def why(run: BackupExecution, job: BackupJob | None, *retries: BackupExecution, now: datetime = SOON) -> str | None:
    refused = refusal(run, job, retries, now=now)
    return refused and refused.what


@pytest.mark.parametrize("step", ["upload", "verify", "finalize"])
def test_a_run_that_failed_after_its_dump_was_staged_is_tried_again(step: str) -> None:
    assert why(failed(step), staged()) is None


@pytest.mark.parametrize("step", ["connect", "dump"])
def test_a_run_that_failed_before_its_dump_was_whole_is_not(step: str) -> None:
    assert why(failed(step), staged()) == f"The run failed in the step {step!r} and left no whole dump."


@pytest.mark.parametrize("run", [failed("verify", copies=("full", KEPT)), failed("finalize")])
def test_without_staging_a_dump_that_is_whole_in_a_location_is_enough(run: BackupExecution) -> None:
    assert why(run, backup_job()) is None


@pytest.mark.parametrize("run", [failed("verify", copies=("backup-corrupt: …",)), failed("upload"), failed("dump")])
def test_without_staging_and_without_such_a_copy_there_is_nothing(run: BackupExecution) -> None:
    assert "its BackupJob has no spec.staging" in str(why(run, backup_job()))


@pytest.mark.parametrize("phase", ["Queued", "Running", "Completed", "Cancelled"])
def test_only_a_failed_run_is_tried_again(phase: str) -> None:
    assert why(failed(phase=phase), staged()) == f"BackupExecution 'nightly-1' is {phase}, not Failed."


def test_a_job_of_the_same_name_that_was_made_later_is_another_one() -> None:
    later = staged()
    later = later.model_copy(
        update={"metadata": later.metadata.model_copy(update={"creation_timestamp": CREATED + timedelta(minutes=1)})}
    )

    assert "does not exist any more" in str(why(failed(), later))
    assert "does not exist any more" in str(why(failed(), None))


@pytest.mark.parametrize(("age_hours", "is_refused"), [(23, False), (24, True)])
def test_what_is_too_old_for_a_retry_is_told(age_hours: int, is_refused: bool) -> None:
    told = why(failed(), staged(retention={"unfinishedMaxAge": "24h"}), now=CREATED + timedelta(hours=age_hours))

    assert (told is not None and "retention.unfinishedMaxAge, 24h" in told) is is_refused


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        (None, "Its retry 'again' is under way."),
        ("Running", "Its retry 'again' is under way."),
        ("Completed", "Its retry 'again' has completed the backup."),
        ("Failed", None),
        ("Cancelled", None),
    ],
)
def test_a_run_is_tried_again_by_one_at_a_time_until_it_is_complete(phase: str | None, says: str | None) -> None:
    assert why(failed(), staged(), execution("again", 9, {"phase": phase})) == says
