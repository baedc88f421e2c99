"""A BackupJob's status tells about its last finished run."""

from datetime import UTC, datetime
from typing import Any

from dataguardian.domain.summary import job_summary
from dataguardian.resources.backup import BackupExecution, BackupJobStatus
from tests.unit.objects import execution

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ended(name: str, phase: str, at: str) -> BackupExecution:
    ready: dict[str, Any] = {
        "type": "Ready",
        "status": "True" if phase == "Completed" else "False",
        "reason": phase,
        "message": "m",
        "lastTransitionTime": at,
    }
    return execution(name, status={"phase": phase, "completionTime": at, "storedBytes": 7, "conditions": [ready]})


def summary(*runs: BackupExecution) -> BackupJobStatus:
    status = BackupJobStatus()
    for run in runs:
        status = job_summary(status, run, now=NOW) or status
    return status


GOOD = ended("a", "Completed", "2026-11-24T02:00:00Z")
BAD = ended("b", "Failed", "2026-11-24T03:00:00Z")


def test_a_failure_keeps_the_time_of_the_last_success() -> None:
    status = summary(GOOD, BAD)

    assert status.last_execution is not None
    assert (status.last_execution.name, status.last_execution.phase) == ("b", "Failed")
    assert status.last_successful_time == datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert status.last_successful_size_bytes == 7
    assert [condition.status for condition in status.conditions] == ["False"]


def test_a_run_that_is_recorded_late_does_not_hide_a_newer_one() -> None:
    assert summary(BAD, GOOD).last_execution == summary(BAD).last_execution


def test_recording_a_run_twice_changes_nothing() -> None:
    assert job_summary(summary(GOOD), GOOD, now=NOW) is None
