"""What a backup's run is told: where to, how many copies, what it may use of runs that failed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dataguardian.domain import plan as plans
from dataguardian.domain.naming import run_folder
from dataguardian.domain.plan import BackupPlan, CleanupPlan, FilesystemTarget, RetentionPolicy, S3Target
from dataguardian.domain.planning import Run, backed_up, backup_run, cleanup_run, options_digest
from dataguardian.domain.targets import Volume
from dataguardian.errors import SpecInvalid
from dataguardian.resources.backup import DumpOptions
from dataguardian.resources.storage_location import StorageLocation
from tests.unit.entries import NOW
from tests.unit.objects import backup_job, bucket, datasource, execution, metadata, volume


def location(name: str, **spec: Any) -> StorageLocation:
    s3 = {"bucket": name, "credentialsSecretRef": {"name": name}}
    return StorageLocation.read({"metadata": metadata(name, 7), "spec": {"s3": s3, **spec}})


def plan_of(run: Run) -> BackupPlan:
    assert isinstance(run.plan, BackupPlan)
    return run.plan


def storage(**spec: Any) -> dict[str, Any]:
    return {"storage": {"locations": [{"name": "primary"}, {"name": "local"}], **spec}}


def test_a_backup_goes_to_all_locations_of_its_job_in_their_order() -> None:
    job = backup_job(**storage(strategy="Fallback"))

    run = backup_run(execution(), job, datasource(), [volume(), bucket()])

    plan = plan_of(run)
    assert [target.location for target in plan.targets] == ["local", "primary"]
    assert (plan.strategy, plan.min_copies, plan.left_out) == ("Fallback", 1, [])
    assert len({file.path for file in run.secret_files}) == len(run.secret_files)


def test_a_read_only_location_is_left_out_and_named() -> None:
    job = backup_job(**storage(minCopies=1))
    locations = [bucket(accessMode="ReadOnly"), volume()]

    plan = plan_of(backup_run(execution(), job, datasource(), locations))

    assert [target.location for target in plan.targets] == ["local"]
    assert plan.left_out == ["primary"]


def test_what_a_backup_is_of_is_known_by_its_plan_unless_the_dump_may_be_of_an_earlier_run() -> None:
    job = backup_job(options={"schemas": ["b", "a"], "excludeTables": ["log"]})

    plan = plan_of(backup_run(execution(), job, datasource(), [bucket()]))
    retry = plan_of(backup_run(execution(), job, datasource(), [bucket()], [execution("failed", 6)]))

    same = DumpOptions(schemas=["a", "b"], exclude_tables=["log"])
    assert backed_up(plan) == {"datasource": "orders", "options_digest": options_digest(same)}
    assert options_digest(same) != options_digest(DumpOptions(schemas=["a", "b"]))
    assert backed_up(retry)["options_digest"] is None


def test_a_staging_volume_is_mounted_beside_the_locations_to_be_written() -> None:
    job = backup_job(staging={"claimName": "spool", "path": "dumps"})

    run = backup_run(execution(), job, datasource(), [bucket()])

    root = "/run/dataguardian/volumes/staging"
    assert plan_of(run).staging == FilesystemTarget(location="staging", root=root, prefix="dumps")
    assert run.volumes == (Volume("spool", root, read_only=False),)


def test_a_retry_is_told_the_folders_of_the_runs_that_it_tries_again() -> None:
    run = backup_run(
        execution("again", 9),
        backup_job(),
        datasource(),
        [bucket()],
        retried=[execution("b", 0xB << 124), execution()],
    )

    plan = plan_of(run)
    assert plan.retry_folders == [
        "shop/nightly-00000000/20261124T020000Z-b0000000",
        "shop/nightly-00000000/20261124T020000Z-00000000",
    ]


@pytest.mark.parametrize(("hours", "used"), [(23, 1), (24, 0)])
def test_a_retry_uses_nothing_that_was_too_old_when_it_was_asked_for(hours: int, used: int) -> None:
    retry = execution("again", 9)
    later = retry.metadata.creation_timestamp + timedelta(hours=hours)
    retry = retry.model_copy(update={"metadata": retry.metadata.model_copy(update={"creation_timestamp": later})})
    job = backup_job(retention={"unfinishedMaxAge": "24h"})

    run = backup_run(retry, job, datasource(), [bucket()], retried=[execution()])

    assert len(plan_of(run).retry_folders) == used


def test_a_cleanup_removes_what_is_unfinished_only_when_the_job_says_so() -> None:
    policy = RetentionPolicy(max_backups=3)

    plans = [cleanup_run(backup_job(), policy, [bucket()], unfinished_before=before).plan for before in (None, NOW)]

    assert [plan.unfinished_before for plan in plans if isinstance(plan, CleanupPlan)] == [None, NOW.isoformat()]


def cleanup(**spared: Any) -> CleanupPlan:
    run = cleanup_run(backup_job(), RetentionPolicy(max_backups=3), [bucket()], unfinished_before=NOW, **spared)
    assert isinstance(run.plan, CleanupPlan)
    return run.plan


def folders(count: int, age: timedelta) -> list[str]:
    return [run_folder(f"{number:08x}", NOW - age) for number in range(count)]


def test_a_cleanup_is_told_of_folders_in_use_that_are_old_enough_to_be_removed_and_of_no_other() -> None:
    old, young = folders(2, timedelta(days=2)), folders(9000, -timedelta(seconds=1))

    assert cleanup(in_use=[*old, *young, "no-folder-of-a-run"]).in_use == old


def test_a_cleanup_that_cannot_be_told_of_all_folders_in_use_leaves_what_is_unfinished_alone() -> None:
    plan = cleanup(in_use=folders(9000, timedelta(days=2)), held={str(UUID(int=1)): "restore back"})

    assert (plan.unfinished_before, plan.in_use) == (None, [])
    assert plan.held == {str(UUID(int=1)): "restore back"}
    assert plans.fits(plan)


@pytest.mark.parametrize("spared", ["held", "refuted"])
def test_a_cleanup_that_cannot_be_told_of_all_backups_that_stay_is_refused(spared: str) -> None:
    ids = [str(UUID(int=number)) for number in range(4000)]

    with pytest.raises(SpecInvalid, match="4000 backups"):
        cleanup(**{spared: dict.fromkeys(ids, "restore back") if spared == "held" else ids})


@pytest.mark.parametrize(
    ("locations", "staging"),
    [
        (
            [location("backups"), location("again", s3={"bucket": "backups", "credentialsSecretRef": {"name": "x"}})],
            None,
        ),
        (
            [
                location(name, s3={"bucket": "backups", "endpoint": url, "credentialsSecretRef": {"name": "x"}})
                for name, url in (("one", "https://s3.example.com"), ("two", "https://S3.example.com/"))
            ],
            None,
        ),
        ([bucket(), volume()], {"claimName": "backups", "path": "prod"}),
    ],
)
def test_two_names_for_one_place_are_refused(locations: list[StorageLocation], staging: dict[str, str] | None) -> None:
    job = backup_job(staging=staging) if staging else backup_job()

    with pytest.raises(SpecInvalid, match="the same place"):
        backup_run(execution(), job, datasource(), locations)


def test_two_folders_of_one_volume_are_two_places() -> None:
    job = backup_job(staging={"claimName": "backups", "path": "staging"})

    assert plan_of(backup_run(execution(), job, datasource(), [bucket(), volume()])).staging is not None


def test_the_manifest_names_the_datasource_by_its_object() -> None:
    plan = plan_of(backup_run(execution(), backup_job(), datasource(), [bucket()]))

    assert plan.source.datasource == "orders"


def test_a_bucket_of_two_servers_is_two_places() -> None:
    there, here = (
        location(name, s3={"bucket": "backups", "endpoint": f"https://{name}", "credentialsSecretRef": {"name": "x"}})
        for name in ("there", "here")
    )

    targets = plan_of(backup_run(execution(), backup_job(), datasource(), [there, here])).targets

    assert [isinstance(target, S3Target) for target in targets] == [True, True]
