"""The backup of the target before a restore changes it: by which job."""

from __future__ import annotations

from typing import Any

from dataguardian.domain.planning import options_digest
from dataguardian.domain.safety import safety_backup, safety_job
from dataguardian.resources.backup import BackupJob, DumpOptions
from dataguardian.resources.execution import RUN_NAME_MAX
from tests.unit.objects import metadata, restore_request


def named(name: str, target: str = "orders", **spec: Any) -> BackupJob:
    whole = {"datasourceRef": {"name": target}, "storage": {"locations": [{"name": "primary"}]}, **spec}
    return BackupJob.read({"metadata": metadata(name, 8), "spec": whole})


def chosen_job(own: str | None, options: str | None, *jobs: BackupJob) -> str | None:
    job = safety_job(own, options, "orders", jobs)
    return job.metadata.name if job else None


def test_the_target_is_backed_up_by_a_job_that_dumps_all_of_it_if_there_is_one_the_backups_own_first() -> None:
    part = named("own", options={"schemas": ["sales"]})
    same = options_digest(part.spec.options)

    assert chosen_job("own", options_digest(DumpOptions()), named("b"), named("own")) == "own"
    assert chosen_job("own", same, part, named("b"), named("a"), named("other", "stock")) == "a"


def test_a_job_that_dumps_a_part_backs_up_the_target_only_if_the_backup_is_known_to_be_of_the_same_part() -> None:
    part = named("own", options={"schemas": ["sales"]})
    same = options_digest(part.spec.options)
    wider = options_digest(DumpOptions(schemas=["sales", "stock"]))

    assert chosen_job("own", same, part) == "own"
    assert chosen_job("own", options_digest(DumpOptions()), part) is None  # it was narrowed since
    assert chosen_job("own", wider, part) is None
    assert chosen_job("own", None, part) is None
    assert chosen_job("other", same, named("other", "stock", options={"schemas": ["sales"]})) is None


def test_a_safety_backup_has_one_name_and_a_dry_run_has_none() -> None:
    request = restore_request(safetyBackup=True)

    name = safety_backup(request)

    assert name == f"safety-{request.metadata.uid}"
    assert len(name) <= RUN_NAME_MAX
    assert safety_backup(restore_request(safetyBackup=True, dryRun=True)) is None
    assert safety_backup(restore_request()) is None
