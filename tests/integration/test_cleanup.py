"""A cleanup deletes what no rule keeps, everywhere it is stored, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from dataguardian.domain import told as tellings
from dataguardian.domain.plan import FilesystemTarget
from dataguardian.domain.proof import proof_key
from dataguardian.rfc3339 import written

from .runs import Pod
from .services import PostgresServer
from .shelves import CONTENT, JOB, JOB_UID, NOW, Shelf, ages, cleaned, cleanup_plan, folder_of, manifest, store, told
from .shop import shop


def test_the_fourth_backup_removes_the_oldest_from_every_location(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2, 3, 4)

    ended = pod.run(cleanup_plan(primary, offsite, max_backups=3))

    report = cleaned(ended)
    assert ages(primary) == ages(offsite) == [1, 2, 3]
    assert [key for shelf in (primary, offsite) for key in shelf.stored if folder_of(manifest(4)) in key] == []
    assert (report.backups, report.expired, report.next_expiry, report.warnings) == (3, 0, None, [])
    assert told(ended, "backup_removed") == [("nightly-4-days-old", "offsite"), ("nightly-4-days-old", "primary")]
    kept = {line["execution_name"]: line["kept_by"] for line in ended.lines if line["action"] == "backup_kept"}
    assert kept == {
        "nightly-1-days-old": ["maxBackups 1/3", "newest good backup"],
        "nightly-2-days-old": ["maxBackups 2/3"],
        "nightly-3-days-old": ["maxBackups 3/3"],
    }


def test_a_backup_whose_verification_failed_takes_no_place_of_a_good_one(pod: Pod, primary: Shelf) -> None:
    store([primary], 1, 2, 3)
    refuted = [manifest(1).execution_id]

    ended = pod.run(msgspec.structs.replace(cleanup_plan(primary, max_backups=1), refuted=refuted))

    assert ages(primary) == [1, 2]
    kept = {line["execution_name"]: line["kept_by"] for line in ended.lines if line["action"] == "backup_kept"}
    assert kept["nightly-1-days-old"] == ["maxBackups 1/1", "no newer good backup"]
    assert kept["nightly-2-days-old"] == ["maxBackups 1/1", "newest good backup"]


def test_a_held_backup_stays_whatever_the_rules_say(pod: Pod, primary: Shelf) -> None:
    store([primary], 1, 2, 3)
    held = {manifest(3).execution_id: "safetyBackup back"}

    ended = pod.run(msgspec.structs.replace(cleanup_plan(primary, max_backups=1), held=held))

    assert ages(primary) == [1, 3]
    kept = {line["execution_name"]: line["kept_by"] for line in ended.lines if line["action"] == "backup_kept"}
    assert kept["nightly-3-days-old"] == ["safetyBackup back"]


def test_the_proofs_of_a_backup_go_with_it_and_those_of_others_stay(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2)
    for shelf in (primary, offsite):
        for age in (1, 2):
            shelf.put(proof_key(folder_of(manifest(age)), NOW, f"{age}a5a5a5a-"), b"{}")
            shelf.put(proof_key(folder_of(manifest(age)), NOW, f"{age}b5b5b5b-"), b"{}")

    ended = pod.run(cleanup_plan(primary, offsite, max_backups=1))

    assert (cleaned(ended).backups, cleaned(ended).warnings) == (1, [])
    for shelf in (primary, offsite):
        assert ages(shelf) == [1]
        assert {key.rpartition("-")[2] for key in shelf.stored if "proofs" in key} == {"1a5a5a5a.json", "1b5b5b5b.json"}
        assert [key for key in shelf.stored if folder_of(manifest(2)) in key] == []


def test_the_lines_are_those_that_the_operator_reads(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2)

    ended = pod.run(cleanup_plan(primary, offsite, read_only=("offsite",), max_backups=1))

    read = [tellings.read(line.encode()) for line in ended.output.splitlines()]
    reason = "No rule keeps it: maxBackups 1"
    of_old = {"execution_id": manifest(2).execution_id, "execution_name": "nightly-2-days-old"}
    key = f"{folder_of(manifest(2))}/manifest.json"
    assert tellings.BackupRemoved(location="primary", key=key, reason=reason, **of_old) in read
    read_only = "The storage location is ReadOnly"
    assert tellings.RemovalDeferred(location="offsite", key=key, reason=read_only, **of_old) in read


def test_four_runs_of_a_job_leave_three_backups(pod: Pod, offsite: Shelf, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    primary = Shelf(FilesystemTarget(location="primary", root=str(pod.folder / "primary"), prefix="prod"))
    (pod.folder / "primary").mkdir()
    other = primary.store(manifest(9, backup_job="hourly", backup_job_uid="ffffffff-0000"))
    reports = []

    for number in range(4):
        uid = f"{number}0000000-0000-4000-8000-000000000000"
        plan = pod.backup_plan(
            database,
            primary.target,
            execution_id=uid,
            execution_name=f"nightly-{number}",
            folder=f"{JOB}/2026112{number}T020000Z-{uid[:8]}",
        )
        assert pod.run(plan).status == 0
        for key in primary.stored:  # as a copy to the second location has it
            if f"{number}0000000/" in key:
                offsite.put(key, primary.get(key))
        reports.append(cleaned(pod.run(cleanup_plan(primary, offsite, max_backups=3))))

    assert [(report.backups, report.expired) for report in reports] == [(1, 0), (2, 0), (3, 0), (3, 0)]
    assert {key.split("/")[2][-8:] for key in primary.stored if JOB in key} == {"10000000", "20000000", "30000000"}
    assert {key.split("/")[2][-8:] for key in offsite.stored} == {"10000000", "20000000", "30000000"}
    assert f"{other}/manifest.json" in primary.stored


def test_what_is_not_this_jobs_backup_is_left_alone_and_told_once(pod: Pod, primary: Shelf) -> None:
    store([primary], 1, 2)
    strangers = {
        "another job's": primary.store(manifest(30, backup_job="nightly-0a1b2c3d", backup_job_uid=JOB_UID)),
        "another namespace's": primary.store(manifest(31, namespace="bank")),
        "its copy made by hand": primary.store(manifest(31, namespace="bank"), f"{JOB}/20200101T000000Z-00000031"),
        "that of another job": primary.store(
            manifest(32, backup_job_uid="ffffffff-0"), f"{JOB}/20200101T000000Z-00000032"
        ),
        "a copy of a good one": primary.store(manifest(33), f"{JOB}/20200101T000000Z-before-the-migration"),
        "a later version": primary.store(manifest(34, version=2)),
        "a wrong time": primary.store(manifest(35, started_at="yesterday"), f"{JOB}/20200101T000000Z-00000035"),
        "damaged": f"{JOB}/20200102T000000Z-00000036",
        "a failed run": f"{JOB}/20200103T000000Z-00000037",
        "a marker of somebody": f"{JOB}/20200104T000000Z-00000038",
    }
    primary.put(f"{strangers['damaged']}/manifest.json", b"{")
    primary.put(f"{strangers['damaged']}/data.dump.zst", CONTENT)
    for name in ("data.dump.zst", "pending.json"):
        primary.put(f"{strangers['a failed run']}/{name}", b"{}")
    primary.put(f"{strangers['a marker of somebody']}/removing.json", b"{}")
    primary.put(f"{strangers['a marker of somebody']}/data.dump.zst", CONTENT)
    primary.put(f"{JOB}/README", b"Do not delete.")
    before = primary.stored

    report = cleaned(pod.run(cleanup_plan(primary, max_backups=1)))

    assert before - primary.stored == {key for key in before if folder_of(manifest(2)) in key}
    assert primary.stored <= before
    (warning,) = report.warnings
    assert "and 4 more" in warning
    assert report.backups == 1


def test_a_backup_that_is_damaged_everywhere_does_not_push_out_a_good_one(
    pod: Pod, primary: Shelf, offsite: Shelf
) -> None:
    store([primary, offsite], 1, 2, 3)
    for shelf in (primary, offsite):
        shelf.delete(f"{folder_of(manifest(1))}/data.dump.zst")

    report = cleaned(pod.run(cleanup_plan(primary, offsite, max_backups=1)))

    assert ages(primary) == ages(offsite) == [1, 2]
    assert report.backups == 2


def test_a_copy_that_is_damaged_in_one_location_is_good_by_the_other(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2)
    primary.put(f"{folder_of(manifest(1))}/data.dump.zst", b"half")

    cleaned(pod.run(cleanup_plan(primary, offsite, max_backups=1)))

    assert ages(primary) == ages(offsite) == [1]


def test_the_time_of_the_next_expiry_is_reported(pod: Pod, primary: Shelf) -> None:
    store([primary], 1, 2)
    report = cleaned(pod.run(cleanup_plan(primary, max_age_seconds=100 * 86400)))

    assert report.next_expiry == written(NOW + timedelta(days=98))
