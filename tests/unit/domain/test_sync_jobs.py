"""What stands in the way of a DatabaseSyncJob."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dataguardian.domain.sync_jobs import LESSONS, obstacle
from dataguardian.resources.backup import BackupJob
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.sync import DatabaseSyncJob
from tests.unit.objects import backup_job, bucket, datasource, ended_sync, sync_job

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEPT = {"storageLocationRef": {"name": "primary"}}
UNREADY = {
    "type": "Ready",
    "status": "False",
    "reason": "NotFound",
    "message": "Secret missing.",
    "lastTransitionTime": "2026-11-24T12:00:00Z",
}


def staging(**spec: Any) -> Datasource:
    return datasource(**{"host": "staging-db.shop.svc", **spec})


def of_another_engine(resource: Datasource) -> Datasource:
    return resource.model_copy(update={"spec": resource.spec.model_copy(update={"engine": "other"})})


def unready(resource: Any) -> Any:
    return type(resource).read({**resource.wire(), "status": {"conditions": [UNREADY]}})


def known(source: Datasource | None, target: Datasource | None, *others: Datasource) -> dict[str, Datasource]:
    """The Datasources of a namespace, by their names."""
    there = {"orders": source, "staging": target, **{f"other-{at}": each for at, each in enumerate(others)}}
    return {name: each for name, each in there.items() if each}


def reason(job: DatabaseSyncJob, source: Any, target: Any, location: Any = None, *jobs: BackupJob) -> str | None:
    found = obstacle(job, known(source, target), location, jobs, now=NOW)
    return found.reason if found else None


@pytest.mark.parametrize(
    ("job", "target"),
    [
        pytest.param(sync_job(schedule="@daily"), staging(), id="another-server"),
        pytest.param(sync_job(), datasource(database="staging"), id="another-database"),
        pytest.param(
            sync_job(allowProductionTarget=True), staging(classification=["production"]), id="allowed-production"
        ),
        pytest.param(sync_job(), staging(classification=["pre-production"]), id="other-classification"),
    ],
)
def test_nothing_stands_in_the_way_of_a_copy_to(job: DatabaseSyncJob, target: Datasource) -> None:
    assert reason(job, datasource(), target) is None


@pytest.mark.parametrize(
    ("job", "source", "target", "expected"),
    [
        (sync_job(), None, staging(), "DatasourceNotFound"),
        (sync_job(), datasource(), None, "DatasourceNotFound"),
        (sync_job(), datasource(), of_another_engine(staging()), "EngineMismatch"),
        (sync_job(), datasource(), datasource(), "SameDatabase"),
        (sync_job(), datasource(), datasource(host="Orders-DB.shop.svc"), "SameDatabase"),
        (sync_job(), datasource(), staging(classification=["Production"]), "ProductionTarget"),
        (sync_job(schedule="0 0 31 2 *"), datasource(), staging(), "ScheduleInvalid"),
        (sync_job(), unready(datasource()), staging(), "DatasourceNotReady"),
        (sync_job(), datasource(), unready(staging()), "DatasourceNotReady"),
        (sync_job(**KEPT), datasource(), staging(), "StorageLocationNotFound"),
    ],
)
def test_what_stands_in_the_way_is_told_with_its_reason(
    job: DatabaseSyncJob, source: Datasource | None, target: Datasource | None, expected: str
) -> None:
    assert reason(job, source, target) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (bucket(), None),
        (bucket(accessMode="ReadOnly"), "StorageLocationReadOnly"),
        (unready(bucket()), "StorageLocationNotReady"),
    ],
)
def test_a_backup_that_is_kept_needs_its_location(location: Any, expected: str | None) -> None:
    assert reason(sync_job(**KEPT), datasource(), staging(), location, backup_job()) == expected
    named = sync_job(**KEPT, backupJobRef={"name": "nightly"})
    assert reason(named, datasource(), staging(), bucket()) == "BackupJobNotFound"


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        pytest.param({}, True, id="same-address"),
        pytest.param({"host": "Staging-DB.shop.svc"}, True, id="same-host-in-capitals"),
        pytest.param({"host": "10.0.0.7"}, False, id="alias-by-another-host-name"),
        pytest.param({"port": 5433}, False, id="another-port"),
        pytest.param({"database": "billing"}, False, id="another-database"),
        pytest.param({"classification": ["test"]}, False, id="no-production"),
    ],
)
def test_what_any_datasource_of_the_targets_address_calls_production_is_protected(
    other: dict[str, Any], refused: bool
) -> None:
    there = known(datasource(), staging(), staging(**{"classification": ["production"], **other}))

    found = obstacle(sync_job(), there, None, [], now=NOW)

    assert (found and found.reason) == ("ProductionTarget" if refused else None)
    assert obstacle(sync_job(allowProductionTarget=True), there, None, [], now=NOW) is None


@pytest.mark.parametrize(
    ("job", "there", "expected"),
    [
        (sync_job(**KEPT), [], "NotFound"),
        (sync_job(**KEPT), [backup_job(datasourceRef={"name": "staging"})], "NotFound"),
        (sync_job(**KEPT), [backup_job("other", options={"includeTables": ["orders"]}), backup_job()], None),
        (sync_job(**KEPT, backupJobRef={"name": "nightly"}), [backup_job(options={"schemas": ["app"]})], "SpecInvalid"),
    ],
)
def test_a_backup_that_is_kept_needs_a_backup_job_that_fits(
    job: DatabaseSyncJob, there: list[BackupJob], expected: str | None
) -> None:
    assert reason(job, datasource(), staging(), bucket(), *there) == expected


def test_a_missing_datasource_is_told_by_its_name() -> None:
    found = obstacle(sync_job(), known(datasource(), None), None, [], now=NOW)

    assert found is not None
    assert found.message == "Datasource 'staging' does not exist. Create it, or correct the reference."


def test_a_completed_run_is_told_with_what_it_copied() -> None:
    run = ended_sync(tables=3, rows=1200, duration="1m5s")

    assert LESSONS.praise(run) == "Datasource orders was copied to staging in 1m5s: 3 tables and 1200 rows."
