"""A cleanup deletes what no rule keeps, everywhere it is stored, and nothing else, whatever happens in between."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dataguardian.domain import told as tellings
from dataguardian.domain.plan import FilesystemTarget, RetentionPolicy
from dataguardian.domain.report import Report
from dataguardian.runner import retention
from dataguardian.runner.lines import Lines, written
from dataguardian.runner.run import Run
from dataguardian.storage import Storage, opened

from .runs import Ended, Pod
from .services import PostgresServer, S3Server
from .shelves import CONTENT, JOB, JOB_UID, NOW, Shelf, cleanup_plan, folder_of, manifest, told
from .shop import shop


@pytest.fixture
def primary(pod: Pod, s3_server: S3Server) -> Shelf:
    """A bucket."""
    return Shelf(pod.s3(s3_server, s3_server.bucket()), s3_server)


@pytest.fixture
def offsite(pod: Pod) -> Shelf:
    """A volume."""
    return Shelf(msgspec.structs.replace(pod.volume(), location="offsite"))


def store(shelves: Iterable[Shelf], *ages: int) -> None:
    """Backups that are so many days old, in each of these locations."""
    for shelf in shelves:
        for age in ages:
            shelf.store(manifest(age))


def ages(shelf: Shelf) -> list[int]:
    """How old the backups of a location are, in days."""
    return sorted(int(key.split("/")[2][17:25]) for key in shelf.stored if key.startswith(JOB) and "manifest" in key)


def cleaned(ended: Ended) -> Report:
    """The report of a cleanup that completed."""
    assert ended.status == 0, ended.output
    assert ended.report is not None
    return ended.report


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
            retention=RetentionPolicy(max_backups=3),
            kept_locations=[offsite.target],
        )
        reports.append(cleaned(pod.run(plan)))
        for key in primary.stored:  # as a copy to the second location has it
            if f"{number}0000000/" in key:
                offsite.put(key, primary.get(key))

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
    assert "and 5 more" in warning
    assert report.backups == 1


def test_a_location_that_is_away_is_caught_up_later(pod: Pod, offsite: Shelf) -> None:
    server = S3Server()
    try:
        server.start()
        primary = Shelf(pod.s3(server, server.bucket()), server)
        plan = cleanup_plan(primary, offsite, max_backups=3)
        store([primary, offsite], 1, 2, 3, 4)
        server.stop()

        ended = pod.run(plan)

        report = cleaned(ended)
        assert (report.backups, report.expired, report.unread) == (4, 1, ["primary"])
        assert "'primary'" in report.warnings[0]
        assert told(ended, "removal_deferred") == [("nightly-4-days-old", "primary")]
        assert ages(offsite) == [1, 2, 3]
        server.start()
        assert ages(primary) == [1, 2, 3, 4]

        ended = pod.run(plan)

        assert cleaned(ended).unread == []
        assert told(ended, "backup_removed") == [("nightly-4-days-old", "primary")]
        assert ages(primary) == [1, 2, 3]
    finally:
        server.remove()


def test_a_cleanup_fails_as_the_location_does_when_none_can_be_read(pod: Pod, offsite: Shelf) -> None:
    assert isinstance(offsite.target, FilesystemTarget)
    Path(offsite.target.root).rmdir()

    ended = pod.run(cleanup_plan(offsite, max_backups=1))

    assert ended.failure == (66, "not-found", "cleanup")


def test_with_auto_delete_off_it_only_reports(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2, 3, 4)
    before = primary.stored | offsite.stored

    ended = pod.run(cleanup_plan(primary, offsite, max_backups=3, auto_delete=False))

    report = cleaned(ended)
    assert (report.backups, report.expired, report.warnings) == (4, 1, [])
    assert told(ended, "removal_deferred") == [("nightly-4-days-old", "offsite"), ("nightly-4-days-old", "primary")]
    assert primary.stored | offsite.stored == before


def test_a_read_only_location_is_only_looked_at(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2, 3, 4)
    before = offsite.stored

    ended = pod.run(cleanup_plan(primary, offsite, read_only=("offsite",), max_backups=3))

    report = cleaned(ended)
    assert (report.backups, report.expired, report.warnings) == (4, 1, [])
    assert ages(primary) == [1, 2, 3]
    assert offsite.stored == before


def test_a_locked_bucket_is_asked_once_and_waited_for(pod: Pod, s3_server: S3Server, offsite: Shelf) -> None:
    locked = Shelf(pod.s3(s3_server, s3_server.locked_bucket()), s3_server)
    store([locked, offsite], 1, 2, 3, 4)
    before = locked.stored

    ended = pod.run(cleanup_plan(locked, offsite, max_backups=1))

    report = cleaned(ended)
    assert (report.backups, report.expired) == (4, 3)
    assert len(report.warnings) == 1
    assert "object lock" in report.warnings[0]
    assert len(told(ended, "removal_deferred")) == 3
    assert ages(offsite) == [1]
    # Of the oldest backup alone it tried to delete anything.
    assert locked.stored - before == {f"{folder_of(manifest(4))}/removing.json"}
    assert before <= locked.stored


def mounted(folder: Path, *arguments: str) -> None:
    """Mount something there, or skip the test where nobody may."""
    ended = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"mount: {ended.stderr.strip()}")


@pytest.fixture
def small(pod: Pod) -> Iterator[Shelf]:
    """A volume with little room."""
    root = pod.folder / "small"
    root.mkdir()
    mounted(root, "-t", "tmpfs", "-o", "size=64k", "none")
    try:
        yield Shelf(FilesystemTarget(location="small", root=str(root), prefix="prod"))
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_a_volume_that_refuses_is_waited_for(pod: Pod, small: Shelf, offsite: Shelf) -> None:
    assert isinstance(small.target, FilesystemTarget)
    store([small, offsite], 1, 2, 3)
    mounted(Path(small.target.root), "-o", "remount,ro")
    before = small.stored

    report = cleaned(pod.run(cleanup_plan(small, offsite, max_backups=1)))

    assert (report.backups, report.expired, len(report.warnings)) == (3, 2, 1)
    assert small.stored == before
    assert ages(offsite) == [1]


def test_a_full_volume_is_made_room_in(pod: Pod, small: Shelf) -> None:
    assert isinstance(small.target, FilesystemTarget)
    store([small], 1, 2)
    with pytest.raises(OSError, match="No space"):
        small.put("filling", bytes(1_000_000))

    cleaned(pod.run(cleanup_plan(small, max_backups=1)))

    assert ages(small) == [1]
    assert not any(folder_of(manifest(2)) in key for key in small.stored)


class Dies(BaseException):
    """The end of a process in the middle of its work."""


class Mortal:
    """A store whose user dies at the given change of it, before or after the change is made."""

    def __init__(self, storage: Storage, changes: int, *, after: bool) -> None:
        self._storage, self._left, self._after = storage, changes, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        """The marker, of all that retention does."""
        return int(self._change(lambda: self._storage.put(key, chunks, may_appear)))

    def delete(self, key: str) -> None:
        """All else."""
        self._change(lambda: self._storage.delete(key))

    def _change(self, change: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Dies
        result = change()
        if self._left < 0:
            raise Dies
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", range(4))  # marker, manifest, dump, marker
@pytest.mark.parametrize("kind", ["s3", "volume"])
def test_a_removal_that_died_at_any_point_is_finished_by_the_next_cleanup(
    pod: Pod, primary: Shelf, offsite: Shelf, kind: str, change: int, after: bool
) -> None:
    shelf = primary if kind == "s3" else offsite
    store([shelf], 1, 2)
    plan = cleanup_plan(shelf, max_backups=1)
    ready = {shelf.target.location: Mortal(opened(shelf.target), change, after=after)}
    with pytest.raises(Dies):
        retention.apply(JOB, plan.targets, plan.policy, Run(Lines("cleanup")), ready=ready)

    ended = pod.run(plan)

    assert cleaned(ended).backups == 1
    assert cleaned(ended).warnings == []
    assert shelf.stored == {f"{folder_of(manifest(1))}/{name}" for name in ("data.dump.zst", "manifest.json")}
    finished_before = change == 3 and after
    expected = [] if finished_before else [("nightly-2-days-old", shelf.target.location)]
    assert told(ended, "backup_removed") == expected


def test_a_removal_that_had_not_begun_is_given_up_when_the_policy_keeps_the_backup_now(
    pod: Pod, primary: Shelf
) -> None:
    store([primary], 1, 2)
    before = primary.stored
    plan = cleanup_plan(primary, max_backups=1)
    ready = {"primary": Mortal(opened(primary.target), 1, after=False)}
    with pytest.raises(Dies):
        retention.apply(JOB, plan.targets, plan.policy, Run(Lines("cleanup")), ready=ready)
    assert primary.stored != before

    cleaned(pod.run(cleanup_plan(primary, max_backups=2)))

    assert primary.stored == before


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


def test_a_retention_that_fails_is_a_warning_of_a_backup_that_completes(
    pod: Pod, offsite: Shelf, postgres_server: PostgresServer
) -> None:
    policy = RetentionPolicy(keep_daily=1, time_zone="Mars/Base")

    report = cleaned(pod.run(pod.backup_plan(shop(postgres_server), offsite.target, retention=policy)))

    assert report.completed
    assert "Mars/Base" in report.warnings[0]


def test_a_backup_applies_its_policy_to_the_jobs_other_locations_and_only_looks_at_read_only_ones(
    pod: Pod, primary: Shelf, offsite: Shelf, small: Shelf
) -> None:
    store([primary, offsite, small], 1, 2)
    plan = pod.backup_plan(
        "unused",
        primary.target,
        retention=RetentionPolicy(max_backups=1),
        kept_locations=[offsite.target, small.target],
        read_only=["small"],
    )

    report = retention.after_backup(Report(completed=True), plan, Run(Lines("backup")), {})

    assert (ages(primary), ages(offsite), ages(small)) == ([1], [1], [1, 2])
    assert (report.backups, report.expired) == (2, 1)


def test_a_backup_that_is_asked_to_end_once_it_is_stored_leaves_retention_to_the_next_time(
    pod: Pod, offsite: Shelf
) -> None:
    store([offsite], 1, 2)
    before = offsite.stored
    run = Run(Lines("backup"))
    run.settle()
    run.cancel()
    plan = pod.backup_plan("unused", offsite.target, retention=RetentionPolicy(max_backups=1))

    report = retention.after_backup(Report(completed=True), plan, run, {})

    assert report.completed
    assert "asked to end" in report.warnings[0]
    assert offsite.stored == before


def test_a_location_that_does_not_exist_any_more_costs_a_backup_nothing(
    pod: Pod, offsite: Shelf, postgres_server: PostgresServer
) -> None:
    gone = FilesystemTarget(location="gone", root=str(pod.folder / "gone"))
    plan = pod.backup_plan(
        shop(postgres_server),
        offsite.target,
        retention=RetentionPolicy(max_backups=1),
        kept_locations=[gone],
    )

    report = cleaned(pod.run(plan))

    assert report.unread == ["gone"]
    assert report.backups == 1
