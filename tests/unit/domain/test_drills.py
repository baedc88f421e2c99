"""What stands in the way of a drill, and which runs are its own."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dataguardian.domain.drills import drill_of, obstacle, slot_details
from dataguardian.domain.ended_runs import ended_run, untold
from dataguardian.resources.backup import BackupJob
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.drill import RestoreDrill
from tests.unit.objects import backup_job, datasource, drill_request, restore_drill, restore_request

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TARGET = {"targetDatasourceRef": {"name": "rehearsal"}}


def reason(drill: RestoreDrill, job: BackupJob | None = None, target: Datasource | None = None) -> str | None:
    found = obstacle(drill, job, target, now=NOW)
    return found.reason if found else None


def test_nothing_stands_in_the_way_of_a_drill_whose_references_exist() -> None:
    assert reason(restore_drill(schedule="@weekly"), backup_job()) is None
    assert reason(restore_drill(**TARGET), backup_job(), datasource()) is None


def test_a_missing_reference_is_named_with_a_remedy() -> None:
    found = obstacle(restore_drill(), None, None, now=NOW)

    assert found is not None
    assert (found.reason, found.message) == (
        "BackupJobNotFound",
        "BackupJob 'nightly' does not exist. Create it, or correct the reference.",
    )
    assert reason(restore_drill(**TARGET), backup_job()) == "DatasourceNotFound"


def test_a_schedule_that_never_comes_is_an_obstacle() -> None:
    assert reason(restore_drill(schedule="0 0 31 2 *"), backup_job()) == "ScheduleInvalid"


@pytest.mark.parametrize(
    ("spec", "phase"),
    [
        pytest.param({}, "Running", id="has-not-ended"),
        pytest.param({}, None, id="is-not-accepted"),
        pytest.param({"dryRun": True}, "Completed", id="restored-nothing"),
        pytest.param({"restoreDrillRef": None}, "Completed", id="is-of-no-drill"),
    ],
)
def test_no_run_of_a_drill_is_a_request_that(spec: dict[str, Any], phase: str | None) -> None:
    request = drill_request("a", phase, **spec)

    assert ended_run(request, drill_of(request)) is None
    assert drill_of(restore_request()) is None


def test_what_a_status_does_not_know_is_told_in_the_order_of_the_ends() -> None:
    requests = [
        drill_request("late", "Failed", "2026-11-24T04:00:00Z"),
        drill_request("told", "Completed", "2026-11-24T02:00:00Z"),
        drill_request("b", "Completed", "2026-11-24T03:00:00Z"),
        drill_request("a", "Failed", "2026-11-24T03:00:00Z"),
        drill_request("old", "Failed", "2026-11-24T01:00:00Z"),
    ]
    runs = [run for request in requests if (run := ended_run(request, drill_of(request)))]
    latest = {"name": "told", "phase": "Completed", "completionTime": "2026-11-24T02:00:00Z"}

    new = untold(restore_drill({"lastExecution": latest}).status.last_execution, runs)

    assert [run.name for run in new] == ["a", "b", "late"]
    assert len(untold(None, runs)) == len(runs)


def test_a_slot_is_a_verification_and_no_restore() -> None:
    details = slot_details(restore_drill(verificationTarget="Ephemeral", activeDeadlineSeconds=600))

    assert details == {
        "verificationMode": True,
        "confirmationPhrase": "VERIFICAR RESTORE",
        "verificationTarget": "Ephemeral",
        "activeDeadlineSeconds": 600,
    }
    assert slot_details(restore_drill(**TARGET))["targetDatasourceRef"] == {"name": "rehearsal"}
