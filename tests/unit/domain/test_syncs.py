"""A sync before its start: what its dump is kept as, and what its runner is told."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.domain import plan as plans
from dataguardian.domain.naming import sync_backup_id, sync_backup_name
from dataguardian.domain.plan import MaskingRule, S3Target, SyncPlan
from dataguardian.domain.planning import Run
from dataguardian.domain.sync_jobs import Kept, kept
from dataguardian.domain.syncs import decided, sync_run
from dataguardian.errors import NotFound, ProductionTarget, SpecInvalid
from dataguardian.resources.backup import BackupJob
from dataguardian.resources.execution import RUN_NAME_MAX
from tests.unit.objects import backup_job, bucket, datasource, sync_execution, sync_job

PART = {"schemas": ["sales"]}


def plan_of(run: Run) -> SyncPlan:
    assert isinstance(run.plan, SyncPlan)
    return run.plan


def run_of(keeps: Kept | None = None, **spec: Any) -> Run:
    return sync_run(sync_execution(), sync_job(**spec), datasource(), datasource("staging"), [], keeps)


def test_what_a_job_may_not_do_none_of_its_runs_may() -> None:
    guarded = datasource("staging", classification=["Production"])

    with pytest.raises(ProductionTarget):
        sync_run(sync_execution(), sync_job(), datasource(), datasource("staging"), [guarded])


def chosen_job(*jobs: BackupJob, **spec: Any) -> str:
    return kept(sync_job(storageLocationRef={"name": "primary"}, **spec), bucket(), jobs).job.metadata.name


def test_the_dump_becomes_a_backup_of_the_first_job_that_backs_up_all_of_the_source_to_the_location() -> None:
    assert (
        chosen_job(
            backup_job("a", options=PART),
            backup_job("b", datasourceRef={"name": "staging"}),
            backup_job("c", storage={"locations": [{"name": "offsite"}]}),
            backup_job("e"),
            backup_job("d", storage={"locations": [{"name": "offsite"}, {"name": "primary"}]}),
        )
        == "d"
    )


def test_without_such_a_job_the_sync_is_refused_and_says_what_to_create() -> None:
    with pytest.raises(NotFound) as refused:
        chosen_job(backup_job(options=PART))

    assert "spec.storageLocationRef" in refused.value.what
    assert "without options" in refused.value.remedy


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ({"datasourceRef": {"name": "staging"}}, "'staging'"),
        ({"storage": {"locations": [{"name": "offsite"}]}}, "'primary'"),
        ({"options": PART}, "a part"),
    ],
)
def test_a_named_job_that_does_not_fit_is_refused_by_its_field(job: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        chosen_job(backup_job(**job), backupJobRef={"name": "nightly"})

    assert "spec.backupJobRef" in refused.value.what
    assert why in refused.value.what


def test_nothing_is_kept_in_a_read_only_location() -> None:
    job = sync_job(storageLocationRef={"name": "primary"})

    with pytest.raises(SpecInvalid, match=r"spec\.storageLocationRef"):
        kept(job, bucket(accessMode="ReadOnly"), [backup_job()])


def test_the_secrets_of_both_databases_are_files_of_their_own() -> None:
    rules = [{"table": "customers", "column": "email", "how": "hash"}]

    run = run_of(masking={"rules": rules, "keySecretRef": {"name": "mask", "key": "key"}})

    plan = plan_of(run)
    assert {file.secret: file.path for file in run.secret_files if "password" in file.path} == {
        "orders-db": "source/password",
        "staging-db": "target/password",
    }
    assert plan.source.password_file.endswith("/source/password")
    assert plan.target.username_file.endswith("/target/username")
    assert plan.masking is not None
    assert plan.masking.key_file is not None
    assert plan.masking.key_file.endswith("/masking/key")
    assert ("mask", "key", "masking/key") in [(file.secret, file.key, file.path) for file in run.secret_files]


def test_a_runner_is_told_what_the_job_says() -> None:
    plan = plan_of(
        run_of(
            strategy="Swap",
            keepPreviousSeconds=60,
            dropExisting=True,
            expectedTarget={"serverIdentity": "7420"},
            lockTimeoutSeconds=5,
            runTemplate={"resources": {"limits": {"cpu": "4"}}},
            masking={
                "rules": [{"table": "t", "column": "c"}],
                "requireAll": True,
                "allow": [{"table": "t", "column": "d"}],
            },
        )
    )

    assert (plan.execution_name, plan.namespace, plan.job_name) == ("refresh-1", "shop", "refresh")
    assert (plan.source.datasource, plan.target.datasource) == ("orders", "staging")
    assert (plan.strategy, plan.keep_previous_seconds, plan.jobs) == ("Swap", 60, 4)
    assert (plan.expected.server_identity, plan.expected.database) == ("7420", None)
    assert (plan.drop_existing, plan.lock_timeout_seconds, plan.backup) == (True, 5, None)
    assert plan.masking is not None
    assert plan.masking.rules == [MaskingRule(schema="public", table="t", column="c", how="null")]
    assert (plan.masking.require_all, plan.masking.allow) == (True, [("public", "t", "d")])
    assert plan.masking.digest.startswith("sha256:")
    assert decided(plan) == {"datasource": "staging", "source": "orders", "strategy": "Swap"}


def test_the_kept_backup_is_one_of_its_job_with_an_id_and_a_folder_of_its_own() -> None:
    job = backup_job(
        storage={"locations": [{"name": "offsite"}, {"name": "primary"}], "minCopies": 2, "strategy": "Fallback"},
        compression={"codec": "gzip", "level": 9},
        staging={"claimName": "spool"},
    )
    uid = sync_execution().metadata.uid

    run = run_of(Kept(job, bucket()))

    plan = plan_of(run)
    assert plan.backup is not None
    assert (plan.backup.execution_id, plan.backup.execution_name) == (sync_backup_id(uid), sync_backup_name(uid))
    assert plan.backup.folder == f"shop/nightly-00000000/20261124T020000Z-{sync_backup_id(uid)[:8]}"
    assert [target.location for target in plan.backup.targets] == ["primary"]
    assert isinstance(plan.backup.targets[0], S3Target)
    assert (plan.backup.min_copies, plan.backup.staging, plan.backup.retry_folders) == (1, None, [])
    assert (plan.backup.codec, plan.backup.level, plan.backup.source) == ("gzip", 9, plan.source)
    assert len({file.path for file in run.secret_files}) == len(run.secret_files)
    assert len(plan.backup.execution_name) <= RUN_NAME_MAX


def test_more_masking_rules_than_a_runner_can_be_told_are_refused() -> None:
    rules = [{"table": "t", "column": f"c{number}", "how": "fixed", "value": "x" * 1024} for number in range(200)]

    with pytest.raises(SpecInvalid, match=r"spec\.masking.* 200 rules"):
        run_of(masking={"rules": rules})
    assert plans.fits(run_of(masking={"rules": rules[:90]}).plan)
