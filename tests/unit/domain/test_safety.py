"""The backup of the target before a restore changes it: by which job, and what is taken for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataguardian.domain.planning import options_digest
from dataguardian.domain.safety import WHOLE, note_of, refuse_stranger, safety_backup, safety_job
from dataguardian.errors import SpecInvalid
from dataguardian.resources.backup import BackupExecution, BackupJob, DumpOptions
from dataguardian.resources.execution import RUN_NAME_MAX
from tests.unit.objects import metadata, restore_request

DUMPED = datetime(2026, 11, 24, 2, tzinfo=UTC)


def safety(trigger: str = "Safety", **status: Any) -> BackupExecution:
    whole = {
        "phase": "Completed",
        "datasource": "orders",
        "optionsDigest": WHOLE,
        "dumpTime": "2026-11-24T02:00:00Z",
        "copies": [{"location": "primary", "key": "a/manifest.json", "state": "Stored"}],
        **status,
    }
    spec = {"backupJobRef": {"name": "nightly"}, "trigger": trigger}
    return BackupExecution.read({"metadata": metadata("safety-6", 6), "spec": spec, "status": whole})


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


def test_the_safety_backup_is_a_stored_one_of_the_target() -> None:
    refuse_stranger(safety(), "orders", None)
    refuse_stranger(safety(phase="Running", datasource=None, copies=[]), "orders", None)
    refuse_stranger(safety(optionsDigest="part"), "orders", "part")


@pytest.mark.parametrize(
    ("trigger", "status", "why"),
    [
        ("Manual", {}, "trigger is Manual"),
        ("Manual", {"phase": "Running"}, "trigger is Manual"),
        ("Import", {}, "trigger is Import"),
        ("Safety", {"datasource": "stock"}, "'stock'"),
        ("Safety", {"datasource": None}, "of no known Datasource"),
        ("Safety", {"optionsDigest": "part"}, "a part"),
        ("Safety", {"optionsDigest": None}, "a part"),
        ("Safety", {"copies": []}, "no stored copy"),
    ],
)
def test_another_backup_is_not_taken_for_the_safety_backup(trigger: str, status: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        refuse_stranger(safety(trigger, **status), "orders", "other")

    assert why in refused.value.what
    assert "'safety-6'" in refused.value.what


def test_a_restore_that_starts_long_after_the_data_of_its_safety_backup_says_so() -> None:
    assert note_of(safety(), now=DUMPED + timedelta(minutes=10)) is None
    note = note_of(safety(), now=DUMPED + timedelta(minutes=11))
    assert note is not None
    assert "2026-11-24T02:00:00Z" in note
