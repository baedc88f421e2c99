"""What a restore chooses before it starts: the backup, the order of its copies, where to, how long it should take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.plan import SERVER_DATA_DIR, SERVER_SOCKET_DIR, EphemeralServer, RestorePlan
from dataguardian.domain.planning import Run, Server
from dataguardian.domain.restores import (
    ORDER,
    CopyAt,
    at_key,
    best_first,
    build_jobs,
    decided,
    expected_seconds,
    held_by,
    newest,
    refuse_other_engine,
    restore_run,
    server_for,
    stored_copies,
)
from dataguardian.errors import EngineMismatch, NoCopyAvailable, NoRecentBackup, SpecInvalid
from dataguardian.resources.backup import BackupExecution, BackupJob, Copy
from dataguardian.resources.drill import RestoreDrill
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.run_template import RunTemplate
from dataguardian.resources.storage_location import StorageLocation
from tests.unit.entries import NOW, entry, key_of
from tests.unit.objects import (
    backup_job,
    bucket,
    datasource,
    drill_request,
    execution,
    metadata,
    restore_request,
    volume,
)

PHASES: list[Any] = list(ORDER)
NAMES = ["a", "b", "c", "d", "e", "f"]


def location(name: str, phase: str | None = "Available", **spec: Any) -> StorageLocation:
    s3 = {"bucket": f"of-{name}", "credentialsSecretRef": {"name": "s3"}}
    body = {"metadata": metadata(name, 7), "spec": {"s3": s3, **spec}, "status": {"phase": phase}}
    return StorageLocation.read(body)


def copy(name: str, state: Any = "Stored") -> Copy:
    return Copy(location=name, key=f"{name}/manifest.json", state=state)


def backup(*copies: Copy, **status: Any) -> BackupExecution:
    return execution(status={"phase": "Completed", "copies": [each.wire() for each in copies], **status})


def job_of(*locations: str, **spec: Any) -> BackupJob:
    return backup_job(storage={"locations": [{"name": name} for name in locations]}, **spec)


def named(name: str, target: str = "orders", **spec: Any) -> BackupJob:
    whole = {"datasourceRef": {"name": target}, "storage": {"locations": [{"name": "primary"}]}, **spec}
    return BackupJob.read({"metadata": metadata(name, 8), "spec": whole})


def drill(age: str = "168h") -> RestoreDrill:
    spec = {"backupJobRef": {"name": "nightly"}, "maxBackupAge": age}
    return RestoreDrill.read({"metadata": metadata("weekly", 9), "spec": spec})


def plan_of(run: Run) -> RestorePlan:
    assert isinstance(run.plan, RestorePlan)
    return run.plan


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*PHASES, "gone"])), st.permutations(NAMES))
def test_copies_are_read_from_the_best_location_first_and_then_in_the_jobs_order(
    phases: dict[str, Any], order: list[str]
) -> None:
    copies = [copy(name) for name in phases]
    locations = {name: None if phase == "gone" else location(name, phase) for name, phase in phases.items()}

    found = [each.location.metadata.name for each in best_first(copies, locations, job_of(*order))]

    there = [name for name, phase in phases.items() if phase != "gone"]
    assert sorted(found) == sorted(there)
    ranks = [(ORDER[phases[name]], order.index(name)) for name in found]
    assert ranks == sorted(ranks)


def test_a_location_that_the_job_no_longer_names_comes_after_those_that_it_names() -> None:
    copies = [copy(name) for name in ("former", "b", "a")]
    locations = {name: location(name) for name in ("former", "a", "b")}

    assert [each.key for each in best_first(copies, locations, job_of("a", "b"))] == [
        "a/manifest.json",
        "b/manifest.json",
        "former/manifest.json",
    ]
    assert [each.key for each in best_first(copies, locations, None)] == [each.key for each in copies]


def test_a_restore_reads_what_is_stored_or_the_copy_that_it_names() -> None:
    made = backup(copy("a", "Missing"), copy("b"), copy("c"))

    assert [each.location for each in stored_copies(made, None)] == ["b", "c"]
    assert [each.location for each in stored_copies(made, "c")] == ["c"]


@pytest.mark.parametrize("wanted", [None, "a", "elsewhere"])
def test_without_a_stored_copy_the_refusal_names_where_copies_are(wanted: str | None) -> None:
    made = backup(copy("a", "Missing"), copy("b", "Stored" if wanted else "Removed"))

    with pytest.raises(NoCopyAvailable) as refused:
        stored_copies(made, wanted)

    assert "a (Missing), b (" in refused.value.remedy
    assert wanted is None or repr(wanted) in refused.value.what


AGES = st.lists(st.tuples(st.integers(-50, 400), st.booleans(), st.booleans()), max_size=8)


@given(AGES, st.integers(1, 300))
def test_a_drill_takes_the_newest_stored_backup_of_the_window_or_none(
    made: list[tuple[int, bool, bool]], window: int
) -> None:
    entries = [
        entry(
            number,
            age=timedelta(hours=age),
            phase="Completed" if completed else "Failed",
            copies={"primary": "Stored" if stored else "Removed"},
        )
        for number, (age, completed, stored) in enumerate(made)
    ]
    good = [each for each in entries if each.phase == "Completed" and each.stored and each.dumped <= NOW]
    young = [each for each in good if NOW - each.dumped <= timedelta(hours=window)]

    if young:
        assert newest(drill(f"{window}h"), entries, now=NOW).dumped == max(each.dumped for each in young)
    else:
        with pytest.raises(NoRecentBackup) as refused:
            newest(drill(f"{window}h"), entries, now=NOW)
        assert ("old; maxBackupAge is" in refused.value.what) == bool(good)


def test_a_drill_without_a_young_backup_says_how_old_the_newest_one_is() -> None:
    with pytest.raises(NoRecentBackup, match="'nightly-2', is 169h30m old; maxBackupAge is 168h"):
        newest(drill(), [entry(1, age=timedelta(hours=200)), entry(2, age=timedelta(hours=169, minutes=30))], now=NOW)


def test_the_catalogue_knows_a_backup_by_location_and_key() -> None:
    entries = [entry(1), entry(2), entry(3, phase="Failed")]

    assert at_key(entries, "primary", key_of(2)) == entries[1]
    assert at_key(entries, "elsewhere", key_of(2)) is None
    assert at_key(entries, "primary", key_of(3)) is None


def test_the_plan_has_all_copies_and_says_which_take_no_proof() -> None:
    copies = [CopyAt(bucket(accessMode="ReadOnly"), "a/manifest.json"), CopyAt(volume(), "a/manifest.json")]

    plan = plan_of(restore_run(restore_request(), backup(copy("primary")), copies, datasource()))

    assert [(source.target.location, source.manifest_key, source.read_only) for source in plan.sources] == [
        ("primary", "a/manifest.json", True),
        ("local", "a/manifest.json", False),
    ]


@pytest.mark.parametrize(
    ("spec", "access", "read_only"),
    [
        ({"verificationMode": True}, "ReadWrite", False),
        ({"verificationMode": True}, "ReadOnly", True),
        ({"verificationMode": True, "dryRun": True}, "ReadWrite", True),
        ({}, "ReadWrite", True),
    ],
)
def test_a_volume_is_mounted_for_writing_only_where_a_proof_is_written(
    spec: dict[str, Any], access: str, read_only: bool
) -> None:
    claim = {"accessMode": access, "filesystem": {"claimName": "backups"}}
    there = StorageLocation.read({"metadata": metadata("local", 3), "spec": claim})

    run = restore_run(restore_request(**spec), backup(), [CopyAt(there, "a/manifest.json")], datasource())

    assert [mount.read_only for mount in run.volumes] == [read_only]


@pytest.mark.parametrize(("status", "id"), [({"executionId": "of-the-manifest"}, "of-the-manifest"), ({}, None)])
def test_a_restore_expects_the_id_that_the_backup_has_in_its_manifest(status: dict[str, Any], id: str | None) -> None:
    made = backup(**status)

    plan = plan_of(restore_run(restore_request(), made, [CopyAt(bucket(), "a/manifest.json")], datasource()))

    assert plan.backup_execution_id == (id or made.metadata.uid)


def test_a_backup_that_the_catalogue_does_not_know_may_be_any() -> None:
    plan = plan_of(restore_run(restore_request(), None, [CopyAt(bucket(), "a/manifest.json")], datasource()))

    assert (plan.backup_execution_id, plan.backup_job, plan.expected_seconds) == (None, None, None)


def test_the_plan_says_what_the_request_asks_for() -> None:
    request = restore_request(
        dropExisting=True,
        dryRun=True,
        atomic=False,
        lockTimeoutSeconds=7,
        expectedTarget={"serverIdentity": "42", "database": "orders"},
    )
    target = datasource(storageCapacityBytes=1000)
    job = backup_job(runTemplate={"resources": {"limits": {"cpu": "4"}}})

    plan = plan_of(restore_run(request, backup(), [CopyAt(bucket(), "a/manifest.json")], target, job))

    assert (plan.drop_existing, plan.dry_run, plan.atomic, plan.verify) == (True, True, False, False)
    assert (plan.lock_timeout_seconds, plan.jobs, plan.capacity_bytes) == (7, 4, 1000)
    assert (plan.expected.server_identity, plan.expected.database) == ("42", "orders")


def test_an_ephemeral_verification_reaches_no_server_but_its_own() -> None:
    request = restore_request(verificationMode=True, verificationTarget="Ephemeral")
    server = server_for(backup(engineVersion="17.2"), datasource())

    run = restore_run(request, backup(), [CopyAt(bucket(), "a/manifest.json")], server)

    assert run.server == Server("postgresql", 17)
    assert plan_of(run).target == EphemeralServer(
        engine="postgresql", socket_dir=SERVER_SOCKET_DIR, data_dir=SERVER_DATA_DIR
    )
    assert {file.secret for file in run.secret_files} == {"s3"}
    assert decided(request, plan_of(run))["datasource"] is None


@pytest.mark.parametrize(("version", "major"), [("17.2", 17), ("18beta2", 18), ("9.6.24", 9)])
def test_a_throw_away_server_has_the_major_of_the_one_that_was_backed_up(version: str, major: int) -> None:
    assert server_for(backup(engineVersion=version), None) == Server("postgresql", major)


def test_an_ephemeral_verification_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="does not tell which version"):
        server_for(backup(), datasource())


def test_a_target_of_another_engine_is_refused_where_the_source_is_known() -> None:
    other = datasource()
    other = other.model_copy(update={"spec": other.spec.model_copy(update={"engine": "mariadb"})})

    refuse_other_engine(None, other)
    refuse_other_engine(datasource(), datasource())
    with pytest.raises(EngineMismatch, match="postgresql"):
        refuse_other_engine(datasource(), other)


@pytest.mark.parametrize(
    ("known", "dump_bytes", "seconds"),
    [
        ({"restoreSeconds": 30, "restoredBytes": 1000}, 4000, 120),
        ({"restoreSeconds": 30, "restoredBytes": 0}, 4000, None),
        ({"restoreSeconds": 30}, 4000, None),
        ({"restoreSeconds": 30, "restoredBytes": 1000}, None, None),
        (None, 4000, None),
    ],
)
def test_the_last_restore_tells_how_long_the_next_one_takes(
    known: dict[str, int] | None, dump_bytes: int | None, seconds: int | None
) -> None:
    spec = {"datasourceRef": {"name": "orders"}, "storage": {"locations": [{"name": "primary"}]}}
    job = BackupJob.read({"metadata": metadata("nightly", 4), "spec": spec, "status": {"recoverability": known}})

    assert expected_seconds(job, dump_bytes) == seconds
    assert expected_seconds(None, dump_bytes) is None


@pytest.mark.parametrize(
    ("cpu", "jobs"), [("4", 4), (3, 3), ("2500m", 2), ("500m", 1), ("64", 8), ("1.5", 2), (None, 2)]
)
def test_as_many_connections_build_indexes_as_the_pod_has_processors(cpu: Any, jobs: int) -> None:
    resources = {"limits": {"cpu": cpu}} if cpu is not None else {"requests": {"cpu": "8"}}

    assert build_jobs(RunTemplate(resources=resources)) == jobs
    assert build_jobs(RunTemplate()) == 2


def test_what_a_restore_reads_is_kept_until_it_has_ended() -> None:
    ended = {"phase": "Failed"}

    assert held_by(restore_request()) == {"nightly-1": "restore bring-back"}
    assert held_by(_with(restore_request(), phase="Running")) == {"nightly-1": "restore bring-back"}
    assert held_by(_with(restore_request(), **ended)) is None
    chosen = _with(drill_request("weekly-1", None), phase="Running", backup_execution="nightly-7")
    assert held_by(chosen) == {"nightly-7": "restore weekly-1"}
    assert held_by(drill_request("weekly-1", None)) == {}  # not chosen yet


def test_with_a_safety_backup_both_are_kept_until_the_restore_is_confirmed() -> None:
    wanted = restore_request(safetyBackup=True)
    both = {"nightly-1": "restore bring-back", f"safety-{wanted.metadata.uid}": "safetyBackup bring-back"}

    assert held_by(wanted) == both
    assert held_by(_with(wanted, phase="Failed")) == both
    assert held_by(_with(restore_request(safetyBackup=True, confirmed=True), phase="Completed")) is None


def _with(request: RestoreRequest, **status: Any) -> RestoreRequest:
    return request.model_copy(update={"status": request.status.model_copy(update=status)})
