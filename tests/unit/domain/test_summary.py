"""The status of a scheduled object tells about its last finished run."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.summary import drill_summary, job_summary, sync_summary
from dataguardian.resources.backup import BackupExecution, BackupJobStatus
from dataguardian.resources.drill import RestoreDrillStatus
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.sync import DatabaseSyncJobStatus
from tests.unit.objects import drill_request, ended_sync, execution

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


def test_of_runs_that_ended_in_the_same_second_the_same_one_counts_in_any_order() -> None:
    other = ended("z", "Failed", "2026-11-24T02:00:00Z")

    assert summary(GOOD, other).last_execution == summary(other, GOOD).last_execution


def drilled(*runs: RestoreRequest, status: RestoreDrillStatus | None = None) -> RestoreDrillStatus:
    found = status or RestoreDrillStatus()
    for run in runs:
        found = drill_summary(found, run, now=NOW) or found
    return found


PASSED = drill_request("a", "Completed", "2026-11-24T02:00:00Z")
NOT_PASSED = drill_request("b", "Failed", "2026-11-24T03:00:00Z")
ENDED = [
    drill_request(f"{phase.lower()}-{hour}", phase, f"2026-11-24T0{hour}:00:00Z")
    for phase, hour in product(("Completed", "Failed", "Cancelled"), (1, 2, 3))
]


def test_a_drill_that_fails_keeps_when_one_was_passed_and_how_long_that_took() -> None:
    status = drilled(PASSED, NOT_PASSED)

    assert (status.last_result, status.last_drill_time) == ("Failed", datetime(2026, 11, 24, 3, tzinfo=UTC))
    assert (status.last_restore_seconds, status.last_passed_time) == (42, datetime(2026, 11, 24, 2, tzinfo=UTC))
    assert status.last_execution is not None
    assert status.last_execution.name == "b"
    ((ready, reason, message),) = [(each.status, each.reason, each.message) for each in status.conditions]
    assert (ready, reason, message) == ("False", "Failed", "b: m")


def test_a_cancelled_drill_proves_nothing() -> None:
    status = drilled(drill_request("c", "Cancelled"))

    assert (status.last_result, status.last_passed_time, status.last_restore_seconds) == ("Cancelled", None, None)


@given(st.lists(st.sampled_from(ENDED)), st.lists(st.sampled_from(ENDED)))
def test_drills_that_are_told_again_change_nothing(runs: list[RestoreRequest], again: list[RestoreRequest]) -> None:
    in_order = sorted(runs, key=lambda run: (run.status.completion_time, run.metadata.name))
    status = drilled(*in_order)

    assert drilled(*(run for run in again if run in runs), status=status) == status


def test_a_sync_that_fails_keeps_what_the_copy_was_made_with() -> None:
    digest = "sha256:" + "a" * 64
    good = ended_sync("a", "Completed", "2026-11-24T02:00:00Z", maskingDigest=digest)
    bad = ended_sync("b", "Failed", "2026-11-24T03:00:00Z", maskingDigest="sha256:" + "b" * 64)
    status = DatabaseSyncJobStatus()
    for run in (good, bad, good):
        status = sync_summary(status, run, now=NOW) or status

    assert status.last_execution is not None
    assert (status.last_execution.name, status.last_execution.phase) == ("b", "Failed")
    assert (status.last_successful_time, status.masking_digest) == (datetime(2026, 11, 24, 2, tzinfo=UTC), digest)
