"""What stands in a BackupJob's way."""

from datetime import UTC, datetime
from typing import Any

from dataguardian.domain.readiness import judged_status, obstacle, standing
from dataguardian.resources.backup import BackupJob
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.storage_location import StorageLocation
from tests.unit.objects import backup_job, bucket, datasource, volume

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def reason(
    job: BackupJob | None = None, source: Datasource | None = None, location: StorageLocation | None = None
) -> str | None:
    found = obstacle(job or backup_job(), source, {"primary": location}, now=NOW)
    return found.reason if found else None


def unready(resource: Any) -> Any:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "NotFound",
        "message": "Secret missing.",
        "lastTransitionTime": "2026-11-24T12:00:00Z",
    }
    return type(resource).read({**resource.wire(), "status": {"conditions": [condition]}})


def edited(resource: Any) -> Any:
    """As the API server has it after its spec has changed."""
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update={"generation": 2})})


def test_nothing_stands_in_the_way_of_a_job_whose_references_exist() -> None:
    assert reason(source=datasource(), location=bucket()) is None


def test_a_missing_reference_is_named_by_its_kind() -> None:
    assert reason(location=bucket()) == "DatasourceNotFound"
    assert reason(source=datasource()) == "StorageLocationNotFound"


def test_a_read_only_location_takes_no_backup() -> None:
    assert reason(source=datasource(), location=bucket(accessMode="ReadOnly")) == "StorageLocationReadOnly"


def test_a_read_only_location_is_no_obstacle_while_enough_others_take_backups() -> None:
    frozen = {"primary": bucket(accessMode="ReadOnly"), "local": volume()}

    def reason_with(copies: int) -> str | None:
        locations = [{"name": "primary"}, {"name": "local"}]
        job = backup_job(storage={"locations": locations, "minCopies": copies})
        found = obstacle(job, datasource(), frozen, now=NOW)
        return found.reason if found else None

    assert (reason_with(1), reason_with(2)) == (None, "StorageLocationReadOnly")


def test_a_refused_check_shows_on_the_job_with_its_message() -> None:
    found = obstacle(backup_job(), unready(datasource()), {"primary": bucket()}, now=NOW)

    assert found is not None
    assert found.reason == "DatasourceNotReady"
    assert "Secret missing." in found.message


def test_a_schedule_that_never_comes_is_an_obstacle() -> None:
    job = backup_job(schedule="0 0 31 2 *")

    assert reason(job, datasource(), bucket()) == "ScheduleInvalid"


def test_judging_a_job_twice_changes_nothing() -> None:
    job = backup_job()
    first = judged_status(job, None, next_schedule=None, now=NOW)

    again = judged_status(job.model_copy(update={"status": first}), None, next_schedule=None, now=datetime.now(UTC))

    assert again == first


def test_ready_tells_of_the_last_run_and_not_of_an_obstacle() -> None:
    job = backup_job()
    found = obstacle(job, None, {"primary": bucket()}, now=NOW)

    status = judged_status(job, found, next_schedule=None, now=NOW)

    shown = {condition.type: (condition.status, condition.reason) for condition in status.conditions}
    assert shown == {"Ready": ("Unknown", "NoRunYet"), "Stalled": ("True", "DatasourceNotFound")}


def test_a_later_check_with_the_same_result_judges_jobs_the_same() -> None:
    later = {**unready(datasource()).wire()["status"], "lastCheckedTime": "2026-11-24T13:00:00Z", "latencyMs": 9}
    checked_again = Datasource.read({**datasource().wire(), "status": later})

    assert standing(checked_again) == standing(unready(datasource()))


def test_what_an_obstacle_is_told_from_is_part_of_the_standing() -> None:
    assert standing(unready(datasource())) != standing(datasource())
    assert standing(unready(bucket())) != standing(bucket())
    assert standing(edited(bucket(accessMode="ReadOnly"))) != standing(bucket())
    assert standing(edited(backup_job())) != standing(backup_job())
    assert standing(edited(datasource(classification=["production"]))) != standing(datasource())


def test_a_drill_is_not_judged_again_when_a_backup_failed() -> None:
    assert standing(unready(backup_job())) == standing(backup_job())
